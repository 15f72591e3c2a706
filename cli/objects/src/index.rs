//! Reading a fleet at once: one list says which events there are, and one object has copies of them.
//!
//! The index is a cache and nothing more. What an event's object holds never changes, so a copy is good for as long as
//! the list shows its number; what the list shows and the index lacks is read from the journals, and then the index is
//! written anew. Nobody needs it, and whoever may only read leaves it as it is.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use wharf_core::MachineName;

use crate::bucket::{Bucket, Object};
use crate::layout;

/// The copies, by name.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Index(pub(crate) BTreeMap<MachineName, Row>);

/// Copies of the first objects of a journal.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) life: u64,
    pub(crate) objects: Vec<String>,
}

/// One life of a name, as the list shows it.
#[derive(Debug, Default)]
pub(crate) struct Life {
    pub(crate) numbers: BTreeSet<u64>,
    over: bool,
}

/// Which machines there are, and the life of each with the numbers in its journal.
pub(crate) async fn list(bucket: &Bucket) -> wharf_core::Result<BTreeMap<MachineName, (u64, Life)>> {
    let mut all: BTreeMap<MachineName, BTreeMap<u64, Life>> = BTreeMap::new();
    for key in bucket.list(&layout::machines()).await? {
        let _ = note(&mut all, &key);
    }
    let last = all.into_iter().filter_map(|(name, lives)| {
        let mut begun = lives.into_iter().filter(|(_, life)| !life.numbers.is_empty());
        let last = begun.next_back().filter(|(_, life)| !life.over)?;
        Some((name, last))
    });
    Ok(last.collect())
}

fn note(all: &mut BTreeMap<MachineName, BTreeMap<u64, Life>>, key: &Path) -> Option<()> {
    let mut parts = key.parts().skip(1);
    let name = parts.next()?.as_ref().parse().ok()?;
    let number = parts.next()?.as_ref().parse().ok()?;
    let life = all.entry(name).or_default().entry(number).or_default();
    match parts.next()?.as_ref() {
        "events" => drop(life.numbers.insert(parts.next()?.as_ref().parse().ok()?)),
        "forgotten" => life.over = true,
        _ => {}
    }
    Some(())
}

/// The index, and the object that it is; one that cannot be read is one that lacks everything.
pub(crate) async fn read(bucket: &Bucket) -> (Index, Option<Object>) {
    let object = bucket.read(&layout::index()).await.ok().flatten();
    let index = object.as_ref().and_then(|object| serde_json::from_slice(&object.bytes).ok());
    (index.unwrap_or_default(), object)
}

/// Writes the index anew, if that can be done now.
pub(crate) async fn write(bucket: &Bucket, index: &Index, before: Option<Object>) {
    let Ok(bytes) = serde_json::to_vec(index) else { return };
    let written = match before {
        None => bucket.create(&layout::index(), bytes).await,
        Some(object) => bucket.update(&layout::index(), bytes, &object.version).await,
    };
    if let Err(error) = written {
        tracing::debug!(%error, "the index of the store stays as it is");
    }
}

impl Row {
    pub(crate) fn of(life: u64, objects: &BTreeMap<u64, Bytes>) -> Self {
        let texts = objects.values().map(|object| String::from_utf8_lossy(object).into_owned());
        Self { life, objects: texts.collect() }
    }

    pub(crate) fn copies(self) -> BTreeMap<u64, Bytes> {
        (1..).zip(self.objects.into_iter().map(Bytes::from)).collect()
    }
}
