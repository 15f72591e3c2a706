//! Who holds what: one object a subject, changed only from what was read, and how it is taken.
//!
//! ```text
//!            take                      every third of its time
//!   free ────────────► held ◄──────────────────────────────┐
//!    ▲                  │ └─────────────────────────────────┘
//!    │ let go, unlock   │ stood unchanged for as long as it lasts, as seen by whoever waits
//!    └──────────────────┴──► held by the next, which seals what the last one may have on its way
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::UpdateVersion;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use wharf_core::store::{Subject, Wait};
use wharf_core::{Error, Kind, Result};
use wharf_driver::Clock;

use crate::bucket::{Bucket, Written};
use crate::layout;

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// How long a lease outlasts its last renewal. It is renewed every third of that.
    pub lease: Duration,
    /// How often somebody who waits looks.
    pub poll: Duration,
    /// How long one call to the store may take; less than half of a lease.
    pub call: Duration,
}

impl Times {
    /// Those of a lease that lasts this long; `None` where no call would fit into it.
    #[must_use]
    pub fn of(lease: Duration) -> Option<Self> {
        let usual = Self::default();
        let call = usual.call.min(lease / 3);
        (lease >= LEAST).then(|| Self { lease, poll: usual.poll.min(lease / 6), call })
    }

    /// For how long its holder counts on a lease: less than others wait, since no two clocks run alike.
    pub(crate) fn certain(&self) -> Duration {
        self.lease - self.lease / 10
    }
}

impl Default for Times {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), poll: Duration::from_secs(1), call: Duration::from_secs(8) }
    }
}

/// What the object of a lease says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Goes up with every taking.
    pub(crate) fence: u64,
    /// Made anew with every taking, so that nobody takes another's record for its own.
    pub(crate) token: String,
    /// Goes up with every writing, so that no two are the same.
    pub(crate) beat: u64,
    /// Who holds it; nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<Holder>,
    /// Whether the last holder had nothing on its way when it let go.
    #[serde(default)]
    pub(crate) settled: bool,
    /// Which life of a machine's name is the current one: the fence that it began with; 0 where there is none.
    #[serde(default)]
    pub(crate) life: u64,
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) command: String,
    pub(crate) person: String,
    pub(crate) process: u32,
    /// For people; nothing is decided by it.
    pub(crate) since: u64,
    pub(crate) lasts_ms: u64,
}

/// A lease as it was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) record: Record,
    pub(crate) version: UpdateVersion,
    /// From when on it lasts.
    pub(crate) sent: Instant,
    /// Whether the holder before may have something on its way.
    pub(crate) unsettled: bool,
}

impl Holder {
    /// For the person who waits.
    pub(crate) fn describe(&self) -> String {
        format!("`{}` of {} (process {})", self.command, self.person, self.process)
    }
}

impl Record {
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::new(Kind::Failed, format!("cannot write a lock: {e}")))
    }

    /// What follows when `holder` takes it.
    fn next(before: Option<&Self>, holder: Holder, token: String, is_machine: bool) -> Self {
        let fence = before.map_or(0, |record| record.fence) + 1;
        let life = before.map_or(0, |record| record.life);
        let life = if is_machine && life == 0 { fence } else { life };
        Self { fence, token, beat: 0, holder: Some(holder), settled: false, life }
    }
}

/// What the lease's object says; `None` when nobody has ever held it.
pub(crate) async fn read(bucket: &Bucket, key: &Path) -> Result<Option<(Record, UpdateVersion, Bytes)>> {
    let Some(object) = bucket.read(key).await? else { return Ok(None) };
    let record = serde_json::from_slice(&object.bytes).map_err(|e| {
        Error::new(Kind::Failed, format!("`{key}` in the shared store is damaged: {e}"))
            .hint("bring the object back from an older version of it: the numbers in it must not come again")
    })?;
    Ok(Some((record, object.version, object.bytes)))
}

