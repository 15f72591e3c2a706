//! A limited authority for a colleague or a job: it signs clients' certificates and nothing else, for one role, until it
//! ends. Whoever holds its key makes certificates of their own with it, and never sees the authority's key.
//!
//! The limits stand in its own certificate and are kept by whoever verifies: its one extended key usage holds for
//! everything below it, so that it makes no server; it may not make another authority; and the agent lets a client do no
//! more than every certificate of its chain allows, until the first of them ends.

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

use crate::authority::{identity, key_pair};
use crate::client::{self, uri};
use crate::{Authority, Certificate, Client, Error, Leaf, Secret, Usage};

/// A limited authority with its key.
#[derive(Debug)]
pub struct Intermediate {
    certificate: Certificate,
    key_pem: Secret,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority for whatever `client` may be: of its name, role and machine, and for its time.
    pub fn issue_intermediate(&self, client: &Client, now: OffsetDateTime) -> Result<Intermediate, Error> {
        let name = identity(&client.name)?;
        let key = key_pair()?;
        let mut params = self.leaf(&format!("wharf intermediate {name}"), now, client.valid)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = client::limits(client)?;
        let pem = params.signed_by(&key, self.issuer())?.pem();
        Intermediate::load(&pem, &Secret::new(key.serialize_pem()))
    }
}

impl Intermediate {
    /// Takes up one made before, after checking that both halves are whole and belong together. Who signed it is another
    /// question: [`Certificate::is_signed_by`].
    pub fn load(certificate_pem: &str, key_pem: &Secret) -> Result<Self, Error> {
        let what = "intermediate";
        let certificate = Certificate::parse(certificate_pem)?;
        let limited = certificate.is_authority()
            && certificate.usage() == Some(Usage::Client)
            && certificate.role().is_some();
        if !limited {
            return Err(Error::NotAnAuthority { subject: certificate.subject().to_owned() });
        }
        let key = client::key_of(&certificate, key_pem, what)?;
        let issuer = Issuer::from_ca_cert_pem(certificate.pem(), key)?;
        Ok(Self { certificate, key_pem: key_pem.clone(), issuer })
    }

    /// Its own certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Its key.
    pub const fn key_pem(&self) -> &Secret {
        &self.key_pem
    }

    /// Makes a key and a certificate for a client called `name`, as limited as this is. The certificate's text is the
    /// whole chain: clients show it as it is.
    pub fn issue_client(&self, name: &str, valid: Duration, now: OffsetDateTime) -> Result<Leaf, Error> {
        let not_after = self.certificate.not_after();
        if now >= not_after {
            return Err(Error::Expired { not_after });
        }
        let name = identity(name)?;
        let key = key_pair()?;
        let mut params = crate::authority::params(&format!("wharf client {name}"), now, valid)?;
        params.not_before = params.not_before.max(self.certificate.not_before());
        params.not_after = params.not_after.min(not_after);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names =
            self.certificate.limits().map(|limit| uri(limit.to_owned())).collect::<Result<_, _>>()?;
        let leaf = params.signed_by(&key, &self.issuer)?.pem();
        let chain = format!("{}\n{}", leaf.trim_end(), self.certificate.pem());
        Ok(Leaf { certificate: Certificate::parse(&chain)?, key_pem: Secret::new(key.serialize_pem()) })
    }
}
