//! What an account knows beside what moto does: who asked with which token, and how far each instance is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wharf_sim::body::Body;

use crate::config::Durations;
use crate::credential::Standing;
use crate::throttle::Buckets;

/// Everything, behind one lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By token: a digest of what was asked for, and the instance.
    pub(crate) tokens: BTreeMap<String, (u64, String)>,
    pub(crate) instances: BTreeMap<String, Life>,
    /// When groups and addresses were made, by id.
    pub(crate) made: BTreeMap<String, f64>,
    /// Elastic addresses by their ids.
    pub(crate) elastic: BTreeMap<String, String>,
    /// What became of the account's key.
    pub(crate) standing: Standing,
    pub(crate) buckets: Buckets,
    /// Actions in the order they came.
    pub(crate) calls: Vec<String>,
    /// The actions of calls that the limits refused.
    pub(crate) refused: Vec<String>,
    /// Requests that are still to be carried out.
    pub(crate) late: usize,
}

impl State {
    /// Where an instance is reached from outside now; `None` where it has no such address or is off.
    pub(crate) fn address(&self, life: &Life) -> Option<String> {
        life.elastic.as_ref().and_then(|id| self.elastic.get(id)).cloned().or_else(|| life.address())
    }
}

/// One instance.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) born: f64,
    /// What it is on its way to, and since when.
    pub(crate) phase: Phase,
    pub(crate) since: f64,
    pub(crate) groups: Vec<String>,
    pub(crate) spot: bool,
    /// Whether it has a public address while it is up.
    pub(crate) public: bool,
    /// The id of the elastic address that it has.
    pub(crate) elastic: Option<String>,
    /// Its IPv6 addresses, which stay.
    pub(crate) ipv6: Vec<String>,
    /// How often it was started.
    pub(crate) starts: usize,
    /// Its number among all.
    pub(crate) number: usize,
    /// Why it ends before it runs.
    pub(crate) early: Option<String>,
    /// What stands behind it, once it is there.
    pub(crate) body: Option<Arc<dyn Body>>,
    /// How much of what was asked of what stands behind it is not done yet.
    pub(crate) asked: usize,
    /// Where it is reached, when something real stands behind it.
    pub(crate) fixed: Option<String>,
}

/// What an instance is on its way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Stopped,
    Terminated,
}

impl Life {
    /// Its state at `now`: name and code.
    pub(crate) fn state(&self, now: f64, durations: &Durations) -> (&'static str, u16) {
        let passed = now - self.since;
        let over = |duration: Duration| passed >= duration.as_secs_f64();
        match self.phase {
            Phase::Running if self.early.is_some() && over(durations.boot / 2) => ("terminated", 48),
            Phase::Running if self.asked > 0 || !over(durations.boot) => ("pending", 0),
            Phase::Running => ("running", 16),
            Phase::Stopped if self.asked > 0 || !over(durations.stop) => ("stopping", 64),
            Phase::Stopped => ("stopped", 80),
            Phase::Terminated if self.asked > 0 || !over(durations.end) => ("shutting-down", 32),
            Phase::Terminated => ("terminated", 48),
        }
    }

    /// Its passing public address now; `None` where it has none or is off.
    pub(crate) fn address(&self) -> Option<String> {
        let up = self.phase == Phase::Running && self.public;
        let passing = || format!("203.{}.{}.{}", self.starts % 200, self.number / 250, self.number % 250 + 1);
        up.then(|| self.fixed.clone().unwrap_or_else(passing))
    }
}