/// Takes the lease of `subject` for `holder`, or says who holds it.
pub(crate) async fn take(
    bucket: &Bucket,
    clock: &dyn Clock,
    times: Times,
    (subject, holder, token): (&Subject, Holder, String),
    wait: &Wait<'_>,
) -> Result<Taken> {
    let key = layout::lease(subject);
    let is_machine = matches!(subject, Subject::Machine(_));
    let mut watch = Watch::default();
    let mut unheard = 0;
    loop {
        let looked = clock.now();
        let there = read(bucket, &key).await?;
        let (before, version) = match &there {
            None => (None, None),
            Some((record, version, bytes)) => {
                let free = record.token == token || watch.may_take(record, bytes, clock);
                (free.then_some(record), Some(version))
            }
        };
        if there.is_none() || before.is_some() {
            let record = Record::next(before, holder.clone(), token.clone(), is_machine);
            // What was written without an answer may get there as soon as it was not found.
            let sent = if unheard == 0 { clock.now() } else { looked };
            let written = match version {
                None => bucket.create(&key, record.bytes()?).await,
                Some(version) => bucket.update(&key, record.bytes()?, version).await,
            };
            match written {
                Ok(Written::Done(version)) => {
                    let unsettled = before.is_some_and(|record| record.holder.is_some() || !record.settled);
                    return Ok(Taken { record, version, sent, unsettled });
                }
                Ok(Written::Refused) => {} // Somebody was quicker.
                // Nothing hangs on it yet. Whether it got there is seen above; then it is ours, and taken once more.
                Err(error) if error.kind() == Kind::Unreachable && unheard < UNHEARD => unheard += 1,
                Err(error) => return Err(error),
            }
            continue;
        }
        let by =
            there.and_then(|(record, ..)| record.holder).map_or_else(String::new, |holder| holder.describe());
        watch.say_once(&by, wait);
        pause(clock, times.poll, subject, &by, wait).await?;
    }
}

/// Takes the lease from whoever holds it, for nobody. What that one has on its way is sealed by the next.
pub(crate) async fn free(bucket: &Bucket, key: &Path, token: String) -> Result<()> {
    while let Some((mut record, version, _)) = read(bucket, key).await? {
        if record.holder.take().is_none() {
            break;
        }
        record.token.clone_from(&token);
        record.settled = false;
        if let Written::Done(_) = bucket.update(key, record.bytes()?, &version).await? {
            break;
        }
    }
    Ok(())
}

/// Waits a moment for `subject`, which `by` holds.
pub(crate) async fn pause(
    clock: &dyn Clock,
    pause: Duration,
    subject: &Subject,
    by: &str,
    wait: &Wait<'_>,
) -> Result<()> {
    if clock.now() >= wait.until {
        return Err(Error::new(Kind::Locked, format!("{} is held by {by}", subject.describe())).hint(
            "wait until that command has ended, or end it; the lock of one that was killed runs out by itself, and \
             `wharf unlock` frees it at once",
        ));
    }
    tokio::select! {
        () = wait.cancel.cancelled() => Err(interrupted()),
        () = clock.sleep(pause) => Ok(()),
    }
}

pub(crate) fn interrupted() -> Error {
    Error::new(Kind::Cancelled, "interrupted while waiting for a lock")
}

const LEAST: Duration = Duration::from_secs(3);
/// How many takings without an answer are followed by another one.
const UNHEARD: u32 = 2;

/// What somebody who waits has seen.
#[derive(Debug, Default)]
struct Watch {
    last: Option<(Bytes, Instant)>,
    said: bool,
}

impl Watch {
    /// Whether it is free, or has stood as it is for as long as it lasts. The time counts from when it was seen.
    fn may_take(&mut self, record: &Record, bytes: &Bytes, clock: &dyn Clock) -> bool {
        let Some(holder) = &record.holder else { return true };
        let now = clock.now();
        match &self.last {
            Some((seen, since)) if seen == bytes => {
                now.saturating_duration_since(*since) >= Duration::from_millis(holder.lasts_ms)
            }
            _ => {
                self.last = Some((bytes.clone(), now));
                false
            }
        }
    }

    fn say_once(&mut self, by: &str, wait: &Wait<'_>) {
        if !self.said {
            (wait.held)(by);
            self.said = true;
        }
    }
}
