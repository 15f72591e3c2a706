//! Dockerfiles, as the classic builder reads them: bytes to lines, lines to instructions, instructions to stages.
//!
//! ```text
//! bytes ── lines ──► Line (number, text) ── instruction ──► Instruction ── stages ──► Stages
//!            │ `# escape=`, continuations, comments              │ flags, JSON forms, words
//! ```
//! The format is Docker's "Dockerfile reference" less what only BuildKit has (here-documents, `RUN --mount`,
//! `COPY --chmod` and the like), which is refused by name. Nothing is substituted here: variables stay as they are
//! written until their step runs ([`expand`]). Any bytes are read or refused, with the line that is wrong.

mod apply;
pub(crate) mod expand;
mod flags;
mod health;
mod instruction;
mod lines;
mod stages;
mod words;

pub(crate) use apply::{Target, apply, command_words, shell};
pub(crate) use instruction::{CommandLine, Instruction, Transfer, parse as parse_instruction};
pub(crate) use lines::{Line, Lines, read};
pub(crate) use stages::{Command, Stage, Stages, stages};

/// Why a Dockerfile is refused, as the client reads it.
pub(crate) type Refused = String;

/// A path, absolute and without `.` and `..`: nothing climbs above the root.
pub(crate) fn clean(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests;
