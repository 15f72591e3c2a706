//! What is done with machines, one verb a file, in journal order: what is intended is on the disk before it is done.
//!
//! A verb is one future without tasks of its own. Dropping it, like killing the process, stops it between two events;
//! whatever it had begun is found again by the next verb.

mod admission;
mod certificates;
mod collect;
mod connection;
mod create;
mod credentials;
mod differences;
mod due;
mod export;
mod fleet;
mod hooks;
mod import;
mod issue;
mod keys;
mod ledger;
mod leftovers;
mod limited;
mod locks;
mod marks;
mod observe;
mod power;
mod provision;
mod recipients;
mod remove;
mod revocations;
mod shared;
mod shell;
mod states;
mod steps;
mod survey;
mod tunnel;
mod upgrade;
mod work;

pub use collect::End;
pub use export::Bundled;
pub use fleet::{Change, Comparison, Deed, FleetLock};
pub use issue::{Issue, Issued};
pub(crate) use keys::{HOST, SIGN_IN, public_file};
pub use leftovers::{Fate, Leftover, Leftovers, Place};
pub use locks::Held;
pub use observe::Look;
pub use recipients::{Listed, NewRecipient, Recipients, RemovedRecipient, Unfinished};
pub use revocations::TakenBack;
pub(crate) use shared::Shared;
pub use tunnel::Tunnel;
pub use upgrade::Upgraded;
