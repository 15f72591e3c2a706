//! Who a client is: read from its certificate, after the handshake has proved that the certificate is good.
//!
//! wharf writes two URIs into a client certificate's alternative names: `wharf:role:<role>` and, when the certificate
//! is for one machine only, `wharf:machine:<id>`. Without `--tls-roles` any certificate of the authority is an admin,
//! as with dockerd.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::config::Roles;

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Admin,
    Operator,
    Reader,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Reader => "reader",
        }
    }
}

/// A client, as its certificate describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// Why a good certificate is no good here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the client's certificate cannot be read")]
    Unreadable,
    #[error("the client's certificate names no role")]
    NoRole,
    #[error("the client's certificate names an unknown role: {0}")]
    UnknownRole(String),
    #[error("the client's certificate is for another machine")]
    OtherMachine,
}

impl Identity {
    /// The local socket: whoever may open it is root already.
    pub(crate) fn local() -> Self {
        Self { name: "local".to_owned(), role: Role::Admin }
    }

    /// Reads a verified certificate.
    pub(crate) fn of(certificate: &CertificateDer<'_>, roles: Option<&Roles>) -> Result<Self, Refused> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| Refused::Unreadable)?;
        let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let name = name.unwrap_or("").to_owned();
        let Some(roles) = roles else { return Ok(Self { name, role: Role::Admin }) };
        let uris = uris(&certificate)?;
        let machines: Vec<_> = uris.iter().filter_map(|uri| uri.strip_prefix("wharf:machine:")).collect();
        if !machines.is_empty() && !machines.contains(&roles.machine.as_str()) {
            return Err(Refused::OtherMachine);
        }
        let role = uris.iter().find_map(|uri| uri.strip_prefix("wharf:role:")).ok_or(Refused::NoRole)?;
        let role = match role {
            "admin" => Role::Admin,
            "operator" => Role::Operator,
            "reader" => Role::Reader,
            other => return Err(Refused::UnknownRole(other.to_owned())),
        };
        Ok(Self { name, role })
    }
}

fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Result<Vec<&'a str>, Refused> {
    let names = certificate.subject_alternative_name().map_err(|_| Refused::Unreadable)?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    Ok(names
        .iter()
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(uris: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "ann");
        params.subject_alt_names =
            uris.iter().map(|uri| SanType::URI((*uri).to_owned().try_into().unwrap())).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn identity(uris: &[&str]) -> Result<Identity, Refused> {
        Identity::of(&certificate(uris), Some(&Roles { machine: "m1".to_owned() }))
    }

    #[test]
    fn roles_are_demanded_only_when_turned_on() {
        assert_eq!(Identity::of(&certificate(&[]), None).unwrap().role, Role::Admin);
        assert_eq!(identity(&[]), Err(Refused::NoRole));
        assert_eq!(
            identity(&["wharf:role:reader"]).unwrap(),
            Identity { name: "ann".into(), role: Role::Reader }
        );
        assert_eq!(identity(&["wharf:role:king"]), Err(Refused::UnknownRole("king".into())));
    }

    #[test]
    fn a_certificate_for_one_machine_opens_no_other() {
        assert!(identity(&["wharf:role:admin", "wharf:machine:m1"]).is_ok());
        assert_eq!(identity(&["wharf:role:admin", "wharf:machine:m2"]), Err(Refused::OtherMachine));
    }
}
