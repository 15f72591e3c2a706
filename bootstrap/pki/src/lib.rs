//! One certificate authority a store, and the certificates it signs. No network, no files, no clock.
//!
//! ```text
//! Authority ── sign_server(request, …) ─▶ Certificate    the key stays on the machine; only a request travelled
//!           ├─ issue_client(…) ─────────▶ Leaf           certificate and key, for a person or a job
//!           ├─ issue_intermediate(…) ───▶ Intermediate   signs clients of one role, for a colleague or a job
//!           ├─ revoke(…) ───────────────▶ a CRL          the clients' certificates that were taken back
//!           └─ sign(…) ─────────────────▶ a signature    of a text that the authority stands for
//! ```
//!
//! What holds for every certificate made here:
//! - ECDSA on P-256, which every TLS library verifies;
//! - a random serial number, and a subject that differs from the authority's and from the other leaves' (clients refuse
//!   a leaf that is named like its issuer as self-signed);
//! - exactly one extended key usage: a server's certificate signs nobody in, a client's serves nothing;
//! - valid from a day before it was made, since machines' clocks lag, and never beyond the authority;
//! - who it is for stands in it as URIs: `wharf:machine:<id>` and, for clients, `wharf:role:<role>`.
//!
//! A certificate [`needs_renewal`](Certificate::needs_renewal) once a third of its time is used.

mod authority;
mod certificate;
mod client;
mod error;
mod intermediate;
mod name;
mod revocation;
mod secret;
mod server;
mod signature;

pub use authority::Authority;
pub use certificate::{Certificate, Usage};
pub use client::{Client, Leaf, Role};
pub use error::Error;
pub use intermediate::Intermediate;
pub use name::Name;
pub use revocation::{Revocations, Revoked};
pub use secret::Secret;
pub use server::Server;

#[cfg(test)]
mod tests;
