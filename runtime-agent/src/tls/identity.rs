//! Who a client is: read from its certificate, after the handshake has proved that the certificate is good.
//!
//! wharf writes two URIs into a client certificate's alternative names: `wharf:role:<role>` and, when the certificate
//! is for one machine only, `wharf:machine:<id>`; the same stand in an intermediate, for all that it signs. A client may
//! do what every certificate that it showed allows: the role is the least of theirs, and each that names machines must
//! name this one. Without `--tls-roles` any certificate of the authority is an admin,
//! as with dockerd.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::config::Roles;

/// What a client may do, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Reader,
    Operator,
    Admin,
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

    /// Reads a verified chain, the client's own certificate first. What it showed and is not on the way to the authority
    /// can only take something away.
    pub(crate) fn of(chain: &[CertificateDer<'_>], roles: Option<&Roles>) -> Result<Self, Refused> {
        let (own, above) = chain.split_first().ok_or(Refused::Unreadable)?;
        let mut identity = Self::one(own, roles)?;
        for certificate in above {
            // Some clients show the authority itself, too. Nobody else can make one that is named like its issuer.
            if !is_root(certificate) {
                let issuer = Self::one(certificate, roles)?;
                identity.role = identity.role.min(issuer.role);
                // Its own name is its issuer's choice; logs say whose that was.
                identity.name = format!("{}, by {}", identity.name, issuer.name);
            }
        }
        Ok(identity)
    }

    fn one(certificate: &CertificateDer<'_>, roles: Option<&Roles>) -> Result<Self, Refused> {
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

fn is_root(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, read)| read.issuer() == read.subject())
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
        params(uris).self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn params(uris: &[&str]) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "ann");
        params.subject_alt_names =
            uris.iter().map(|uri| SanType::URI((*uri).to_owned().try_into().unwrap())).collect();
        params
    }

    fn identity(uris: &[&str]) -> Result<Identity, Refused> {
        Identity::of(&[certificate(uris)], Some(&Roles { machine: "m1".to_owned() }))
    }

    #[test]
    fn roles_are_demanded_only_when_turned_on() {
        assert_eq!(Identity::of(&[certificate(&[])], None).unwrap().role, Role::Admin);
        assert_eq!(identity(&[]), Err(Refused::NoRole));
        assert_eq!(
            identity(&["wharf:role:reader"]).unwrap(),
            Identity { name: "ann".into(), role: Role::Reader }
        );
        assert_eq!(identity(&["wharf:role:king"]), Err(Refused::UnknownRole("king".into())));
    }

    #[test]
    fn a_client_may_do_no_more_than_whoever_signed_for_it() {
        let issuer = KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(CertificateParams::default(), issuer);
        let signed = |uris: &[&str]| {
            let key = KeyPair::generate().unwrap();
            params(uris).signed_by(&key, &issuer).unwrap().der().clone()
        };
        let of = |chain: &[&[&str]]| {
            let chain: Vec<_> = chain.iter().map(|uris| signed(uris)).collect();
            Identity::of(&chain, Some(&Roles { machine: "m1".to_owned() })).map(|identity| identity.role)
        };
        let (admin, operator, reader) = ("wharf:role:admin", "wharf:role:operator", "wharf:role:reader");
        assert_eq!(of(&[&[admin], &[operator]]), Ok(Role::Operator));
        assert_eq!(of(&[&[reader], &[operator]]), Ok(Role::Reader));
        assert_eq!(of(&[&[admin], &[reader], &[admin]]), Ok(Role::Reader));
        assert_eq!(of(&[&[operator], &[operator, "wharf:machine:m2"]]), Err(Refused::OtherMachine));
        assert_eq!(of(&[&[operator], &[operator, "wharf:machine:m1"]]), Ok(Role::Operator));
        assert_eq!(of(&[&[operator], &[]]), Err(Refused::NoRole));
        assert_eq!(of(&[]), Err(Refused::Unreadable));
        let root = certificate(&[]);
        let shown = Identity::of(&[signed(&[admin]), root], Some(&Roles { machine: "m1".to_owned() }));
        assert_eq!(shown.unwrap(), Identity { name: "ann".into(), role: Role::Admin });
        let chain = [signed(&[admin]), signed(&[reader])];
        let limited = Identity::of(&chain, Some(&Roles { machine: "m1".to_owned() })).unwrap();
        assert_eq!(limited.name, "ann, by ann");
    }

    #[test]
    fn a_certificate_for_one_machine_opens_no_other() {
        assert!(identity(&["wharf:role:admin", "wharf:machine:m1"]).is_ok());
        assert_eq!(identity(&["wharf:role:admin", "wharf:machine:m2"]), Err(Refused::OtherMachine));
    }
}
