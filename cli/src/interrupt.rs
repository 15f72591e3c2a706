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
    tokio::spawn(async move {
        let _ = asked_to_stop().await;
        token.cancel();
        ui.note("stopping: what was made stands in the journal; press Ctrl-C again to leave at once");
        let _ = asked_to_stop().await;
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

/// Ends when the person, or whoever ends processes, wants this one to stop.
#[cfg(unix)]
pub(crate) async fn asked_to_stop() -> Stop {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Stop::Interrupt,
        _ = terminate.recv() => Stop::Terminate,
    }
}

/// Ends when the person wants this process to stop.
#[cfg(not(unix))]
pub(crate) async fn asked_to_stop() -> Stop {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Stop::Interrupt,
        Err(_) => std::future::pending().await,
    }
}
