//! What a person signed in with, remembered from one command to the next: in the system's keyring where there is one,
//! else in files for their owner alone.
//!
//! ```text
//! sign-ins/HASH            the secret
//! sign-ins/HASH.keyring    instead of it: the keyring has it, under this name
//! ```
//! Forgetting is never an error: then the person is asked again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use wharf_core::Keyring;
use wharf_driver::{Memory, Secret};

use crate::files;

/// The sign-ins of a person.
#[derive(Debug)]
pub(crate) struct SignIns {
    folder: PathBuf,
    keyring: Option<Arc<dyn Keyring>>,
}

impl SignIns {
    /// Those in `folder`, and in the keyring if it is wanted.
    pub(crate) fn new(folder: PathBuf, keyring: Option<Arc<dyn Keyring>>) -> Self {
        Self { folder, keyring }
    }

    /// Forgets all of them; whether there were any.
    pub(crate) async fn forget_all(&self) -> bool {
        let Ok(entries) = fs::read_dir(&self.folder) else { return false };
        let mut any = false;
        for path in entries.flatten().map(|entry| entry.path()) {
            any |= self.forget(&path.with_extension("")).await;
        }
        any
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(hex::encode(&Sha256::digest(name)[..16]))
    }

    async fn forget(&self, path: &Path) -> bool {
        let note = path.with_extension("keyring");
        if let (Ok(account), Some(keyring)) = (fs::read_to_string(&note), &self.keyring)
            && let Err(error) = keyring.remove(&account).await
        {
            tracing::debug!(%error, account, "a sign-in stays in the keyring");
        }
        let gone = |file: &Path| fs::remove_file(file).is_ok();
        gone(&note) | gone(path)
    }

    async fn hand_over(&self, path: &Path, secret: &Secret<String>) -> Option<()> {
        let keyring = self.keyring.as_ref()?;
        let account = format!("sign-ins/{}", path.file_name()?.to_string_lossy());
        keyring.set(&account, secret).await.ok()?;
        files::replace(&path.with_extension("keyring"), account.as_bytes()).ok()?;
        let _ = fs::remove_file(path);
        Some(())
    }
}

impl Memory for SignIns {
    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Secret<String>>> {
        Box::pin(async move {
            let path = self.path(name);
            if let Ok(account) = fs::read_to_string(path.with_extension("keyring")) {
                return self.keyring.as_ref()?.get(&account).await.ok().flatten();
            }
            fs::read_to_string(path).ok().filter(|text| !text.is_empty()).map(Secret::new)
        })
    }

    fn keep<'a>(&'a self, name: &'a str, secret: Option<&'a Secret<String>>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let path = self.path(name);
            let Some(secret) = secret else {
                self.forget(&path).await;
                return;
            };
            if self.hand_over(&path, secret).await.is_some() {
                return;
            }
            match files::replace(&path, secret.expose().as_bytes()) {
                Ok(_) => drop(fs::remove_file(path.with_extension("keyring"))),
                Err(error) => tracing::debug!(%error, "the sign-in is not remembered"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Mutex;

    use wharf_core::{Error, Kind, Result};

    use super::*;

    #[derive(Debug, Default)]
    struct Ring {
        kept: Mutex<BTreeMap<String, String>>,
        locked: bool,
    }

    impl Keyring for Ring {
        fn name(&self) -> &'static str {
            "the test's keyring"
        }

        fn get<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<Option<Secret<String>>>> {
            Box::pin(async move { Ok(self.kept.lock().unwrap().get(account).cloned().map(Secret::new)) })
        }

        fn set<'a>(&'a self, account: &'a str, secret: &'a Secret<String>) -> BoxFuture<'a, Result<()>> {
            Box::pin(async move {
                if self.locked {
                    return Err(Error::new(Kind::NotAllowed, "it is locked"));
                }
                self.kept.lock().unwrap().insert(account.to_owned(), secret.expose().clone());
                Ok(())
            })
        }

        fn remove<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<()>> {
            Box::pin(async move {
                self.kept.lock().unwrap().remove(account);
                Ok(())
            })
        }
    }

    fn word(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    async fn lives(folder: &Path, keyring: Option<Arc<dyn Keyring>>) {
        let memory = SignIns::new(folder.join("sign-ins"), keyring);
        assert!(memory.recall("a").await.is_none());
        memory.keep("a", Some(&word("one"))).await;
        memory.keep("b", Some(&word("other"))).await;
        memory.keep("a", Some(&word("two"))).await;
        assert_eq!(memory.recall("a").await.unwrap().expose(), "two");
        memory.keep("a", None).await;
        assert!(memory.recall("a").await.is_none());
        assert_eq!(memory.recall("b").await.unwrap().expose(), "other");
        assert!(memory.forget_all().await && !memory.forget_all().await);
        assert!(memory.recall("b").await.is_none());
        assert_eq!(fs::read_dir(folder.join("sign-ins")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_sign_in_is_kept_replaced_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        lives(folder.path(), None).await;
        let ring = Arc::new(Ring::default());
        lives(folder.path(), Some(ring.clone())).await;
        assert!(ring.kept.lock().unwrap().is_empty());
        lives(folder.path(), Some(Arc::new(Ring { locked: true, ..Ring::default() }))).await;
    }

    #[tokio::test]
    async fn a_file_is_for_its_owner_alone_and_a_keyring_leaves_none() {
        let folder = tempfile::tempdir().unwrap();
        let memory = SignIns::new(folder.path().join("sign-ins"), None);
        memory.keep("a", Some(&word("secret"))).await;
        let file = memory.path("a");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        // The next command has a keyring: the secret moves there.
        let ring = Arc::new(Ring::default());
        let memory = SignIns::new(folder.path().join("sign-ins"), Some(ring.clone()));
        memory.keep("a", Some(&word("newer"))).await;
        assert!(!file.exists());
        assert_eq!(memory.recall("a").await.unwrap().expose(), "newer");
        // And the one after that has none: the person signs in again.
        assert!(SignIns::new(folder.path().join("sign-ins"), None).recall("a").await.is_none());
    }
}
