//! Where things are in the bucket.
//!
//! ```text
//! store.json                              the store's id and the layout's version
//! authority/lease.json                    who holds the authority
//!           files/{ca.pem,…}              recipients.json, whom keys are encrypted to; intermediates/<name>.json
//! machines/<name>/lease.json              who holds the machine, and which life of its name is the current one;
//!                                         it stays when the machine is gone, so that numbers never come again
//!                 <life>/events/<number>  the journal, one object a number
//!                        files/keys/…     SSH keys, encrypted
//!                        forgotten        this life is over
//! index.json                              copies of all journals, so that they are read at once; only a cache
//! shared/<driver>-<name>/lease.json       who makes or removes what machines share
//! fleets/<name>/lease.json                who applies or destroys a fleet
//! ```
//!
//! Other lives of a name are on their way out.

use object_store::path::Path;
use wharf_core::MachineName;
use wharf_core::store::Subject;

pub(crate) fn identity() -> Path {
    Path::from("store.json")
}

pub(crate) fn machines() -> Path {
    Path::from("machines")
}

pub(crate) fn index() -> Path {
    Path::from("index.json")
}

/// Says that a life is over.
pub(crate) fn forgotten(name: &MachineName, of: u64) -> Path {
    life(name, of).join("forgotten")
}

/// The folder of the subject, whatever its life.
pub(crate) fn folder(subject: &Subject) -> Path {
    match subject {
        Subject::Machine(name) => machine(name),
        Subject::Authority => Path::from("authority"),
        Subject::Shared(name) => Path::from("shared").join(name.as_str()),
        Subject::Fleet(name) => Path::from("fleets").join(name.as_str()),
    }
}

pub(crate) fn machine(name: &MachineName) -> Path {
    machines().join(name.as_str())
}

pub(crate) fn lease(subject: &Subject) -> Path {
    folder(subject).join("lease.json")
}

pub(crate) fn life(name: &MachineName, life: u64) -> Path {
    machine(name).join(format!("{life:08}"))
}

pub(crate) fn events(name: &MachineName, of: u64) -> Path {
    life(name, of).join("events")
}

pub(crate) fn event(name: &MachineName, of: u64, number: u64) -> Path {
    events(name, of).join(format!("{number:08}"))
}

/// The folder of the subject's files.
pub(crate) fn files(subject: &Subject, of: u64) -> Path {
    match subject {
        Subject::Machine(name) => life(name, of).join("files"),
        other => folder(other).join("files"),
    }
}

pub(crate) fn file(subject: &Subject, of: u64, file: &str) -> Path {
    file.split('/').fold(files(subject, of), Path::join)
}
