//! Places that a person has set up once: everything that is needed to make machines there, and how to sign in.
//!
//! A machine's configuration says *where* it is, and the same for everybody; a profile says with what *this person*
//! signs in there. A driver finds the profile of a machine's place by what that place is, since the next person calls
//! it otherwise. Secrets are references, looked up when a connection needs them and not before.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{Error, Kind, Result, Secret, Settings};

/// A place that a person has set up.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// What the person calls it.
    pub name: String,
    /// The driver that makes machines there.
    pub driver: String,
    /// What a machine there is configured with, unless somebody says otherwise.
    pub settings: Settings,
    /// What is the person's alone, by the variable under which a [`crate::Session`] has it.
    pub personal: BTreeMap<String, Reference>,
}

/// Where a word of the person's is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// Here; nothing secret.
    Text(String),
    /// In this variable of the environment.
    Variable(String),
    /// In this file, as its first line.
    File(PathBuf),
    /// In the system's keyring, under this name.
    Keyring(String),
}

/// Asks the system's keyring, which takes its time when a person must unlock it first.
#[derive(Clone)]
pub struct AskKeyring(Arc<dyn Fn(String) -> Answer + Send + Sync>);

type Answer = BoxFuture<'static, Result<Option<Secret<String>>>>;

impl AskKeyring {
    /// Asks by `ask`.
    pub fn new(ask: impl Fn(String) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// There is no keyring.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(|name| {
            let error =
                Error::new(Kind::NotAllowed, format!("`{name}` is in a keyring, and there is none here"));
            Box::pin(async { Err(error.hint("run this in the desktop session that the keyring belongs to")) })
        })
    }
}

impl fmt::Debug for AskKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AskKeyring")
    }
}

impl Reference {
    /// The word itself.
    ///
    /// # Errors
    /// Not allowed when it is not where it should be.
    pub(crate) async fn resolve(
        &self,
        environment: &BTreeMap<String, String>,
        keyring: &AskKeyring,
    ) -> Result<Secret<String>> {
        match self {
            Self::Text(text) => Ok(Secret::new(text.clone())),
            Self::Variable(name) => {
                let set = environment.get(name).filter(|value| !value.is_empty());
                let missing = || {
                    Error::new(Kind::NotAllowed, format!("the variable {name} is not set"))
                        .hint(format!("signing in takes it from there: set {name}"))
                };
                set.map(|value| Secret::new(value.clone())).ok_or_else(missing)
            }
            Self::File(path) => {
                let unreadable = |why: &dyn fmt::Display| {
                    Error::new(Kind::NotAllowed, format!("cannot read {}: {why}", path.display()))
                };
                let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
                let first = text.lines().next().filter(|line| !line.is_empty());
                first
                    .map(|line| Secret::new(line.to_owned()))
                    .ok_or_else(|| unreadable(&"it begins with an empty line"))
            }
            Self::Keyring(name) => (keyring.0)(name.clone()).await?.ok_or_else(|| {
                Error::new(Kind::NotAllowed, format!("the keyring has no `{name}` any more"))
                    .hint("set the cloud up anew with `wharf cloud add`")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn references_lead_to_words_or_say_what_is_missing() {
        let environment = BTreeMap::from([("TOKEN".to_owned(), "from the environment".to_owned())]);
        let keyring = AskKeyring::new(|name| {
            Box::pin(async move { Ok((name == "kept").then(|| Secret::new("from the keyring".to_owned()))) })
        });
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"from a file\nand more\n").unwrap();
        let good = [
            (Reference::Text("as it stands".into()), "as it stands"),
            (Reference::Variable("TOKEN".into()), "from the environment"),
            (Reference::File(file.path().to_owned()), "from a file"),
            (Reference::Keyring("kept".into()), "from the keyring"),
        ];
        for (reference, word) in good {
            assert_eq!(reference.resolve(&environment, &keyring).await.unwrap().expose(), word);
        }
        let bad = [
            (Reference::Variable("NONE".into()), "NONE is not set"),
            (Reference::File("/nowhere/secret".into()), "/nowhere/secret"),
            (Reference::Keyring("lost".into()), "has no `lost`"),
        ];
        for (reference, said) in bad {
            let error = reference.resolve(&environment, &keyring).await.unwrap_err();
            assert_eq!(error.kind(), Kind::NotAllowed);
            assert!(error.to_string().contains(said), "{error}");
        }
        let nobody = Reference::Keyring("kept".into()).resolve(&environment, &AskKeyring::nobody()).await;
        assert_eq!(nobody.unwrap_err().kind(), Kind::NotAllowed);
    }
}
