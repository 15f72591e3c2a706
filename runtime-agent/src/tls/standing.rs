//! Whether a client's certificate still holds: asked for every request, since a connection is kept for hours.
//!
//! The list of those that were taken back is a CRL, PEM or several in one file, in the same hands as the authority's
//! certificate; so its signature is not looked at. A certificate counts as taken back when the list names it or one of
//! those that the client showed with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::{Error, Reloading};

/// Clocks are set, and timers do not notice.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Issuer and serial number.
type Name = (Vec<u8>, Vec<u8>);

/// Certificates that were taken back.
#[derive(Debug, Default)]
pub(super) struct Revoked(BTreeSet<Name>);

impl Revoked {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Read { path: path.to_owned(), source };
        let mut names = BTreeSet::new();
        for list in CertificateRevocationListDer::pem_file_iter(path).map_err(unreadable)? {
            let list = list.map_err(unreadable)?;
            let (_, list) = CertificateRevocationList::from_der(&list)
                .map_err(|_| Error::Revoked { path: path.to_owned() })?;
            let issuer = list.issuer().as_raw();
            let revoked = list.iter_revoked_certificates();
            names.extend(revoked.map(|one| (issuer.to_vec(), one.raw_serial().to_vec())));
        }
        Ok(Self(names))
    }
}

/// Why a certificate that was good is so no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fallen {
    #[error("the client's certificate was revoked")]
    Revoked,
    #[error("the client's certificate has expired")]
    Expired,
}

/// What a client showed in its handshake, and what it is held against.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    shown: Arc<[Name]>,
    expires: OffsetDateTime,
    certificates: Reloading,
}

impl Standing {
    /// Of a verified chain, the client's own first. `None` when it cannot be read.
    pub(crate) fn of(chain: &[CertificateDer<'_>], certificates: Reloading) -> Option<Self> {
        let read: Option<Vec<X509Certificate<'_>>> =
            chain.iter().map(|der| X509Certificate::from_der(der).ok().map(|(_, read)| read)).collect();
        let read = read?;
        let name = |one: &X509Certificate<'_>| (one.issuer().as_raw().to_vec(), one.raw_serial().to_vec());
        // An intermediate may sign what outlasts it.
        let expires = read.iter().map(|one| one.validity().not_after.to_datetime()).min()?;
        Some(Self { shown: read.iter().map(name).collect(), expires, certificates })
    }

    /// Returns once it holds no longer: for what goes on longer than one request.
    pub(crate) async fn fallen(self) -> Fallen {
        let mut changes = self.certificates.changes();
        loop {
            changes.borrow_and_update();
            if let Err(fallen) = self.check() {
                return fallen;
            }
            let left = self.expires - OffsetDateTime::now_utc() + time::Duration::SECOND;
            let left = Duration::try_from(left).unwrap_or_default().min(LONGEST_WAIT);
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), Fallen> {
        let revoked = self.certificates.current().revoked;
        if self.shown.iter().any(|name| revoked.0.contains(name)) {
            return Err(Fallen::Revoked);
        }
        if OffsetDateTime::now_utc() > self.expires { Err(Fallen::Expired) } else { Ok(()) }
    }
}
