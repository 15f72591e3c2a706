//! From an SSH port that answers to an engine that answers over mutual TLS.
//!
//! ```text
//! connect ─ probe ─▶ Facts ─ plan ─▶ Plan ─ prepare ─▶ request ─ sign ─ activate ─▶ verify ─▶ Outcome
//!           1 round trip              1: agent, key     1: certificate, service     from here, over mTLS
//! ```
//!
//! What this promises:
//! - One SSH connection with a verified host key, three round trips at most (one more where
//!   authorities of registries are brought), and no other network: the host needs
//!   neither a package manager nor the internet.
//! - Everything that could be wrong with the host (architecture, kernel, disk, `noexec`, privileges, a port that
//!   another engine holds) is found by the probe, **before anything changes**. [`preview`] ends there.
//! - Each step is check, act, check: [`provision`] run again repairs what is missing and leaves alone what is right.
//! - The server's key is made on the machine and never leaves it. Nothing secret stands in an argument or a log.
//! - A host that was adopted is not renamed, not updated, and an engine that is there is not touched.
//! - Every wait lies inside the request's deadline and ends in a diagnosis: see [`Error`].

mod error;
mod executable;
mod facts;
mod plan;
mod prepare;
mod preview;
mod probe;
mod progress;
mod provision;
mod registries;
mod remote;
mod remove;
mod renew;
mod request;
mod restart;
mod revoke;
mod rotate;
mod service;
mod upgrade;
mod verify;

pub use error::{Error, Kind};
pub use executable::Architecture;
pub use facts::{Access, AgentFacts, Cgroup, Facts, Folder, Init};
pub use plan::{Plan, Step, Verb};
pub use preview::{Preview, preview};
pub use progress::{Event, Phase, Progress, Timing};
pub use provision::{Outcome, provision};
pub use remove::{Removed, remove};
pub use renew::renew_certificate;
pub use request::{Endpoint, EngineOptions, Request, Visit};
pub use restart::restart;
pub use revoke::revoke;
pub use upgrade::{Upgrade, upgrade};
