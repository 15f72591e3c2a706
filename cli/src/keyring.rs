//! The operating system's keyring: the Secret Service on Linux, the Keychain on macOS, the Credential Manager on Windows.
//!
//! Nothing is asked before a key is; a session without a bus has none, and that is known without asking anybody. Every
//! call ends: a keyring that nobody unlocks is one that is not there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use keyring_core::CredentialStore;
use wharf_core::{Error, Keyring, Kind, Result, Secret};

use crate::world::World;

/// What a person may take to unlock it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Under what keyrings show our keys.
const SERVICE: &str = "wharf";

/// Opens the keyring. May block.
pub type Open = fn() -> keyring_core::Result<Arc<CredentialStore>>;

/// The keyring of this session, where there may be one.
pub(crate) fn of(world: &World, open: Open) -> Option<Arc<dyn Keyring>> {
    may_be_there(world).then(|| Arc::new(System { open, store: Arc::default() }) as Arc<dyn Keyring>)
}

/// The keyring of this operating system.
#[cfg(target_os = "linux")]
pub(crate) fn open() -> keyring_core::Result<Arc<CredentialStore>> {
    let store = zbus_secret_service_keyring_store::Store::new()?;
    Ok(store)
}

/// The keyring of this operating system.
#[cfg(target_os = "macos")]
pub(crate) fn open() -> keyring_core::Result<Arc<CredentialStore>> {
    let store = apple_native_keyring_store::keychain::Store::new()?;
    Ok(store)
}

/// The keyring of this operating system.
#[cfg(windows)]
pub(crate) fn open() -> keyring_core::Result<Arc<CredentialStore>> {
    let store = windows_native_keyring_store::Store::new()?;
    Ok(store)
}

/// No keyring is known here.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
pub(crate) fn open() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(keyring_core::Error::NoDefaultStore)
}

/// The Secret Service is found on the session's bus, whose place is where the bus's own clients look for it.
fn may_be_there(world: &World) -> bool {
    if cfg!(not(target_os = "linux")) {
        return true;
    }
    let socket = || Some(std::path::Path::new(world.var("XDG_RUNTIME_DIR")?).join("bus").exists());
    world.var("DBUS_SESSION_BUS_ADDRESS").is_some() || socket().unwrap_or(false)
}

/// The keyring, clones of which share one connection.
#[derive(Clone)]
struct System {
    open: Open,
    /// Open once it was needed; a failure is remembered, so that it costs its time once.
    store: Arc<Mutex<Opened>>,
}

type Opened = Option<Result<Arc<CredentialStore>, String>>;

impl System {
    fn entry(&self, account: &str) -> Result<keyring_core::Entry> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = store.get_or_insert_with(|| (self.open)().map_err(|e| e.to_string()));
        let opened = opened.as_ref().map_err(|e| Error::new(Kind::NotAllowed, e.clone()))?;
        opened.build(SERVICE, account, None).map_err(failed)
    }

    /// Does something with an entry, off the async threads, for as long as a person may take to unlock the keyring.
    async fn with<T: Send + 'static>(
        &self,
        account: &str,
        act: impl FnOnce(&keyring_core::Entry) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let (keyring, account) = (self.clone(), account.to_owned());
        let call = move || match act(&keyring.entry(&account)?) {
            Err(keyring_core::Error::NoEntry) => Ok(None),
            done => done.map(Some).map_err(failed),
        };
        let called = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(call)).await;
        let late = "it does not answer: it may be locked, with nobody there to unlock it";
        let called = called.map_err(|_| Error::new(Kind::NotAllowed, late))?;
        called.map_err(|e| Error::new(Kind::Failed, e.to_string()).caused_by(e))?
    }
}

impl Keyring for System {
    fn name(&self) -> &'static str {
        if cfg!(target_os = "macos") {
            "the Keychain"
        } else if cfg!(windows) {
            "the Credential Manager"
        } else {
            "the Secret Service"
        }
    }

    fn get<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<Option<Secret<String>>>> {
        Box::pin(
            async move { Ok(self.with(account, keyring_core::Entry::get_password).await?.map(Secret::new)) },
        )
    }

    fn set<'a>(&'a self, account: &'a str, secret: &'a Secret<String>) -> BoxFuture<'a, Result<()>> {
        let secret = secret.expose().clone();
        Box::pin(async move { self.with(account, move |entry| entry.set_password(&secret)).await.map(drop) })
    }

    fn remove<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.with(account, keyring_core::Entry::delete_credential).await.map(drop) })
    }
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("System")
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn failed(error: keyring_core::Error) -> Error {
    Error::new(Kind::NotAllowed, error.to_string())
}
