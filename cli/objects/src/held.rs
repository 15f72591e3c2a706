//! A lease while it is held: renewed by a task beside the work, asked before every write, and let go of at the end.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::UpdateVersion;
use object_store::path::Path;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wharf_core::{Error, Kind, Result};
use wharf_driver::Clock;

use crate::bucket::{Bucket, Written};
use crate::lease::{self, Record, Taken, Times};

/// A lease that is held.
#[derive(Debug)]
pub(crate) struct Held {
    bucket: Bucket,
    clock: Arc<dyn Clock>,
    times: Times,
    key: Path,
    /// Its number.
    pub(crate) fence: u64,
    /// The life of the machine's name.
    pub(crate) life: u64,
    /// Cancelled when it is lost.
    pub(crate) ended: CancellationToken,
    state: tokio::sync::Mutex<State>,
    until: Mutex<Instant>,
    over: AtomicBool,
    /// Writes whose end nobody saw.
    open: AtomicU32,
    /// Taken by whoever lets go, and dropped once that is done.
    letting_go: Mutex<Option<TaskTrackerToken>>,
}

#[derive(Debug)]
struct State {
    record: Record,
    version: UpdateVersion,
}

impl Held {
    pub(crate) fn new(
        bucket: Bucket,
        clock: Arc<dyn Clock>,
        times: Times,
        key: Path,
        (taken, ended): (Taken, CancellationToken),
    ) -> Self {
        Self {
            bucket,
            clock,
            times,
            key,
            fence: taken.record.fence,
            life: taken.record.life,
            ended,
            until: Mutex::new(taken.sent + times.certain()),
            state: tokio::sync::Mutex::new(State { record: taken.record, version: taken.version }),
            over: AtomicBool::new(false),
            open: AtomicU32::new(0),
            letting_go: Mutex::default(),
        }
    }

    /// An error unless it is held for longer than one call may take, renewing it where that is needed.
    pub(crate) async fn outlasts_a_call(&self) -> Result<()> {
        if !self.is_over() && self.left() <= self.times.call {
            // What is wrong shows below.
            let _ = self.renew().await;
        }
        if self.is_over() || self.left() <= self.times.call { Err(lost()) } else { Ok(()) }
    }

    /// Says that it is still held, and finds out whether it is.
    pub(crate) async fn renew(&self) -> Result<()> {
        self.write(|_| {}).await
    }

    /// Gives up the machine and its lock in one.
    pub(crate) async fn forget(&self) -> Result<()> {
        self.write(|record| {
            record.life = 0;
            record.holder = None;
            record.settled = true;
        })
        .await?;
        self.over.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// It is somebody else's.
    pub(crate) fn lose(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.ended.cancel();
    }

    /// A write begins. Unless [`Self::closed`] follows, whoever comes next reckons with it.
    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    /// The end of a write was seen.
    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Keeps it until `released`, then lets go. `_pass` is who is next in this program.
    pub(crate) async fn keep(self: Arc<Self>, released: CancellationToken, pass: OwnedMutexGuard<()>) {
        while !self.is_over() && !released.is_cancelled() {
            tokio::select! {
                () = released.cancelled() => break,
                () = self.clock.sleep(self.pause()) => {}
            }
            tokio::select! {
                () = released.cancelled() => break,
                renewed = self.renew() => if let Err(error) = renewed {
                    tracing::debug!(lease = %self.key, %error, "the lease was not renewed");
                },
                () = self.clock.sleep(self.left()) => {}
            }
            if self.left().is_zero() {
                self.lose();
            }
        }
        if !self.is_over() {
            let settled = self.open.load(Ordering::SeqCst) == 0;
            let let_go = self.write(|record| {
                record.holder = None;
                record.settled = settled;
            });
            if let Err(error) = let_go.await {
                tracing::debug!(lease = %self.key, %error, "the lease was not let go of: it runs out by itself");
            }
        }
        drop(pass);
        released.cancelled().await;
        drop(self.letting_go.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whoever waits for the letting go waits for `token`.
    pub(crate) fn is_let_go_of(&self, token: TaskTrackerToken) {
        *self.letting_go.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    async fn write(&self, change: impl Fn(&mut Record)) -> Result<()> {
        let mut state = self.state.lock().await;
        for _ in 0..2 {
            if self.is_over() {
                break;
            }
            let sent = self.clock.now();
            let mut next = state.record.clone();
            next.beat += 1;
            change(&mut next);
            if let Written::Done(version) =
                self.bucket.update(&self.key, next.bytes()?, &state.version).await?
            {
                *state = State { record: next, version };
                *self.until.lock().unwrap_or_else(PoisonError::into_inner) = sent + self.times.certain();
                return Ok(());
            }
            // An earlier write of ours, whose end nobody saw, may have got there.
            match lease::read(&self.bucket, &self.key).await? {
                Some((record, version, _))
                    if record.token == state.record.token && record.holder.is_some() =>
                {
                    *state = State { record, version };
                }
                _ => break,
            }
        }
        self.lose();
        Err(lost())
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn left(&self) -> Duration {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.saturating_duration_since(self.clock.now())
    }

    /// A third of the time; sooner where the last renewal failed.
    fn pause(&self) -> Duration {
        let third = self.times.lease / 3;
        if self.left() > third * 2 { third } else { self.times.poll.min(third) }
    }
}

pub(crate) fn lost() -> Error {
    Error::new(Kind::Locked, "the lock was lost to another command")
        .hint("run the command again: it goes on where it stopped")
}
