//! The resources that there are: one kind a file. Each file says what the provider checks beyond the description, and what
//! it adds to what was sent.

pub(crate) mod address;
pub(crate) mod cidr;
pub(crate) mod disk;
pub(crate) mod interface;
pub(crate) mod kind;
pub(crate) mod machine;
mod name;
pub(crate) mod network;
pub(crate) mod security;
pub(crate) mod view;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub(crate) use kind::Kind;

use crate::body::Body;
use crate::cloud::{Cloud, State};
use crate::error::ArmError;

/// One resource, as the cloud keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) name: String,
    /// The group's name, in lower case.
    pub(crate) group: String,
    pub(crate) location: String,
    /// What was sent and what the provider added, in the newest version's words.
    pub(crate) body: Value,
    pub(crate) provisioning: &'static str,
    /// What the network provider calls the last write.
    pub(crate) last_write: &'static str,
    /// The operation that has not ended.
    pub(crate) busy: Option<String>,
    pub(crate) born: Duration,
    pub(crate) etag: String,
    pub(crate) machine: Option<MachineState>,
}

/// What only a machine has.
#[derive(Debug, Clone)]
pub(crate) struct MachineState {
    pub(crate) power: &'static str,
    pub(crate) body: BodyState,
    /// What became of the last change of its body's power.
    pub(crate) obeys: Obedience,
    /// Whether it ran once: its create succeeded.
    pub(crate) provisioned: bool,
    /// The error of a create that failed.
    pub(crate) failure: Option<ArmError>,
}

/// A machine's body.
#[derive(Debug, Clone, Default)]
pub(crate) enum BodyState {
    /// None, and none is on its way.
    #[default]
    None,
    /// Being made.
    Coming,
    /// There.
    Here(Arc<dyn Body>),
    /// It could not be made, because.
    Failed(String),
}

/// Whether a body does what was asked of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Obedience {
    /// It did, or nothing was asked.
    #[default]
    Done,
    /// It is at it, with so many things to do.
    AtWork(usize),
    /// It could not, because.
    Failed(String),
}

impl Obedience {
    /// Something more is asked.
    pub(crate) fn asked(&mut self) {
        *self = Self::AtWork(if let Self::AtWork(more) = self { *more + 1 } else { 1 });
    }

    /// Something that was asked is over.
    pub(crate) fn over(&mut self, how: Result<(), String>) {
        *self = match (&self, how) {
            (Self::AtWork(more @ 2..), _) => Self::AtWork(more - 1),
            (_, Ok(())) => Self::Done,
            (_, Err(why)) => Self::Failed(why),
        };
    }
}

/// A body sent for a resource, checked against its version's description.
#[derive(Debug)]
pub(crate) struct Put<'c> {
    pub(crate) cloud: &'c Cloud,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) location: String,
    /// What a request can set of what was sent.
    pub(crate) body: Value,
}

impl Put<'_> {
    /// What was sent under `properties`.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.body.pointer(&format!("/properties/{pointer}"))
    }

    /// The text at a place below `properties`.
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).and_then(Value::as_str)
    }

    /// The items of a list below `properties`.
    pub(crate) fn list(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        self.at(pointer).and_then(Value::as_array).into_iter().flatten()
    }
}

/// What the provider checks beyond the description.
pub(crate) fn admit(state: &State, put: &Put<'_>, now: Option<&Resource>) -> Result<(), ArmError> {
    name::check(put.kind, &put.name)?;
    match put.kind {
        Kind::VirtualNetwork => network::admit(state, put),
        Kind::SecurityGroup => security::admit(put),
        Kind::PublicAddress => address::admit(state, put, now),
        Kind::Interface => interface::admit(state, put),
        Kind::Disk => disk::admit(put, now),
        Kind::Machine => machine::admit(state, put, now),
        Kind::AvailabilitySet | Kind::ProximityGroup => Ok(()),
    }
}

/// The body that the provider keeps: what was sent, completed.
pub(crate) fn complete(state: &mut State, put: &Put<'_>, now: Option<&Resource>) -> Value {
    let mut body = put.body.clone();
    if !body["properties"].is_object() {
        body["properties"] = serde_json::json!({});
    }
    match put.kind {
        Kind::VirtualNetwork => network::complete(state, put, &mut body, now),
        Kind::SecurityGroup => security::complete(state, put, &mut body, now),
        Kind::PublicAddress => address::complete(state, put, &mut body, now),
        Kind::Interface => interface::complete(state, put, &mut body, now),
        Kind::Disk => disk::complete(state, put, &mut body, now),
        Kind::Machine => machine::complete(state, put, &mut body, now),
        Kind::AvailabilitySet | Kind::ProximityGroup => {}
    }
    body
}

/// Why this resource cannot go: who uses it.
pub(crate) fn held(state: &State, resource: &Resource, now: Duration) -> Result<(), ArmError> {
    match resource.kind {
        Kind::VirtualNetwork => network::held(state, resource),
        Kind::SecurityGroup => security::held(state, resource),
        Kind::PublicAddress => address::held(state, resource),
        Kind::Interface => interface::held(state, resource, now),
        Kind::Disk => disk::held(state, resource),
        Kind::Machine | Kind::AvailabilitySet | Kind::ProximityGroup => Ok(()),
    }
}

/// An id as a key: ARM compares in any case.
pub(crate) fn key(id: &str) -> String {
    id.trim_end_matches('/').to_ascii_lowercase()
}

/// The id that a reference `{"id": …}` names.
pub(crate) fn reference(value: Option<&Value>) -> Option<&str> {
    value.and_then(|v| v.get("id")).and_then(Value::as_str)
}
