//! Mutual TLS: the listener's certificates, reloaded without a restart, and who a client is.
//!
//! A client without a certificate, with an expired one, with one of another authority, or with a server's certificate
//! does not get past the handshake. A connection keeps the certificates it was made with; the next one gets the new.

mod identity;
mod material;
mod watch;

pub(crate) use identity::{Identity, Role};
pub(crate) use material::{Error, Material};
pub(crate) use watch::Reloading;
