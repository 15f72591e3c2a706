//! The authority: one a store, ten years, signs leaves, and intermediates that sign clients' leaves.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
};
use time::{Duration, OffsetDateTime};

use crate::{Certificate, Error, Secret};

/// Signs servers' and clients' certificates. Whoever holds it may make any of them.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    key_pem: Secret,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority for the store of this id.
    pub fn generate(store: &str, now: OffsetDateTime) -> Result<Self, Error> {
        let store = identity(store)?;
        let key = key_pair()?;
        let mut params = params(&format!("wharf authority {store}"), now, VALID)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Self::load(&pem, &Secret::new(key.serialize_pem()))
    }

    /// Takes up an authority made before, after checking that both halves are whole and belong together.
    pub fn load(certificate_pem: &str, key_pem: &Secret) -> Result<Self, Error> {
        let what = |error| match error {
            Error::Damaged { reason, .. } => Error::Damaged { what: "authority's certificate", reason },
            other => other,
        };
        let certificate = Certificate::parse(certificate_pem).map_err(what)?;
        if !certificate.is_authority() {
            return Err(Error::NotAnAuthority { subject: certificate.subject().to_owned() });
        }
        let damaged =
            |error: rcgen::Error| Error::Damaged { what: "authority's key", reason: error.to_string() };
        let key = KeyPair::from_pem(key_pem.expose()).map_err(damaged)?;
        if key.subject_public_key_info() != certificate.public_key() {
            return Err(Error::Misfit);
        }
        let issuer = Issuer::from_ca_cert_pem(certificate.pem(), key)?;
        Ok(Self { certificate, key_pem: key_pem.clone(), issuer })
    }

    /// The authority's own certificate: what both sides verify the other with.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority's key, to be kept where nobody else reads it.
    pub const fn key_pem(&self) -> &Secret {
        &self.key_pem
    }

    pub(crate) const fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// What every leaf starts from: its name, a serial number, and a time that lies within the authority's.
    pub(crate) fn leaf(
        &self,
        common_name: &str,
        now: OffsetDateTime,
        valid: Duration,
    ) -> Result<CertificateParams, Error> {
        let not_after = self.certificate.not_after();
        if now >= not_after {
            return Err(Error::Expired { not_after });
        }
        let mut params = params(common_name, now, valid)?;
        params.not_before = params.not_before.max(self.certificate.not_before());
        params.not_after = params.not_after.min(not_after);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Ok(params)
    }
}

/// An identity that can stand in a URI and in a name without being escaped.
pub(crate) fn identity(text: &str) -> Result<&str, Error> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if text.is_empty() || text.len() > 128 || !text.bytes().all(fine) {
        return Err(Error::Identity(text.to_owned()));
    }
    Ok(text)
}

pub(crate) fn key_pair() -> Result<KeyPair, Error> {
    Ok(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?)
}

pub(crate) fn params(
    common_name: &str,
    now: OffsetDateTime,
    valid: Duration,
) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(serial_number()?);
    params.not_before = now - BACKDATED;
    params.not_after = now + valid;
    Ok(params)
}

/// 127 random bits: unique without a counter, and positive as X.509 wants it.
fn serial_number() -> Result<rcgen::SerialNumber, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(rcgen::SerialNumber::from_slice(&bytes))
}

const VALID: Duration = Duration::days(3650);
/// Machines' clocks lag: what was signed now must be good there already.
const BACKDATED: Duration = Duration::days(1);
