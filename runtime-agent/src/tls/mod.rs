//! Mutual TLS: the listener's certificates, reloaded without a restart, and who a client is.
//!
//! A client without a certificate, with an expired one, with one of another authority, or with a server's certificate
//! does not get past the handshake. A connection keeps the certificates it was made with; the next one gets the new. A
//! certificate that is revoked, or expires, opens nothing from the next request on, also over a connection that is open,
//! and ends what goes on: an attached terminal, a log that is followed.

mod identity;
mod material;
mod standing;
mod watch;

pub(crate) use identity::{Identity, Role};
pub(crate) use material::{Error, Material};
pub(crate) use standing::{Fallen, Standing};
pub(crate) use watch::Reloading;
