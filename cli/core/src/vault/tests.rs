//! Keys that are moved, lost, locked away and asked for in the wrong session.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use wharf_driver::SystemClock;

use super::*;
use crate::OsEntropy;
use crate::store::{Folder, Wait};

const KEY: Key = Key { file: "keys/id_ed25519", format: Format::OpenSsh };
const AUTHORITY: Key = Key { file: "ca-key.pem", format: Format::Pkcs8 };

/// A keyring in memory that does as it is told.
#[derive(Debug, Default)]
struct Memory {
    kept: Mutex<BTreeMap<String, String>>,
    locked: Mutex<bool>,
    forgetful: Mutex<bool>,
}

impl Memory {
    fn answer<T>(&self, act: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> BoxFuture<'_, Result<T>>
    where
        T: Send + 'static,
    {
        let answer = if *self.locked.lock().unwrap() {
            Err(Error::new(Kind::NotAllowed, "it is locked"))
        } else {
            Ok(act(&mut self.kept.lock().unwrap()))
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Keyring for Memory {
    fn name(&self) -> &'static str {
        "the keyring in memory"
    }

    fn get<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<Option<Secret<String>>>> {
        self.answer(|kept| kept.get(account).cloned().map(Secret::new))
    }

    fn set<'a>(&'a self, account: &'a str, secret: &'a Secret<String>) -> BoxFuture<'a, Result<()>> {
        let kept =
            if *self.forgetful.lock().unwrap() { "something else" } else { secret.expose() }.to_owned();
        self.answer(|all| drop(all.insert(account.to_owned(), kept)))
    }

    fn remove<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<()>> {
        self.answer(|kept| drop(kept.remove(account)))
    }
}

struct Desk {
    home: tempfile::TempDir,
    store: Arc<dyn Store>,
    keyring: Arc<Memory>,
    subject: Subject,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Folder::new(home.path().join("s"), Arc::new(SystemClock::new()), Arc::new(OsEntropy));
        let subject = Subject::Machine("web".parse().unwrap());
        Self { home, store: Arc::new(store), keyring: Arc::default(), subject }
    }

    async fn lease(&self) -> Lease {
        let cancel = CancellationToken::new();
        let until = Instant::now() + Duration::from_secs(5);
        let wait = Wait { until, cancel: &cancel, holder: "test", held: &|_| {} };
        self.store.lock(&self.subject, &wait).await.unwrap()
    }

    fn vault(&self, keeping: Keeping) -> Vault {
        Vault::new(Arc::clone(&self.store), keeping)
    }

    /// In the desktop's session.
    fn inside(&self) -> Vault {
        self.vault(Keeping { keyring: Some(self.keyring.clone()), ..Keeping::default() })
    }

    /// In a session without a keyring.
    fn outside(&self) -> Vault {
        self.vault(Keeping::default())
    }

    fn on_disk(&self) -> String {
        let file = self.home.path().join("s/machines/web").join(KEY.file);
        std::fs::read_to_string(file).unwrap_or_default()
    }
}

fn secret() -> Secret<String> {
    Secret::new(wharf_ssh::KeyPair::generate("test").unwrap().private().to_owned())
}

#[tokio::test]
async fn a_keyring_keeps_keys_and_no_file_does() {
    let desk = Desk::new();
    let (lease, key) = (desk.lease().await, secret());
    let vault = desk.inside();
    vault.put(&lease, KEY, &key).await.unwrap();
    assert_eq!(desk.on_disk(), "");
    assert_eq!(vault.read(&desk.subject, KEY).await.unwrap(), Some(key.clone()));
    assert_eq!(vault.place(&desk.subject, KEY).await.unwrap().to_string(), "the keyring in memory");

    let elsewhere = desk.outside().read(&desk.subject, KEY).await.unwrap_err();
    assert_eq!(elsewhere.kind(), Kind::NotAllowed);
    assert_eq!(
        elsewhere.to_string(),
        "the key `keys/id_ed25519` of machine `web` is in the keyring in memory, which cannot be asked: this session \
         has no such keyring"
    );
    assert!(elsewhere.advice().unwrap().contains("desktop session"));

    vault.forget(&lease, KEY).await.unwrap();
    assert!(desk.keyring.kept.lock().unwrap().is_empty());
    assert_eq!(vault.read(&desk.subject, KEY).await.unwrap(), None);
    vault.forget(&lease, KEY).await.unwrap();
}

