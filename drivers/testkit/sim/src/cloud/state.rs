//! What a cloud holds, and how it changes by itself as time passes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::deployment::Deployment;
use super::fault::Fault;
use super::log::Log;
use super::operation::Operation;
use super::random::Random;
use super::throttle::Buckets;
use crate::http::Call;
use crate::resource::{Kind, Resource, key};

/// Everything in the subscription, and what is still to happen.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) resources: BTreeMap<String, Resource>,
    pub(crate) operations: BTreeMap<String, Operation>,
    pub(crate) deployments: BTreeMap<String, Deployment>,
    due: BTreeMap<(Duration, u64), Due>,
    counter: u64,
    pub(crate) buckets: Buckets,
    pub(crate) faults: Vec<Fault>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) random: Random,
    pub(crate) log: Log,
    /// Interfaces that a failed machine still reserves: for whom, until when.
    pub(crate) reserved: BTreeMap<String, (String, Duration)>,
    /// Namespaces, and whether they are registered (`Registering` until the moment).
    pub(crate) registered: BTreeMap<String, Duration>,
    /// What a list shows although it is gone.
    pub(crate) ghosts: Vec<(Duration, Resource)>,
    /// Work for bodies, taken once the lock is free.
    pub(crate) orders: Vec<Order>,
    pub(crate) jtis: BTreeSet<String>,
    /// How each was asked for, and whether it was typed in.
    pub(crate) device_codes: BTreeMap<String, (BTreeMap<String, String>, bool)>,
}

/// A resource group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) tags: serde_json::Value,
    pub(crate) provisioning: &'static str,
    pub(crate) born: Duration,
    pub(crate) managed_by: Option<String>,
}

/// Something that happens at its time.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    /// The operation ends.
    End(String),
    /// The machine boots: its body is made.
    Boot(String),
    /// The deployment goes on.
    Deploy(String),
    /// A call whose connection was cut is carried out.
    Late(Box<Call>),
}

/// What is to be done with a body.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Create(String),
    Start(String),
    Stop(String),
    Restart(String),
    Destroy(String, std::sync::Arc<dyn crate::body::Body>),
    Rules(String),
}

impl Order {
    /// The machine that it is about.
    pub(crate) fn machine(&self) -> &str {
        match self {
            Self::Create(id)
            | Self::Start(id)
            | Self::Stop(id)
            | Self::Restart(id)
            | Self::Rules(id)
            | Self::Destroy(id, _) => id,
        }
    }
}

/// A policy assignment that denies.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Policy {
    /// What it is called.
    pub name: String,
    /// The type that it is about, as `Microsoft.Network/publicIPAddresses`.
    pub resource_type: String,
    /// Denied unless this tag is there; without it, always.
    #[serde(default)]
    pub unless_tag: Option<String>,
}

impl State {
    pub(crate) fn new(seed: u64, registered: &[String]) -> Self {
        Self {
            groups: BTreeMap::new(),
            resources: BTreeMap::new(),
            operations: BTreeMap::new(),
            deployments: BTreeMap::new(),
            due: BTreeMap::new(),
            counter: 0,
            buckets: Buckets::default(),
            faults: Vec::new(),
            policies: Vec::new(),
            random: Random::new(seed),
            log: Log::default(),
            reserved: BTreeMap::new(),
            registered: registered.iter().map(|n| (n.to_ascii_lowercase(), Duration::ZERO)).collect(),
            ghosts: Vec::new(),
            orders: Vec::new(),
            jtis: BTreeSet::new(),
            device_codes: BTreeMap::new(),
        }
    }

    /// Puts something off until `at`.
    pub(crate) fn schedule(&mut self, at: Duration, what: Due) {
        self.counter += 1;
        self.due.insert((at, self.counter), what);
    }

    /// The next thing that is due by `now`, and when it was.
    pub(crate) fn next_due(&mut self, now: Duration) -> Option<(Duration, Due)> {
        let first = self.due.first_key_value().map(|(key, _)| *key).filter(|(at, _)| *at <= now)?;
        self.due.remove(&first).map(|due| (first.0, due))
    }

    /// Whether this operation ends by `now`.
    pub(crate) fn ends_by(&self, operation: &str, now: Duration) -> bool {
        let due = self.due.range(..=(now, u64::MAX));
        due.into_iter().any(|(_, due)| matches!(due, Due::End(id) if id == operation))
    }

    /// When the next thing is due.
    pub(crate) fn next_moment(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The resource of this id.
    pub(crate) fn resource(&self, id: &str) -> Option<&Resource> {
        self.resources.get(&key(id))
    }

    /// The resource of this id, if it is of this kind.
    pub(crate) fn of(&self, kind: Kind, id: &str) -> Option<&Resource> {
        self.resource(id).filter(|resource| resource.kind == kind)
    }

    /// Every resource of a kind.
    pub(crate) fn every(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        self.resources.values().filter(move |resource| resource.kind == kind)
    }
}
