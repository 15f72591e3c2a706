//! A certificate, read: what it says about itself.

use std::net::IpAddr;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, GeneralName, SubjectPublicKeyInfo, X509Certificate};

use crate::{Error, Name, Role};

/// One certificate that was whole when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pem: String,
    subject: String,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    names: Vec<Name>,
    uris: Vec<String>,
    usage: Option<Usage>,
    authority: bool,
    public_key: Vec<u8>,
    serial: String,
    fingerprint: String,
}

/// The one thing a leaf is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// It serves.
    Server,
    /// It signs in.
    Client,
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    pub fn parse(pem: &str) -> Result<Self, Error> {
        let der =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| damaged(format!("{error}")))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| damaged(error.to_string()))?;
        let (names, uris) = alternative_names(&parsed)?;
        let validity = parsed.validity();
        Ok(Self {
            // However many line breaks it lost or gained on the way, it is the same.
            pem: format!("{}\n", pem.trim()),
            subject: common_name(&parsed),
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            names,
            uris,
            usage: usage(&parsed)?,
            authority: parsed.is_ca(),
            public_key: parsed.public_key().raw.to_vec(),
            serial: hex::encode(parsed.raw_serial()),
            fingerprint: hex::encode(Sha256::digest(&der)),
        })
    }

    /// It as text.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its subject's common name.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When it begins to be good.
    pub const fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// When it ends.
    pub const fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The addresses and host names it is for.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The machine it is for.
    pub fn machine(&self) -> Option<&str> {
        self.uris.iter().find_map(|uri| uri.strip_prefix("wharf:machine:"))
    }

    /// The role of the client it signs in.
    pub fn role(&self) -> Option<Role> {
        self.uris.iter().find_map(|uri| uri.strip_prefix("wharf:role:")).and_then(|role| role.parse().ok())
    }

    /// What its holder may do, as it stands in it.
    pub(crate) fn limits(&self) -> impl Iterator<Item = &str> {
        self.uris.iter().map(String::as_str).filter(|uri| uri.starts_with("wharf:"))
    }

    /// Whether `authority`'s key signed it. Nothing is said about what it is good for, or when.
    pub fn is_signed_by(&self, authority: &Self) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(self.pem.as_bytes()) else { return false };
        let Ok((_, parsed)) = X509Certificate::from_der(&der) else { return false };
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&authority.public_key) else { return false };
        parsed.verify_signature(Some(&key)).is_ok()
    }

    /// What it is good for; nothing, when it says several things or none.
    pub const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Whether it may sign others.
    pub const fn is_authority(&self) -> bool {
        self.authority
    }

    /// Its serial number, in hexadecimal: what it is taken back by.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// SHA-256 of the certificate, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// True once a third of its time is used, and for ever after.
    pub fn needs_renewal(&self, now: OffsetDateTime) -> bool {
        now >= self.not_before + (self.not_after - self.not_before) / 3
    }

    /// True when it is not good at this moment.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        now >= self.not_after
    }

    /// True when it is for all of these names: a machine whose address changed needs another.
    pub fn covers(&self, names: &[Name]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }

    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

fn common_name(parsed: &X509Certificate<'_>) -> String {
    let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    name.unwrap_or_default().to_owned()
}

fn alternative_names(parsed: &X509Certificate<'_>) -> Result<(Vec<Name>, Vec<String>), Error> {
    let extension = parsed.subject_alternative_name().map_err(|error| damaged(error.to_string()))?;
    let (mut names, mut uris) = (Vec::new(), Vec::new());
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(host) => names.push(Name::Host((*host).to_owned())),
            GeneralName::IPAddress(bytes) => names.extend(address(bytes).map(Name::Address)),
            GeneralName::URI(uri) => uris.push((*uri).to_owned()),
            _ => {}
        }
    }
    Ok((names, uris))
}

fn usage(parsed: &X509Certificate<'_>) -> Result<Option<Usage>, Error> {
    let extension = parsed.extended_key_usage().map_err(|error| damaged(error.to_string()))?;
    let Some(usage) = extension.map(|extension| extension.value) else { return Ok(None) };
    Ok(match (usage.server_auth, usage.client_auth) {
        (true, false) => Some(Usage::Server),
        (false, true) => Some(Usage::Client),
        _ => None,
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn damaged(reason: String) -> Error {
    Error::Damaged { what: "certificate", reason }
}
