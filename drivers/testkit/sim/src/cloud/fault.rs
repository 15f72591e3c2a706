//! Bad weather on demand. A fault names the calls that it is for and what becomes of them; the person at the controls, or
//! a test, adds and removes them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::random::Random;
use crate::http::Call;

/// Something that goes wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    /// Only calls of this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only calls whose path contains this, in any case.
    #[serde(default)]
    pub path: Option<String>,
    /// Lets so many such calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// Strikes so often; without it, always.
    #[serde(default)]
    pub times: Option<u32>,
    /// Strikes with this probability.
    #[serde(default = "always")]
    pub probability: f64,
    /// What becomes of the call.
    pub effect: Effect,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Effect {
    /// Answers so, and does nothing.
    Refuse {
        /// HTTP status.
        status: u16,
        /// The error's code.
        code: String,
        /// Its message.
        message: String,
        /// Seconds for `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Cuts the connection, and does nothing.
    CutBefore,
    /// Does what was asked, and cuts the connection.
    CutAfter,
    /// Cuts the connection, and does what was asked so many seconds later, in the real cloud's time.
    CutLate {
        /// Until it is done.
        seconds: f64,
    },
    /// Answers so many real milliseconds late.
    Slow {
        /// The delay.
        milliseconds: u64,
    },
    /// Accepts, and fails late.
    FailLater {
        /// The operation's error.
        code: String,
        /// Its message.
        message: String,
    },
    /// Accepts, and never ends.
    NeverEnds,
    /// Accepts, and ends as `Canceled`.
    Cancel,
    /// Takes so many times as long as usual.
    Stretch {
        /// By which time is multiplied.
        factor: f64,
    },
}

fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault for every call of `method` whose path contains `path`.
    pub fn new(method: &str, path: &str, effect: Effect) -> Self {
        let (method, path) = (Some(method.to_owned()), Some(path.to_owned()));
        Self { method, path, skip: 0, times: None, probability: 1.0, effect }
    }

    /// Strikes so often and no more.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn is_for(&self, call: &Call) -> bool {
        let path = call.path.to_ascii_lowercase();
        self.method.as_ref().is_none_or(|m| m.eq_ignore_ascii_case(&call.method))
            && self.path.as_ref().is_none_or(|p| path.contains(&p.to_ascii_lowercase()))
    }

    /// Whether the fault strikes this call that it is for.
    fn strikes(&mut self, random: &mut Random) -> bool {
        if self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.probability < 1.0 && random.fraction() >= self.probability {
            return false;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        true
    }
}

/// The first fault that strikes this call.
pub(crate) fn strike(faults: &mut [Fault], call: &Call, random: &mut Random) -> Option<Effect> {
    faults.iter_mut().filter(|fault| fault.is_for(call)).find_map(|fault| {
        let strikes = fault.strikes(random);
        strikes.then(|| fault.effect.clone())
    })
}

impl Effect {
    /// For how long a cut call is put off, in the real cloud's time.
    pub(crate) fn put_off(&self) -> Option<Duration> {
        match self {
            Self::CutLate { seconds } => Some(Duration::from_secs_f64(seconds.max(0.0))),
            _ => None,
        }
    }
}
