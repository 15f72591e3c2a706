//! Threads for calls that block: capped, and ended with the future that waits for them.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::net::{Shutdown, shutdown};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Error;

/// Runs `work` off the async threads. When the future is dropped, `socket` is shut down, so that the thread finds its
/// connection broken and ends instead of living on until the deadline.
pub(crate) async fn blocking<T: Send + 'static>(
    socket: Arc<OwnedFd>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let _place = place(&CALLS).await?;
    let hang_up = HangUp(Some(socket));
    let result = tokio::task::spawn_blocking(work).await;
    hang_up.disarm();
    result.map_err(|error| Error::Protocol(format!("the thread of an SSH connection failed: {error}")))?
}

/// A place for one tunnel's thread. Tunnels have places of their own: a call may wait for a tunnel, never the reverse.
pub(crate) async fn tunnel_place() -> Result<SemaphorePermit<'static>, Error> {
    place(&TUNNELS).await
}

async fn place(places: &'static Semaphore) -> Result<SemaphorePermit<'static>, Error> {
    places.acquire().await.map_err(|_| Error::Protocol("the threads for SSH are gone".to_owned()))
}

/// Shuts a socket down unless disarmed.
struct HangUp(Option<Arc<OwnedFd>>);

impl HangUp {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            // It may be closed already.
            let _ = shutdown(socket.as_ref(), Shutdown::Both);
        }
    }
}

// Threads belong to the process, and so does their cap.
static CALLS: Semaphore = Semaphore::const_new(64);
static TUNNELS: Semaphore = Semaphore::const_new(64);
