//! What the disk's and the registry's failures mean to a client.

use crate::engine::error::{Error, Kind};
use crate::registry;
use crate::registry::reference::InvalidReference;
use crate::store;

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match &error {
            store::Error::NoLayer(_) | store::Error::NoSnapshot(_) => Self::not_found(error.to_string()),
            store::Error::InvalidDigest(_) => Self::invalid(error.to_string()),
            _ => Self::internal("image store", error),
        }
    }
}

impl From<InvalidReference> for Error {
    fn from(error: InvalidReference) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        let kind = match &error {
            registry::Error::NoPlatform { .. } => Kind::NotFound,
            // dockerd answers 500 to everything that a registry does wrong; its clients expect it.
            _ => Kind::Internal,
        };
        Self::new(kind, error.to_string()).caused_by(error)
    }
}
