//! One line as an instruction: its flags and arguments checked, nothing substituted yet.

use super::Refused;
use super::flags::Flags;
use super::words::{json, list, pairs, words};
use super::{Line, health};
use crate::engine::images::configuration::Healthcheck;

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Instruction {
    From { base: String, name: Option<String>, platform: Option<String> },
    Add(Transfer),
    Copy(Transfer),
    Arg(Vec<(String, Option<String>)>),
    Cmd(CommandLine),
    Entrypoint(CommandLine),
    Env(Vec<(String, String)>),
    Expose(Vec<String>),
    Healthcheck(Healthcheck),
    Label(Vec<(String, String)>),
    Maintainer(String),
    OnBuild(String),
    Run(CommandLine),
    Shell(Vec<String>),
    StopSignal(String),
    User(String),
    Volume(Vec<String>),
    WorkDir(String),
}

/// A program with its arguments, or a line for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) words: Vec<String>,
    pub(crate) for_shell: bool,
}

/// What `COPY` and `ADD` move, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) sources: Vec<String>,
    pub(crate) destination: String,
    /// A stage or an image; otherwise the build's context.
    pub(crate) from: Option<String>,
    /// `user:group`.
    pub(crate) owner: Option<String>,
}

/// Reads one line. The error does not name the line.
pub(crate) fn parse(line: &str, escape: char) -> Result<Instruction, Refused> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = name.to_ascii_uppercase();
    let (flags, rest) = Flags::take(rest, escape);
    let rest = rest.trim();
    match name.as_str() {
        "ADD" | "COPY" => transfer(&name, &flags, rest),
        "FROM" => from(&flags, rest),
        "HEALTHCHECK" => health::parse(&flags, rest).map(Instruction::Healthcheck),
        _ if KNOWN.contains(&name.as_str()) => {
            let [] = flags.only([])?;
            plain(&name, rest, escape)
        }
        _ => Err(format!("unknown instruction: {name}")),
    }
}

const KNOWN: &[&str] = &[
    "ARG",
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Those that have no flags.
fn plain(name: &str, rest: &str, escape: char) -> Result<Instruction, Refused> {
    let at_least_one = || match rest {
        "" => Err(format!("{name} requires at least one argument")),
        rest => Ok(rest),
    };
    let exactly_one = || match rest {
        "" => Err(format!("{name} requires exactly one argument")),
        rest => Ok(rest.to_owned()),
    };
    Ok(match name {
        "ARG" => Instruction::Arg(arguments(at_least_one()?, escape)?),
        "CMD" => Instruction::Cmd(command_line(rest)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command_line(at_least_one()?)?),
        "ENV" => Instruction::Env(pairs(at_least_one()?, name, escape)?),
        "EXPOSE" => {
            let mut ports: Vec<_> = at_least_one()?.split_whitespace().map(str::to_owned).collect();
            ports.sort();
            Instruction::Expose(ports)
        }
        "LABEL" => Instruction::Label(pairs(at_least_one()?, name, escape)?),
        "MAINTAINER" => Instruction::Maintainer(exactly_one()?),
        "ONBUILD" => Instruction::OnBuild(trigger(at_least_one()?)?),
        "RUN" => Instruction::Run(run(at_least_one()?)?),
        "SHELL" => match json(at_least_one()?)? {
            Some(words) if !words.is_empty() => Instruction::Shell(words),
            Some(_) => return Err("SHELL requires at least one argument".to_owned()),
            None => return Err("SHELL requires the arguments to be in JSON form".to_owned()),
        },
        "STOPSIGNAL" => Instruction::StopSignal(exactly_one()?),
        "USER" => Instruction::User(exactly_one()?),
        "VOLUME" => {
            let volumes = list(at_least_one()?)?;
            if volumes.is_empty() {
                return Err("VOLUME requires at least one argument".to_owned());
            }
            Instruction::Volume(volumes)
        }
        _ => Instruction::WorkDir(exactly_one()?),
    })
}

fn from(flags: &Flags, rest: &str) -> Result<Instruction, Refused> {
    let [platform] = flags.only(["platform"])?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words.as_slice() {
        [base] => (base, None),
        [base, by, name] if by.eq_ignore_ascii_case("as") => (base, Some(name.to_lowercase())),
        _ => return Err("FROM requires either one or three arguments".to_owned()),
    };
    if let Some(name) = name.as_ref().filter(|name| !is_stage_name(name)) {
        return Err(format!(
            "invalid name for build stage: {name:?}, name can't start with a number or contain symbols"
        ));
    }
    Ok(Instruction::From { base: (*base).to_owned(), name, platform })
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}

fn transfer(name: &str, flags: &Flags, rest: &str) -> Result<Instruction, Refused> {
    let (from, owner) = if name == "COPY" {
        let [from, owner] = flags.only(["from", "chown"])?;
        (from, owner)
    } else {
        let [owner] = flags.only(["chown"])?;
        (None, owner)
    };
    let mut sources = list(rest)?;
    let destination = sources.pop().filter(|_| !sources.is_empty()).ok_or_else(|| {
        format!(
            "{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        )
    })?;
    let owner = owner.filter(|owner| !owner.is_empty());
    let transfer = Transfer { sources, destination, from: from.filter(|from| !from.is_empty()), owner };
    Ok(if name == "COPY" { Instruction::Copy(transfer) } else { Instruction::Add(transfer) })
}

fn arguments(rest: &str, escape: char) -> Result<Vec<(String, Option<String>)>, Refused> {
    let argument = |word: String| match word.split_once('=') {
        Some(("", _)) => Err("ARG names can not be blank".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word, None)),
    };
    words(rest, escape).into_iter().map(argument).collect()
}

fn command_line(rest: &str) -> Result<CommandLine, Refused> {
    Ok(match json(rest)? {
        Some(words) => CommandLine { words, for_shell: false },
        None if rest.is_empty() => CommandLine { words: Vec::new(), for_shell: true },
        None => CommandLine { words: vec![rest.to_owned()], for_shell: true },
    })
}

fn run(rest: &str) -> Result<CommandLine, Refused> {
    let line = command_line(rest)?;
    if line.words.is_empty() { Err("RUN requires at least one argument".to_owned()) } else { Ok(line) }
}

/// What a child image's build runs first; it is read again there.
fn trigger(rest: &str) -> Result<String, Refused> {
    let name = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match name.as_str() {
        "ONBUILD" => Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "MAINTAINER" | "FROM" => Err(format!("{name} isn't allowed as an ONBUILD trigger")),
        _ => Ok(rest.to_owned()),
    }
}

impl Line {
    /// Whether a here-document seems to begin on this line.
    pub(super) fn opens_heredoc(&self) -> bool {
        let name = self.text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let begins = |rest: &str| {
            rest.trim_start_matches('-')
                .starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '"' | '\'' | '_'))
        };
        matches!(name.as_str(), "RUN" | "COPY" | "ADD") && self.text.split("<<").skip(1).any(begins)
    }
}
