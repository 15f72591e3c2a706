//! What a person does to a store by accident: half a journal, another journal, half a certificate, a lock that is held.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use wharf_core::{
    Call, CreateRequest, EngineOptions, Factory, Kind, Look, MachineName, Power, RemoveOptions, Sink, Wharf,
    What,
};
use wharf_testkit::memory::{Cloud, Memory};
use wharf_testkit::{Hosts, open_in_memory, setup};

/// A store with a machine in a cloud of its own.
struct Desk {
    home: tempfile::TempDir,
    cloud: String,
    hosts: Arc<Hosts>,
}

impl Desk {
    fn empty(cloud: &str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), cloud: cloud.to_owned(), hosts: Arc::default() }
    }

    async fn with_machine(cloud: &str) -> Self {
        let desk = Self::empty(cloud);
        desk.wharf().create(&desk.request(None), &Call::new("wharf create")).await.unwrap();
        desk
    }

    fn wharf(&self) -> Wharf {
        let setup = setup(self.home.path(), Factory::of::<Memory>());
        open_in_memory(setup, Arc::clone(&self.hosts))
    }

    fn request(&self, fail: Option<&str>) -> CreateRequest {
        CreateRequest {
            name: name(),
            driver: "memory".to_owned(),
            config: json!({ "cloud": self.cloud, "fail": fail }),
            options: EngineOptions::default(),
            expires: None,
            bare: false,
            fleet: None,
            hooks: Vec::new(),
        }
    }

    fn file(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn journal(&self) -> PathBuf {
        self.file("machines/web/journal.jsonl")
    }
}

fn name() -> MachineName {
    "web".parse().unwrap()
}

