//! The OCI distribution client.

pub(crate) mod reference;

pub(crate) use reference::{Reference, Repository};
