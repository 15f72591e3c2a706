//! What is being done now, one line a machine: drawn in place on a terminal, one plain line a step elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wharf_core::{Event, MachineName, Phase, Sink, What};

use super::bars::{Bar, Bars};
use super::{Ui, lock};

/// How progress is shown.
pub(super) enum Progress {
    Plain,
    Bars(Bars),
}

impl Progress {
    /// Does something that prints, without bars in the way.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match self {
            Self::Plain => print(),
            Self::Bars(bars) => bars.aside(print),
        }
    }

    fn bar(&self, machine: &str) -> Option<Bar> {
        match self {
            Self::Plain => None,
            Self::Bars(bars) => Some(bars.add(machine)),
        }
    }
}

/// The lines of the machines that a command works on.
#[derive(Clone)]
pub(crate) struct Board {
    ui: Arc<Ui>,
    lines: Arc<Mutex<HashMap<MachineName, Line>>>,
    /// What a change of power is called.
    powering: &'static str,
}

struct Line {
    bar: Option<Bar>,
    last: String,
    started: Instant,
}

impl Line {
    fn new() -> Self {
        Self { bar: None, last: String::new(), started: Instant::now() }
    }
}

impl Board {
    pub(crate) fn new(ui: &Arc<Ui>) -> Self {
        Self { ui: Arc::clone(ui), lines: Arc::default(), powering: "changing its power" }
    }

    /// For a command that changes power in one way only, which `word` says.
    pub(crate) fn powering(self, word: &'static str) -> Self {
        Self { powering: word, ..self }
    }

    /// Where the engine's verbs report.
    pub(crate) fn sink(&self) -> Sink {
        let board = self.clone();
        Sink::new(move |event| board.show(&event))
    }

    /// Takes the machine's line off the screen and says how long it stood there.
    pub(crate) fn end(&self, machine: &MachineName) -> Duration {
        let line = lock(&self.lines).remove(machine);
        line.map_or(Duration::ZERO, |line| {
            if let Some(bar) = &line.bar {
                bar.remove();
            }
            let took = line.started.elapsed();
            if let Some(events) = self.ui.events {
                let fields = serde_json::json!({ "machine": machine, "seconds": took.as_secs_f64() });
                self.ui.say(&events.line("end", fields));
            }
            self.ui.end_of(machine.as_str());
            took
        })
    }

    fn show(&self, event: &Event) {
        let said = match &event.what {
            What::Phase(Phase::Powering) => self.powering.to_owned(),
            What::Phase(phase) => sentence(*phase).to_owned(),
            What::StepStarted { summary, .. } => summary.clone(),
            What::Doing(what) | What::Warning(what) => what.clone(),
            What::Waiting { holder } => format!("waiting for {holder}"),
            What::StepDone { name } | What::StepFailed { name } => name.clone(),
        };
        if let Some(events) = self.ui.events {
            lock(&self.lines).entry(event.machine.clone()).or_insert_with(Line::new);
            return self.ui.say(&events.of(event, &said));
        }
        match &event.what {
            What::Warning(_) => self.ui.warn(&format!("{}: {said}", event.machine)),
            What::StepDone { .. } | What::StepFailed { .. } => {}
            _ => self.step(&event.machine, &said),
        }
    }

    fn step(&self, machine: &MachineName, what: &str) {
        let mut lines = lock(&self.lines);
        let line = lines
            .entry(machine.clone())
            .or_insert_with(|| Line { bar: self.ui.progress.bar(machine.as_str()), ..Line::new() });
        let before = std::mem::replace(&mut line.last, what.to_owned());
        match &line.bar {
            Some(bar) => bar.step(what),
            None if before.is_empty() || !same_but_for_numbers(&before, what) => {
                self.ui.note_of(machine.as_str(), &format!("{machine}: {what}"));
            }
            None => {}
        }
    }
}

/// Whether a step only got further: where lines stay, one of those is enough.
fn same_but_for_numbers(before: &str, after: &str) -> bool {
    let bare = |text: &str| {
        let words = text.replace(|c: char| c.is_ascii_digit(), "");
        words.trim_end_matches([' ', '%', ':']).to_owned()
    };
    bare(before) == bare(after)
}

const fn sentence(phase: Phase) -> &'static str {
    match phase {
        Phase::Checking => "checking what can be checked beforehand",
        Phase::Settling => "finding out what an earlier command left",
        Phase::Making => "making the machine",
        Phase::Addressing => "waiting for its address",
        Phase::Bootstrapping => "bringing the agent to it",
        Phase::Powering => "changing its power",
        Phase::Certifying => "making new certificates",
        Phase::Upgrading => "changing its agent",
        Phase::Revoking => "taking certificates back",
        Phase::Marking => "putting its tags back",
        Phase::Removing => "removing it",
    }
}

#[cfg(test)]
mod tests {
    use super::same_but_for_numbers;

    #[test]
    fn a_step_that_got_further_is_the_same_step() {
        assert!(same_but_for_numbers("uploading: 1 %", "uploading: 100 %"));
        assert!(same_but_for_numbers("uploading", "uploading: 0 %"));
        assert!(!same_but_for_numbers("uploading: 100 %", "starting"));
    }
}
