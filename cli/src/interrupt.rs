//! What Ctrl-C does: the first one ends the command cleanly, with everything made so far in the journal; the second one
//! ends the process at once, which is safe too, since the journal is written before anything is done.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::ui::Ui;

/// The exit code of a process that a second interrupt ended, as shells count it.
const INTERRUPTED: i32 = 130;

/// Watches for interrupts from now on; `cancel` is cancelled by the first one.
pub(crate) fn watch(ui: &Arc<Ui>, cancel: &CancellationToken) {
    let (token, ui) = (cancel.clone(), Arc::clone(ui));
    let mut stops = Stops::listen();
    tokio::spawn(async move {
        let _ = stops.next().await;
        token.cancel();
        ui.note("stopping: what was made stands in the journal; press Ctrl-C again to leave at once");
        let _ = stops.next().await;
        leave();
    });
}

#[expect(clippy::exit, reason = "the second interrupt means now: no destructor may delay it")]
fn leave() -> ! {
    std::process::exit(INTERRUPTED)
}

/// How this process was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the terminal, whose other programs were asked, too.
    Interrupt,
    /// This process alone.
    Terminate,
}

/// Every time that the person, or whoever ends processes, wants this one to stop, from the beginning on: no moment is
/// left in which it would end it without a word.
#[cfg(unix)]
pub(crate) struct Stops(Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>);

#[cfg(unix)]
impl Stops {
    /// Listens from now on.
    pub(crate) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self(signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok()))
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Stop {
        let Some((interrupt, terminate)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => Stop::Interrupt,
            _ = terminate.recv() => Stop::Terminate,
        }
    }
}

/// Every time that the person wants this process to stop.
#[cfg(not(unix))]
pub(crate) struct Stops;

#[cfg(not(unix))]
impl Stops {
    /// Listens from now on.
    pub(crate) const fn listen() -> Self {
        Self
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Stop {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Stop::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Ends when the person, or whoever ends processes, wants this one to stop.
pub(crate) async fn asked_to_stop() -> Stop {
    Stops::listen().next().await
}
