//! Lines that change in place, by indicatif.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// All lines on the terminal.
pub(crate) struct Bars(MultiProgress);

/// One of them.
pub(crate) struct Bar {
    all: MultiProgress,
    bar: ProgressBar,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(15)))
    }

    pub(super) fn add(&self, machine: &str) -> Bar {
        let style = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = self.0.add(ProgressBar::new_spinner().with_style(style).with_prefix(machine.to_owned()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Bar { all: self.0.clone(), bar }
    }

    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Bar {
    pub(super) fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Takes the line off the screen. Doing it twice is harmless.
    pub(super) fn remove(&self) {
        self.bar.finish_and_clear();
        self.all.remove(&self.bar);
    }
}
