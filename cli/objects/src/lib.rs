//! The store of teams and CI: machines remembered in an object store, S3's or Azure's or one that speaks like them.
//!
//! An object store knows no locks and no appending, but it can write an object only if there is none yet, and only if
//! it is still the one that was read. Everything here is made of these two:
//!
//! - **Events** are numbered objects, each created only if its number is free. Two writers never both have a number.
//! - A **lease** is one object, changed only from what was read. Its holder keeps changing it while at work. Whoever
//!   waits takes it over only after it stood unchanged for as long as it says it lasts, on the waiter's own clock; no
//!   two computers' times of day are ever compared.
//! - Whoever takes over from a holder that did not let go **seals** what that one may still have on its way: it takes
//!   the next number itself, and rewrites every file. So a write that was held up finds its number taken, or another
//!   file than it meant to replace, however long it was held up.
//! - **Forgetting** a machine is one write of its lease, which says which life of the name is the current one.
//! - One object, the **index**, has copies of all journals, so that a fleet is read by one list and one read. It is only a
//!   cache: the list says what there is, and whoever finds the index behind writes it anew.
//!
//! A holder writes only while its lease outlasts the write; one that cannot renew it stops.
//!
//! Not every store that speaks S3 heeds the conditions. [`prove`] finds out by trying, and [`Objects::init`] refuses one
//! that does not.
#![forbid(unsafe_code)]

mod address;
mod bucket;
mod connect;
mod held;
mod index;
mod journal;
mod layout;
mod lease;
mod probe;
mod store;

pub use address::{Address, Service};
pub use connect::{Connect, SignIn, connect, needs_sign_in};
pub use lease::Times;
pub use object_store::aws::AwsCredential;
pub use object_store::{ObjectStore, memory::InMemory};
pub use probe::prove;
pub use store::{Objects, Place};