fn overwrite(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn a_torn_last_line_is_cut_and_reported() {
    let desk = Desk::with_machine("torn").await;
    let whole = fs::read(desk.journal()).unwrap();
    overwrite(&desk.journal(), &[&whole[..], br#"{"number":99,"at":1"#].concat());
    // Readers leave it alone: its writer may be at work.
    desk.wharf().inspect(&name()).await.unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let events = Sink::new(move |event| heard.lock().unwrap().push(event.what));
    let call = Call { events, ..Call::new("wharf stop") };
    desk.wharf().power(&name(), Power::Off, &call).await.unwrap();
    let cut = |what: &What| matches!(what, What::Warning(text) if text.contains("torn last line"));
    assert!(said.lock().unwrap().iter().any(cut), "{said:?}");
    let now = fs::read(desk.journal()).unwrap();
    assert!(now.starts_with(&whole) && now.len() > whole.len());
    desk.wharf().inspect(&name()).await.unwrap();
}

#[tokio::test]
async fn other_damage_is_an_error_with_its_line_and_a_way_out() {
    let desk = Desk::with_machine("damaged").await;
    let mut bytes = fs::read(desk.journal()).unwrap();
    let second_line = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 20;
    bytes[second_line] ^= 1;
    overwrite(&desk.journal(), &bytes);
    let call = Call::new("wharf rm");
    for error in [
        desk.wharf().inspect(&name()).await.unwrap_err(),
        desk.wharf().power(&name(), Power::On, &call).await.unwrap_err(),
        desk.wharf().remove(&name(), RemoveOptions::default(), &call).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(error.advice().is_some_and(|hint| hint.contains("rm --force web")), "{error:?}");
        assert_eq!(error.kind(), Kind::Failed);
    }
    let observed = desk.wharf().observe(&[], Look::Everything, &Call::new("wharf ls")).await.unwrap();
    assert!(
        observed[0].errors[0].contains("line 2"),
        "one damaged machine does not hide the others: {observed:?}"
    );
    let forced = RemoveOptions { force: true, purge: false };
    let removed = desk.wharf().remove(&name(), forced, &call).await.unwrap();
    assert_eq!(removed.left.len(), 1, "{removed:?}");
    assert!(desk.wharf().list().await.unwrap().is_empty());
    assert_eq!(
        Cloud::named("damaged").everything().len(),
        3,
        "what it is made of is left, and that was said"
    );
}

#[tokio::test]
async fn a_damaged_authority_is_an_error_and_a_damaged_client_certificate_is_replaced() {
    let desk = Desk::with_machine("certificates").await;
    let client = desk.file("authority/cert.pem");
    overwrite(&client, b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    let connection = desk.wharf().connection(&name()).await.unwrap();
    let renewed = fs::read(&client).unwrap();
    assert_eq!(fs::read(connection.certificates.join("cert.pem")).unwrap(), renewed);
    for (file, text) in [("authority/ca.pem", "half a certificate"), ("authority/ca-key.pem", "")] {
        let whole = fs::read(desk.file(file)).unwrap();
        overwrite(&desk.file(file), text.as_bytes());
        // The docker client needs no key of the authority's; whoever signs does.
        let error = desk.wharf().provision(&name(), &Call::new("wharf provision")).await.unwrap_err();
        assert!(error.to_string().contains("certificate authority is damaged"), "{file}: {error}");
        assert!(error.advice().is_some_and(|hint| hint.contains("backup")), "{file}: {error:?}");
        assert_eq!(fs::read(desk.file(file)).unwrap(), text.as_bytes(), "{file} was replaced");
        overwrite(&desk.file(file), &whole);
    }
    desk.wharf().connection(&name()).await.unwrap();
}

#[tokio::test]
async fn who_holds_a_machine_is_said() {
    let desk = Desk::with_machine("held").await;
    let home = desk.home.path().join("machines/web/lock");
    // Another process: the same file, opened anew, with the lock on it.
    let file = fs::OpenOptions::new().read(true).write(true).open(&home).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    overwrite(&home, br#"{"fence":9,"process":4711,"command":"wharf provision web","since":1}"#);
    let call = Call { lock_wait: Duration::from_millis(120), ..Call::new("wharf stop web") };
    let error = desk.wharf().power(&name(), Power::Off, &call).await.unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Locked, 9));
    assert_eq!(error.to_string(), "machine `web` is held by `wharf provision web` (process 4711)");
    drop(file);
    desk.wharf().power(&name(), Power::Off, &call).await.unwrap();
}

#[tokio::test]
async fn a_refused_create_leaves_nothing() {
    let desk = Desk::empty("refused");
    for (how, kind) in [("refused", Kind::Refused), ("quota", Kind::Quota), ("not-allowed", Kind::NotAllowed)]
    {
        let error =
            desk.wharf().create(&desk.request(Some(how)), &Call::new("wharf create")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(!desk.file("machines/web").exists(), "{how}");
    }
    let unknown = CreateRequest { driver: "cloud9".to_owned(), ..desk.request(None) };
    let error = desk.wharf().create(&unknown, &Call::new("wharf create")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.advice().is_some_and(|hint| hint.contains("memory")), "{error:?}");
    assert!(Cloud::named("refused").everything().is_empty());
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_the_machine_stays() {
    let desk = Desk::with_machine("taken").await;
    let before = fs::read(desk.journal()).unwrap();
    let error = desk.wharf().create(&desk.request(None), &Call::new("wharf create")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(fs::read(desk.journal()).unwrap(), before);
}

#[tokio::test]
async fn verbs_on_no_machine_say_so_and_leave_no_folder() {
    let desk = Desk::empty("none");
    let call = Call::new("wharf");
    for error in [
        desk.wharf().power(&name(), Power::On, &call).await.unwrap_err(),
        desk.wharf().remove(&name(), RemoveOptions::default(), &call).await.unwrap_err(),
        desk.wharf().connection(&name()).await.unwrap_err(),
        desk.wharf().inspect(&name()).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.kind().exit_code()), (Kind::NoSuchMachine, 4));
    }
    assert!(!desk.file("machines/web").exists());
}

#[tokio::test]
async fn an_interruption_at_any_moment_leaves_nothing() {
    tokio::time::pause();
    let habits = wharf_testkit::memory::Habits { late: Duration::from_secs(3), lag: Duration::ZERO };
    for seconds in 0..8 {
        let desk = Desk::empty(&format!("interrupted-{seconds}"));
        Cloud::named(&desk.cloud).behave(habits);
        let call = Call::new("wharf create");
        let (wharf, request) = (desk.wharf(), desk.request(None));
        let interrupt = async {
            tokio::time::sleep(Duration::from_millis(seconds * 1000 + 1)).await;
            call.cancel.cancel();
        };
        let (created, ()) = tokio::join!(wharf.create(&request, &call), interrupt);
        let Err(error) = created else { continue };
        assert_eq!(error.kind(), Kind::Cancelled, "{error:?}");
        assert_eq!(Cloud::named(&desk.cloud).everything(), [""; 0], "after {seconds} s");
        assert!(!desk.file("machines/web").exists(), "after {seconds} s");
    }
}

#[tokio::test]
async fn only_the_owner_reads_and_the_journal_holds_no_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::with_machine("secrets").await;
    let mut secret_files = 0;
    let mut folders = vec![desk.home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            if path.is_dir() {
                assert_eq!(mode, 0o700, "{}", path.display());
                folders.push(path);
                continue;
            }
            assert_eq!(mode, 0o600, "{}", path.display());
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let meant = path.file_name().is_some_and(|name| {
                ["ca-key.pem", "key.pem", "id_ed25519", "host_ed25519"].iter().any(|one| name == *one)
            });
            secret_files += usize::from(meant);
            assert_eq!(text.contains("PRIVATE KEY"), meant, "{}", path.display());
        }
    }
    assert_eq!(secret_files, 5);
}

#[tokio::test]
async fn a_client_certificate_is_renewed_and_the_machine_gets_the_new_one() {
    let desk = Desk::with_machine("renewal").await;
    let before = fs::read(desk.file("machines/web/cert.pem")).unwrap();
    let wharf = desk.wharf();
    assert_eq!(
        fs::read(wharf.connection(&name()).await.unwrap().certificates.join("cert.pem")).unwrap(),
        before
    );
    wharf.renew_own(&Call::new("wharf certs renew")).await.unwrap();
    wharf.connection(&name()).await.unwrap();
    let after = fs::read(desk.file("machines/web/cert.pem")).unwrap();
    assert_ne!(after, before);
    assert_eq!(after, fs::read(desk.file("authority/cert.pem")).unwrap());
}

#[tokio::test]
async fn a_new_address_gets_a_new_certificate() {
    let desk = Desk::with_machine("address").await;
    let wharf = desk.wharf();
    let before = wharf.connection(&name()).await.unwrap();
    wharf.power(&name(), Power::Off, &Call::new("wharf stop")).await.unwrap();
    let after = wharf.power(&name(), Power::On, &Call::new("wharf start")).await.unwrap();
    assert_ne!(after.url, before.url);
    assert!(desk.hosts.names(after.id.as_str()).contains(&after.engine_host));
    assert_eq!(desk.hosts.counts()["certify"], 1);
    assert_eq!(desk.hosts.counts()["provision"], 1, "the engine was not brought there again");
}

#[tokio::test]
async fn another_account_is_told_before_anything_is_asked() {
    let desk = Desk::empty("accounts");
    let cloud = Cloud::named("accounts");
    cloud.sign_in("tenant a, subscription 1");
    let (wharf, call) = (desk.wharf(), Call::new("wharf"));
    wharf.create(&desk.request(None), &call).await.unwrap();
    cloud.sign_in("tenant a, subscription 2");
    let before = cloud.calls();
    let both = [
        ("made in", "tenant a, subscription 1".to_owned()),
        ("signed in to", "tenant a, subscription 2".to_owned()),
    ];
    let removed = wharf.remove(&name(), RemoveOptions::default(), &call).await.unwrap_err();
    assert_eq!((removed.kind(), removed.facts()), (Kind::NotAllowed, both.as_slice()));
    let stopped = wharf.power(&name(), Power::Off, &call).await.unwrap_err();
    assert_eq!(stopped.kind(), Kind::NotAllowed);
    let seen = wharf.observe(&[], Look::States, &call).await.unwrap();
    assert!(seen[0].state.is_none() && seen[0].errors[0].contains("another account"), "{seen:?}");
    assert_eq!(cloud.calls(), before, "the wrong account was asked");
    cloud.sign_in("tenant a, subscription 1");
    wharf.remove(&name(), RemoveOptions::default(), &call).await.unwrap();
    assert!(cloud.everything().is_empty());
}
