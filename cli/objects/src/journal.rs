//! The journal as numbered objects: each holds one event as a line of a journal's file, or the seal of somebody who took
//! the machine over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use wharf_core::journal::{Lines, parse};
use wharf_core::{Error, Kind, MachineName, Result};

use crate::bucket::{Bucket, Written};
use crate::layout;

/// What is known of journals. Objects in one never change, so each is read once.
#[derive(Debug, Default)]
pub(crate) struct Journals(Mutex<HashMap<(MachineName, u64), BTreeMap<u64, Bytes>>>);

/// A journal as it was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// Its last number, an event's or a seal's.
    pub(crate) last: u64,
    pub(crate) lines: Lines,
}

impl Journals {
    /// Reads the journal of one life of a name.
    pub(crate) async fn read(&self, bucket: &Bucket, name: &MachineName, life: u64) -> Result<Read> {
        let numbers = numbers(&bucket.list(&layout::events(name, life)).await?);
        self.read_numbers(bucket, name, life, numbers).await
    }

    /// Reads a journal that has these numbers.
    pub(crate) async fn read_numbers(
        &self,
        bucket: &Bucket,
        name: &MachineName,
        life: u64,
        numbers: BTreeSet<u64>,
    ) -> Result<Read> {
        let last = numbers.len() as u64;
        if let Some(gap) = (1..=last).find(|number| !numbers.contains(number)) {
            return Err(damaged(name, life, &format!("number {gap} is missing")));
        }
        let known = self.known(name, life);
        let is_copied = !known.is_empty();
        match self.read_rest(bucket, (name, life), numbers.clone(), known).await {
            // What was learnt from others may be damaged where the journal is not.
            Err(error) if error.kind() == Kind::Failed && is_copied => {
                self.read_rest(bucket, (name, life), numbers, BTreeMap::new()).await
            }
            read => read,
        }
        .map(|lines| Read { last, lines })
    }

    async fn read_rest(
        &self,
        bucket: &Bucket,
        (name, life): (&MachineName, u64),
        numbers: BTreeSet<u64>,
        mut known: BTreeMap<u64, Bytes>,
    ) -> Result<Lines> {
        known.retain(|number, _| numbers.contains(number));
        let missing: Vec<u64> = numbers.into_iter().filter(|number| !known.contains_key(number)).collect();
        let reading = missing.into_iter().map(|number| async move {
            let object = bucket.read(&layout::event(name, life, number)).await?;
            let object = object.ok_or_else(|| damaged(name, life, &format!("number {number} is gone")))?;
            Ok::<_, Error>((number, object.bytes))
        });
        let read: Vec<_> = futures_util::stream::iter(reading).buffered(AT_ONCE).try_collect().await?;
        known.extend(read);
        let text: Vec<u8> =
            known.values().filter(|object| !object.starts_with(SEAL)).flatten().copied().collect();
        let lines = parse(&text).map_err(|e| damaged(name, life, &e.to_string()).caused_by(e))?;
        if lines.torn > 0 {
            return Err(damaged(name, life, "its last event is torn"));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((name.clone(), life), known);
        Ok(lines)
    }

    /// Takes what somebody else has read.
    pub(crate) fn learn(&self, name: &MachineName, life: u64, objects: BTreeMap<u64, Bytes>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((name.clone(), life)).or_insert(objects);
    }

    pub(crate) fn known(&self, name: &MachineName, life: u64) -> BTreeMap<u64, Bytes> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(name.clone(), life)).cloned().unwrap_or_default()
    }
}

/// Takes the next number of the journal itself, so that no event of an earlier holder gets it.
pub(crate) async fn seal(bucket: &Bucket, name: &MachineName, life: u64, fence: u64) -> Result<()> {
    let mut next =
        numbers(&bucket.list(&layout::events(name, life)).await?).last().map_or(1, |last| last + 1);
    let text = [SEAL, format!("{fence}}}\n").as_bytes()].concat();
    // What the earlier holder had on its way may get a number meanwhile: then it is an event like any other.
    while let Written::Refused = bucket.create(&layout::event(name, life, next), text.clone()).await? {
        next += 1;
    }
    Ok(())
}

fn numbers(keys: &[Path]) -> BTreeSet<u64> {
    keys.iter().filter_map(|key| key.filename()?.parse().ok()).collect()
}

fn damaged(name: &MachineName, life: u64, because: &str) -> Error {
    Error::new(Kind::Failed, format!("machine `{name}`: its journal in the shared store is damaged: {because}"))
        .fact("journal", layout::events(name, life).to_string())
        .hint(format!(
            "bring the objects back from older versions of them; `wharf rm --force {name}` forgets the machine and \
             leaves what it is made of"
        ))
}

const AT_ONCE: usize = 16;
const SEAL: &[u8] = b"{\"sealed\":";
