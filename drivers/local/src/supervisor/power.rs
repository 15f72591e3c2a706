//! Stopping gently: the power button, again and again since a guest that still boots does not notice it, and the plug
//! when that did not help.

use std::io;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::qmp::{Qmp, QmpError};

/// What others ask of the supervisor, as signals.
pub(super) struct Requests {
    stop: Signal,
    /// Taken so that they do not end us: a closed terminal or Ctrl-C is none of our business.
    _ignored: [Signal; 2],
}

impl Requests {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            stop: signal(SignalKind::terminate())?,
            _ignored: [signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?],
        })
    }

    /// Somebody wants the machine stopped gently; this computer going down is somebody, too.
    pub(super) async fn stop(&mut self) {
        self.stop.recv().await;
    }
}

/// A stop on its way.
pub(super) struct Stopping {
    next: Instant,
    plug: Instant,
}

/// What to press now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Press {
    Button,
    Plug,
}

/// How long a guest may take. Its own shutdown gives every process ten seconds.
const PATIENCE: Duration = Duration::from_secs(25);
const AGAIN: Duration = Duration::from_secs(2);

impl Stopping {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Self { next: now, plug: now + PATIENCE }
    }

    /// The next press, when its time has come.
    pub(super) async fn next_press(&mut self) -> Press {
        sleep_until(self.next).await;
        let press = if self.next >= self.plug { Press::Plug } else { Press::Button };
        self.next += AGAIN;
        press
    }
}

impl Press {
    pub(super) async fn perform(self, qmp: &mut Qmp) -> Result<(), QmpError> {
        let command = match self {
            Self::Button => "system_powerdown",
            Self::Plug => "quit",
        };
        match qmp.execute(command, json!({})).await {
            // It went down meanwhile, which is what was wanted.
            Err(QmpError::Closed | QmpError::Io(_)) => Ok(()),
            other => other.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_button_comes_first_and_the_plug_last() {
        let begun = Instant::now();
        let mut stopping = Stopping::begin();
        assert_eq!(stopping.next_press().await, Press::Button);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        while stopping.next_press().await == Press::Button {}
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() <= PATIENCE + AGAIN);
    }
}
