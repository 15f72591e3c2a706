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
        asked_to_stop().await;
        token.cancel();
        ui.note("stopping: what was made stands in the journal; press Ctrl-C again to leave at once");
        asked_to_stop().await;
        leave();
    });
}

#[expect(clippy::exit, reason = "the second interrupt means now: no destructor may delay it")]
fn leave() -> ! {
    std::process::exit(INTERRUPTED)
}

#[cfg(unix)]
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
