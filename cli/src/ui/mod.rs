//! Everything printed goes through here: results to stdout, progress, notes, hints and errors to stderr.
//!
//! A person at a terminal sees lines that change in place; everybody else plain lines. Under `-o json` stdout carries
//! JSON only, and errors on stderr become one JSON object a line. Colour only on a terminal and without `NO_COLOR`; only
//! there, too, are sentences broken at its edge.

mod bars;
mod events;
mod groups;
mod json;
mod plain;
mod progress;
mod table;
mod template;
mod wrap;

use std::io::{BufRead as _, BufReader, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use progress::Progress;
use serde::Serialize;

pub(crate) use events::Events;
pub(crate) use groups::{Forge, Groups};
pub(crate) use progress::Board;
pub(crate) use table::{Table, natural};
pub(crate) use template::Template;

use self::bars::Bars;
use crate::error::{Error, Result};
use crate::world::Terminal;

/// What results look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
}

/// The two streams out, the one in, and how to use them.
pub(crate) struct Ui {
    stdout: Mutex<Box<dyn Write + Send>>,
    stderr: Mutex<Box<dyn Write + Send>>,
    stdin: Mutex<Box<dyn Read + Send>>,
    terminal: Terminal,
    output: Output,
    style: Style,
    progress: Progress,
    /// Errors are said as docker-machine said them.
    as_docker_machine: bool,
    /// What stderr says is for programs.
    events: Option<Events>,
    /// What is said of machines stands in a CI system's log groups.
    groups: Option<Mutex<Groups>>,
}

/// Where a person types and reads.
pub(crate) struct Streams {
    pub(crate) stdin: Box<dyn Read + Send>,
    pub(crate) stdout: Box<dyn Write + Send>,
    pub(crate) stderr: Box<dyn Write + Send>,
}

/// Whether and how to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) colour: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    fn hint(self, text: &str) -> String {
        self.paint("36", text)
    }
}

impl Ui {
    pub(crate) fn new(
        Streams { stdin, stdout, stderr }: Streams,
        terminal: Terminal,
        output: Output,
        colour: bool,
    ) -> Self {
        let draws = terminal.stderr && output == Output::Text;
        let progress = if draws { Progress::Bars(Bars::new()) } else { Progress::Plain };
        Self {
            stdout: Mutex::new(stdout),
            stderr: Mutex::new(stderr),
            stdin: Mutex::new(stdin),
            terminal,
            output,
            style: Style { colour: colour && terminal.stderr },
            progress,
            as_docker_machine: false,
            events: None,
            groups: None,
        }
    }

    /// Says errors as docker-machine did.
    pub(crate) fn for_docker_machine(self) -> Self {
        Self { as_docker_machine: true, ..self }
    }

    /// Says on stderr what programs follow, and nothing else.
    pub(crate) fn with_events(self, events: Events) -> Self {
        Self { events: Some(events), progress: Progress::Plain, ..self }
    }

    /// Puts what is said of each machine into a log group, unless it is drawn or for programs.
    pub(crate) fn in_groups(self, groups: Groups) -> Self {
        let plain = matches!(self.progress, Progress::Plain) && self.events.is_none();
        let groups = (plain && self.output == Output::Text).then(|| Mutex::new(groups));
        Self { groups, ..self }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Whether somebody can answer a question.
    pub(crate) fn can_ask(&self) -> bool {
        self.terminal.stdin && self.terminal.stderr && self.events.is_none()
    }

    /// One line of result.
    pub(crate) fn result(&self, line: &str) -> Result<()> {
        self.raw(&format!("{line}\n"))
    }

    /// Results just as they are.
    pub(crate) fn raw(&self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// A result that is no text.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        self.progress.aside(|| {
            let mut stdout = lock(&self.stdout);
            match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
                // Whoever read along has seen enough, as in `wharf ls | head -1`.
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                done => Ok(done?),
            }
        })
    }

    /// A result as JSON, indented for eyes.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        self.raw(&json::pretty(value)?)
    }

    /// A table as text.
    pub(crate) fn table(&self, table: &Table) -> Result<()> {
        let width = if self.terminal.stdout { self.terminal.columns } else { 0 };
        self.raw(&table.fitted(width.into()))
    }

    /// A sentence for the person, not part of the result; nothing for programs.
    pub(crate) fn note(&self, line: &str) {
        match (self.events, self.output) {
            (Some(events), _) if !line.trim().is_empty() => {
                self.say(&events.line("note", serde_json::json!({ "message": line.trim() })));
            }
            (None, Output::Text) => self.sentence(&format!("{line}\n")),
            _ => {}
        }
    }

    /// Something that is not as it should be and does not stop the command.
    pub(crate) fn warn(&self, line: &str) {
        if let Some(events) = self.events {
            return self.say(&events.line("warning", serde_json::json!({ "message": line })));
        }
        match self.output {
            Output::Json => self.say(&format!("{}\n", serde_json::json!({ "warning": line }))),
            Output::Text => self.sentence(&format!("{} {line}\n", self.style.warning("warning:"))),
        }
    }

    /// An error, its facts, causes and hint.
    pub(crate) fn error(&self, error: &Error, machine: Option<&str>) {
        if let Some(events) = self.events {
            return self.say(&events.line("error", json::object(error, machine)));
        }
        match self.output {
            Output::Json => self.say(&format!("{}\n", json::object(error, machine))),
            Output::Text if self.as_docker_machine => self.say(&crate::docker_machine::says(error, machine)),
            Output::Text => self.sentence(&plain::error(error, machine, self.style)),
        }
    }

    /// Sentences for the person's eyes, as wide as their terminal.
    pub(crate) fn sentence(&self, text: &str) {
        self.say(&self.fitted(text));
    }

    fn fitted(&self, text: &str) -> String {
        let width = if self.terminal.stderr { self.terminal.columns } else { 0 };
        wrap::wrapped(text, width.into())
    }

    /// Asks a question that needs `y` or `n`; only where somebody can answer.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool> {
        let answer = self.ask(&format!("{question} [y/N] "))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks a question and reads one line. An end of input is an empty answer.
    pub(crate) fn ask(&self, question: &str) -> Result<String> {
        self.progress.aside(|| {
            self.write_err(&self.fitted(question));
            let mut answer = String::new();
            BufReader::with_capacity(1, &mut **lock(&self.stdin)).read_line(&mut answer)?;
            if !answer.ends_with('\n') {
                self.write_err("\n");
            }
            Ok(answer)
        })
    }

    /// All of standard input.
    pub(crate) fn read_all(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        lock(&self.stdin).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Text as it is, for the log.
    pub(crate) fn log(&self, text: &str) {
        match self.events {
            Some(events) => {
                self.say(&events.line("log", serde_json::json!({ "message": text.trim_end() })));
            }
            None => self.say(text),
        }
    }

    /// A sentence about a machine, in its log group where there are such.
    fn note_of(&self, machine: &str, line: &str) {
        match &self.groups {
            Some(groups) => {
                let mut groups = lock(groups);
                let text = groups.line(machine, line);
                self.write_err(&text);
            }
            None => self.note(line),
        }
    }

    /// Nothing more is said of a machine.
    fn end_of(&self, machine: &str) {
        if let Some(groups) = &self.groups {
            let mut groups = lock(groups);
            let text = groups.end(machine);
            self.write_err(&text);
        }
    }

    fn say(&self, text: &str) {
        self.progress.aside(|| self.write_err(text));
    }

    /// Progress that nobody can read any more is not worth failing for.
    fn write_err(&self, text: &str) {
        let mut stderr = lock(&self.stderr);
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
