//! What a person signs in with: the way that was named, else the first one that their environment is complete for.

use std::path::PathBuf;

use wharf_arm::{Credential, Federation};
use wharf_driver::{Error, Kind, Result, Session};

/// The application that `az` itself signs people in as, where no other one is named.
const USUAL_CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// How to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A service principal with a secret.
    Secret,
    /// A service principal with a certificate.
    Certificate,
    /// A service principal that trusts somebody else's tokens.
    Workload,
    /// The identity of the machine that this runs on.
    ManagedIdentity,
    /// Whoever `az login` signed in.
    Az,
    /// A person with a code.
    Device,
}

impl Way {
    const ALL: [Self; 6] =
        [Self::Secret, Self::Certificate, Self::Workload, Self::ManagedIdentity, Self::Az, Self::Device];

    /// As `--azure-auth` names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Certificate => "certificate",
            Self::Workload => "workload",
            Self::ManagedIdentity => "managed-identity",
            Self::Az => "az",
            Self::Device => "device",
        }
    }

    fn named(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|way| way.name()).collect();
            Error::new(Kind::Refused, format!("`{name}` is none of {}, auto", names.join(", ")))
                .hint("choose how to sign in with --azure-auth or AZURE_AUTH, or leave it out")
        })
    }
}

/// The way that was chosen, else the first one that the environment is complete for; and what is signed in with.
pub(crate) fn choose(session: &Session) -> Result<(Way, Credential)> {
    let way = match session.var("AZURE_AUTH") {
        None | Some("auto") => first(session),
        Some(named) => Way::named(named)?,
    };
    Ok((way, by(way, session)?))
}

fn first(session: &Session) -> Way {
    let has = |name: &str| session.var(name).is_some();
    if has("AZURE_CLIENT_ID") && has("AZURE_CLIENT_SECRET") {
        Way::Secret
    } else if has("AZURE_CLIENT_ID") && has("AZURE_CLIENT_CERTIFICATE_PATH") {
        Way::Certificate
    } else if has("AZURE_CLIENT_ID")
        && (has("AZURE_FEDERATED_TOKEN_FILE") || has("ACTIONS_ID_TOKEN_REQUEST_URL"))
    {
        Way::Workload
    } else if has("IDENTITY_ENDPOINT") {
        Way::ManagedIdentity
    } else if az(session).is_some() || !session.has_person() {
        Way::Az
    } else {
        Way::Device
    }
}

fn by(way: Way, session: &Session) -> Result<Credential> {
    let need = |name: &'static str| {
        session.var(name).map(str::to_owned).ok_or_else(|| {
            Error::new(Kind::NotAllowed, format!("{name} is not set, and signing in needs it"))
                .hint(format!("set {name}, or choose another way with --azure-auth"))
        })
    };
    let secret = |name: &'static str| need(name).map(wharf_driver::Secret::new);
    Ok(match way {
        Way::Secret => {
            Credential::Secret { client: need("AZURE_CLIENT_ID")?, secret: secret("AZURE_CLIENT_SECRET")? }
        }
        Way::Certificate => Credential::Certificate {
            client: need("AZURE_CLIENT_ID")?,
            file: need("AZURE_CLIENT_CERTIFICATE_PATH")?.into(),
            password: session.secret("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        },
        Way::Workload => {
            let from = match session.var("AZURE_FEDERATED_TOKEN_FILE") {
                Some(file) => Federation::File(file.into()),
                None => Federation::Service {
                    url: need("ACTIONS_ID_TOKEN_REQUEST_URL")?,
                    bearer: secret("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?,
                },
            };
            Credential::Federated { client: need("AZURE_CLIENT_ID")?, from }
        }
        Way::ManagedIdentity => Credential::Managed {
            client: session.var("AZURE_CLIENT_ID").map(str::to_owned),
            service: match session.var("IDENTITY_ENDPOINT") {
                Some(url) => Some((url.to_owned(), secret("IDENTITY_HEADER")?)),
                None => None,
            },
        },
        Way::Az => Credential::AzureCli { program: az(session).unwrap_or_else(|| "az".into()) },
        Way::Device => {
            Credential::Device { client: session.var("AZURE_CLIENT_ID").unwrap_or(USUAL_CLIENT).to_owned() }
        }
    })
}

/// The Azure CLI on the person's PATH.
fn az(session: &Session) -> Option<PathBuf> {
    let folders = std::env::split_paths(session.var("PATH")?);
    folders.map(|folder| folder.join("az")).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn session(set: &[(&str, &str)]) -> Session {
        let set: BTreeMap<_, _> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Session::default().with_environment(set)
    }

    #[test]
    fn the_first_complete_way_is_taken() {
        let way = |set: &[(&str, &str)]| choose(&session(set)).unwrap().1.describe();
        let both =
            [("AZURE_CLIENT_ID", "a"), ("AZURE_CLIENT_SECRET", "s"), ("AZURE_CLIENT_CERTIFICATE_PATH", "c")];
        assert_eq!(way(&both), "the service principal's secret");
        assert_eq!(way(&[both[0], both[2]]), "the service principal's certificate");
        assert_eq!(way(&[both[0], ("AZURE_FEDERATED_TOKEN_FILE", "f")]), "the federated token");
        assert_eq!(
            way(&[("IDENTITY_ENDPOINT", "http://x"), ("IDENTITY_HEADER", "h")]),
            "the managed identity"
        );
        assert_eq!(way(&[]), "`az login`");
        let person = session(&[]).with_person(|_| {});
        assert_eq!(choose(&person).unwrap().0, Way::Device);
    }

    #[test]
    fn every_way_is_named_as_it_is_said() {
        for way in Way::ALL {
            assert_eq!(Way::named(way.name()).unwrap(), way);
        }
        let error = choose(&session(&[("AZURE_AUTH", "magic")])).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains("none of secret, certificate"), "{error}");
    }

    #[test]
    fn a_chosen_way_names_what_it_misses() {
        let error = by(Way::Secret, &session(&[("AZURE_CLIENT_ID", "a")])).unwrap_err();
        assert_eq!(error.kind(), Kind::NotAllowed);
        assert!(error.to_string().starts_with("AZURE_CLIENT_SECRET is not set"));
    }
}
