//! The list of client certificates that were taken back before their time: a CRL, as X.509 has it.

use std::collections::BTreeSet;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use crate::{Authority, Error};

/// What a list says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Of two lists the one with the higher number is the newer one; the first one is 1, and 0 is none at all.
    pub number: u64,
    /// The certificates.
    pub revoked: Vec<Revoked>,
}

/// A certificate that is no longer good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// [`Certificate::serial`](crate::Certificate::serial).
    pub serial: String,
    /// Since when.
    pub since: OffsetDateTime,
}

impl Revocations {
    /// Whether the list in this PEM text takes back all of these, and perhaps others. A text that is no list does not.
    pub fn stand_in(&self, pem: &str) -> bool {
        let there = serials(pem).unwrap_or_default();
        self.number == 0
            || !there.is_empty() && self.revoked.iter().all(|revoked| there.contains(&revoked.serial))
    }
}

impl Authority {
    /// Signs the list, as PEM.
    pub fn revoke(&self, list: &Revocations, now: OffsetDateTime) -> Result<String, Error> {
        let entry = |one: &Revoked| {
            let damaged = |error: hex::FromHexError| Error::Damaged {
                what: "serial number",
                reason: error.to_string(),
            };
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from(hex::decode(&one.serial).map_err(damaged)?),
                revocation_time: one.since,
                reason_code: None,
                invalidity_date: None,
            })
        };
        let list = CertificateRevocationListParams {
            this_update: now,
            // It is brought to the machines when it changes; nobody comes and asks for a newer one.
            next_update: now + VALID,
            crl_number: SerialNumber::from(list.number),
            issuing_distribution_point: None,
            revoked_certs: list.revoked.iter().map(entry).collect::<Result<_, Error>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(self.issuer())?.pem()?)
    }
}

/// The serial numbers of a list.
fn serials(pem: &str) -> Option<BTreeSet<String>> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let (_, list) = CertificateRevocationList::from_der(&pem.contents).ok()?;
    Some(list.iter_revoked_certificates().map(|one| hex::encode(one.raw_serial())).collect())
}

const VALID: Duration = Duration::days(3650);