#[tokio::test]
async fn what_no_keyring_takes_becomes_a_file() {
    let desk = Desk::new();
    let (lease, key) = (desk.lease().await, secret());
    for trouble in [&desk.keyring.locked, &desk.keyring.forgetful] {
        *trouble.lock().unwrap() = true;
        desk.inside().put(&lease, KEY, &key).await.unwrap();
        assert_eq!(desk.on_disk(), *key.expose());
        desk.inside().settle(&lease, KEY).await.unwrap();
        assert_eq!(desk.on_disk(), *key.expose(), "a key was lost");
        assert_eq!(desk.outside().read(&desk.subject, KEY).await.unwrap(), Some(key.clone()));
        *trouble.lock().unwrap() = false;
    }
}

#[tokio::test]
async fn keys_move_both_ways_and_are_there_at_every_moment() {
    let desk = Desk::new();
    let (lease, key) = (desk.lease().await, secret());
    desk.outside().put(&lease, KEY, &key).await.unwrap();
    desk.inside().settle(&lease, KEY).await.unwrap();
    assert_eq!((desk.on_disk().as_str(), desk.keyring.kept.lock().unwrap().len()), ("", 1));

    // Killed between the note and the file's end: both are there.
    desk.store.put(&lease, KEY.file, key.expose().as_bytes()).await.unwrap();
    assert_eq!(desk.outside().read(&desk.subject, KEY).await.unwrap(), Some(key.clone()));
    assert!(!desk.inside().is_settled(&desk.subject, KEY).await.unwrap());
    desk.inside().settle(&lease, KEY).await.unwrap();
    assert!(desk.inside().is_settled(&desk.subject, KEY).await.unwrap());
    assert_eq!(desk.on_disk(), "");

    let back =
        desk.vault(Keeping { keyring: Some(desk.keyring.clone()), in_files: true, ..Keeping::default() });
    *desk.keyring.locked.lock().unwrap() = true;
    back.settle(&lease, KEY).await.unwrap_err();
    *desk.keyring.locked.lock().unwrap() = false;
    back.settle(&lease, KEY).await.unwrap();
    assert_eq!(desk.on_disk(), *key.expose());
    assert!(desk.keyring.kept.lock().unwrap().is_empty());
    assert_eq!(desk.outside().read(&desk.subject, KEY).await.unwrap(), Some(key));
}

#[tokio::test]
async fn a_passphrase_locks_files_as_other_programs_know_it() {
    let desk = Desk::new();
    let (lease, key) = (desk.lease().await, secret());
    let with = |text: &str| {
        desk.vault(Keeping { passphrase: Some(Secret::new(text.to_owned())), ..Keeping::default() })
    };
    desk.outside().put(&lease, KEY, &key).await.unwrap();
    with("right horse").settle(&lease, KEY).await.unwrap();
    assert_ne!(desk.on_disk(), *key.expose());
    let read = with("right horse").read(&desk.subject, KEY).await.unwrap().unwrap();
    let pair = |text: &str| wharf_ssh::KeyPair::load(text).unwrap().public().to_owned();
    assert_eq!(pair(read.expose()), pair(key.expose()));
    let wrong = with("wrong").read(&desk.subject, KEY).await.unwrap_err();
    assert!(wrong.to_string().contains("the passphrase is wrong"), "{wrong}");
    let without = desk.outside().read(&desk.subject, KEY).await.unwrap_err();
    assert_eq!(without.kind(), Kind::NotAllowed);
    assert!(without.advice().unwrap().contains("WHARF_PASSPHRASE_FILE"));

    let authority = wharf_pki::Authority::generate("s", time::OffsetDateTime::now_utc()).unwrap();
    let key = Secret::new(authority.key_pem().expose().to_owned());
    with("right horse").put(&lease, AUTHORITY, &key).await.unwrap();
    let file = desk.home.path().join("s/machines/web").join(AUTHORITY.file);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("BEGIN ENCRYPTED PRIVATE KEY"));
    assert_eq!(
        with("right horse").read(&desk.subject, AUTHORITY).await.unwrap().unwrap().expose().trim(),
        key.expose().trim()
    );
    assert!(with("wrong").read(&desk.subject, AUTHORITY).await.is_err());
}
