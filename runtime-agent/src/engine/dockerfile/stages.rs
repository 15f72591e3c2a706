//! Instructions in their stages: what is built from which base.

use super::flags::needs_buildkit;
use super::instruction::{Instruction, parse};
use super::lines::Lines;
use super::{Line, Refused};

/// A Dockerfile in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stages {
    /// The `ARG`s before the first `FROM`.
    pub(crate) before: Vec<Command>,
    pub(crate) stages: Vec<Stage>,
}

/// From one `FROM` to the next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    /// The `FROM` line as it is written.
    pub(crate) text: String,
    pub(crate) base: String,
    /// In lower case.
    pub(crate) name: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) commands: Vec<Command>,
}

/// One instruction, and how the build announces it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Command {
    pub(crate) text: String,
    pub(crate) instruction: Instruction,
}

/// Reads every line.
pub(crate) fn stages(lines: &Lines) -> Result<Stages, Refused> {
    let mut found = Stages { before: Vec::new(), stages: Vec::new() };
    for (at, line) in lines.lines.iter().enumerate() {
        let refused = |why: Refused| {
            let why = match lines.lines[..at].iter().rfind(|line| line.opens_heredoc()) {
                Some(opening) if why.starts_with("unknown instruction") => {
                    format!("{why} ({} on line {})", needs_buildkit("a here-document"), opening.number)
                }
                _ => why,
            };
            format!("dockerfile parse error line {}: {why}", line.number)
        };
        found.add(line, parse(&line.text, lines.escape).map_err(refused)?).map_err(refused)?;
    }
    Ok(found)
}

impl Stages {
    fn add(&mut self, line: &Line, instruction: Instruction) -> Result<(), Refused> {
        let text = line.text.clone();
        match (instruction, self.stages.last_mut()) {
            (Instruction::From { base, name, platform }, _) => {
                self.stages.push(Stage { text, base, name, platform, commands: Vec::new() });
            }
            (instruction, Some(stage)) => stage.commands.push(Command { text, instruction }),
            (instruction @ Instruction::Arg(_), None) => self.before.push(Command { text, instruction }),
            (_, None) => return Err("no build stage in current context".to_owned()),
        }
        Ok(())
    }

    /// Leaves out what comes after the stage that is wanted, by name or number.
    pub(crate) fn only_to(&mut self, target: &str) -> Result<(), Refused> {
        let named = self
            .stages
            .iter()
            .position(|stage| stage.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(target)));
        let numbered = target.parse::<usize>().ok().filter(|number| *number < self.stages.len());
        let last = named.or(numbered);
        let last = last.ok_or_else(|| format!("failed to reach build target {target} in Dockerfile"))?;
        self.stages.truncate(last + 1);
        Ok(())
    }

    /// How many steps the build announces.
    pub(crate) fn steps(&self) -> usize {
        self.before.len() + self.stages.iter().map(|stage| 1 + stage.commands.len()).sum::<usize>()
    }
}
