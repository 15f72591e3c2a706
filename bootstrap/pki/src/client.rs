//! A client's certificate: a person, or a job.

use std::fmt;
use std::str::FromStr;

use rcgen::{ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _, SanType};
use time::{Duration, OffsetDateTime};

use crate::authority::{identity, key_pair};
use crate::{Authority, Certificate, Error, Secret};

/// Who a client's certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Shown in the agent's log.
    pub name: String,
    /// What the agent lets it do.
    pub role: Role,
    /// The one machine it opens; every machine of the store without it.
    pub machine: Option<String>,
    /// For how long; a year for one's own, days or hours for a colleague or a job.
    pub valid: Duration,
}

/// What the agent lets a client do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Running containers, but nothing that reaches the host.
    Operator,
    /// Looking.
    Reader,
}

/// A certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// What is shown to the other side.
    pub certificate: Certificate,
    /// What proves it.
    pub key_pem: Secret,
}

impl Authority {
    /// Makes a key and a certificate for a client.
    pub fn issue_client(&self, client: &Client, now: OffsetDateTime) -> Result<Leaf, Error> {
        let name = identity(&client.name)?;
        let key = key_pair()?;
        let mut params = self.leaf(&format!("wharf client {name}"), now, client.valid)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = limits(client)?;
        let pem = params.signed_by(&key, self.issuer())?.pem();
        Ok(Leaf { certificate: Certificate::parse(&pem)?, key_pem: Secret::new(key.serialize_pem()) })
    }
}

impl Leaf {
    /// Takes up a certificate and key made before, after checking that they belong together.
    pub fn load(certificate_pem: &str, key_pem: &Secret) -> Result<Self, Error> {
        let certificate = Certificate::parse(certificate_pem)?;
        key_of(&certificate, key_pem, "key")?;
        Ok(Self { certificate, key_pem: key_pem.clone() })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Reader => "reader",
        })
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Admin, Self::Operator, Self::Reader]
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| Error::Role(text.to_owned()))
    }
}

/// The key, after checking that it is the certificate's.
pub(crate) fn key_of(
    certificate: &Certificate,
    key_pem: &Secret,
    what: &'static str,
) -> Result<KeyPair, Error> {
    let damaged = |error: rcgen::Error| Error::Damaged { what, reason: error.to_string() };
    let key = KeyPair::from_pem(key_pem.expose()).map_err(damaged)?;
    if key.subject_public_key_info() != certificate.public_key() {
        return Err(Error::Damaged { what, reason: "the key does not fit the certificate".to_owned() });
    }
    Ok(key)
}

/// What stands in a certificate about what its holder may do.
pub(crate) fn limits(client: &Client) -> Result<Vec<SanType>, Error> {
    let mut limits = vec![uri(format!("wharf:role:{}", client.role))?];
    if let Some(machine) = &client.machine {
        limits.push(uri(format!("wharf:machine:{}", identity(machine)?))?);
    }
    Ok(limits)
}

pub(crate) fn uri(text: String) -> Result<SanType, Error> {
    Ok(SanType::URI(text.try_into()?))
}
