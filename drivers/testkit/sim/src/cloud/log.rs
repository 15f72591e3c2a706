//! Every call, counted and kept, so that a test can say how many there were and of what.

use std::collections::BTreeMap;

use serde::Serialize;

/// One call, as it was answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Since the cloud was made, in milliseconds.
    pub at: u64,
    /// GET, PUT, …
    pub method: String,
    /// The path.
    pub path: String,
    /// The api-version asked for.
    pub version: Option<String>,
    /// Of what: `Microsoft.Compute/virtualMachines`, `resourceGroups`, `operations`, `token`, …
    pub of: String,
    /// The status; 0 when the connection was cut.
    pub status: u16,
    /// The error's code, where there is one.
    pub code: Option<String>,
    /// What the client calls the request.
    pub client_request_id: Option<String>,
    /// The version asked for has no description of its own: the body was checked against a neighbour's.
    pub neighbour: bool,
}

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
}

impl Log {
    /// Adds one.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// All of them, oldest first.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// `PUT Microsoft.Compute/virtualMachines` → how often.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(format!("{} {}", entry.method, entry.of)).or_default() += 1;
        }
        counts
    }

    /// Forgets them.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
