//! A store that two people share from computers of their own. Its objects are in memory here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use insta::assert_snapshot;
use object_store::ObjectStoreExt as _;
use tokio_util::sync::CancellationToken;
use wharf_core::OsEntropy;
use wharf_core::store::{Lease, Store as _, Subject, Wait};
use wharf_driver::SystemClock;
use wharf_objects::{Objects, Place, Times};

use crate::fake::objects;
use crate::sandbox::Sandbox;

/// Somebody who works with the store at `address` and knows the team's passphrase.
fn member(user: &str, address: &str) -> Sandbox {
    let sandbox = Sandbox::new().env("USER", user).env("WHARF_STORE", address).env("WHARF_LOCK_WAIT", "1s");
    sandbox.write("passphrase", "correct horse\n");
    let file = sandbox.home().join("passphrase").display().to_string();
    sandbox.env("WHARF_PASSPHRASE_FILE", &file)
}

/// Two members of a team whose store is there.
fn team(address: &str) -> (Sandbox, Sandbox) {
    let (ann, bob) = (member("ann", address), member("bob", address));
    let made = ann.run(&["store", "init", address]);
    assert_eq!(made.code, 0, "{made}");
    (ann, bob)
}

/// Somebody else's opening of the store.
fn outsider(address: &str) -> Objects {
    let place = Place {
        objects: objects(address),
        prefix: "".into(),
        name: address.to_owned(),
        own: "/nowhere".into(),
        person: "eve@desk".to_owned(),
        times: Times::default(),
    };
    Objects::new(place, Arc::new(SystemClock::new()), Arc::new(OsEntropy))
}

/// Somebody else's command holds this.
async fn hold(address: &str, subject: &Subject) -> (Objects, Lease) {
    let store = outsider(address);
    let wait = Wait {
        until: Instant::now() + Duration::from_secs(5),
        cancel: &CancellationToken::new(),
        holder: "wharf apply",
        held: &|_| {},
    };
    let lease = store.lock(subject, &wait).await.unwrap();
    (store, lease)
}

async fn texts(address: &str) -> Vec<(String, String)> {
    let objects = objects(address);
    let keys: Vec<_> = objects.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
    let mut texts = Vec::new();
    for key in keys {
        let bytes = objects.get(&key).await.unwrap().bytes().await.unwrap();
        texts.push((key.to_string(), String::from_utf8_lossy(&bytes).into_owned()));
    }
    texts
}

#[test]
fn what_one_makes_the_other_uses_and_removes() {
    let (ann, bob) = team("s3://both");
    assert_eq!(ann.run(&["create", "web"]).code, 0);
    assert_snapshot!(bob.run(&["ls"]), @r#"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE     URL                    DOCKER   ERRORS
    web    -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    "#);
    assert_snapshot!(bob.run(&["url", "web"]), @r#"
    $ wharf url web
    tcp://192.0.2.7:2376
    "#);
    assert_eq!(bob.run(&["env", "web"]).code, 0);
    assert_eq!(bob.run(&["stop", "web"]).code, 0);
    assert_snapshot!(ann.run(&["status", "web"]), @r#"
    $ wharf status web
    Stopped
    "#);
    assert_snapshot!(bob.run(&["rm", "-y", "web"]), @r#"
    $ wharf rm -y web
    ! web: finding out what an earlier command left
    ! web: removing it
    ! web: remove web-ID-vm
    ! web: removed (N s)
    "#);
    assert_snapshot!(ann.run(&["inspect", "web"]), @r#"
    $ wharf inspect web
    ! error: there is no machine `web`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    "#);
    assert_eq!(ann.run(&["create", "--no-context", "web"]).code, 0, "the name is free");
}

#[test]
fn each_has_a_certificate_of_its_own_and_no_key_lies_open_in_the_store() {
    let address = "s3://secrets";
    let (ann, bob) = team(address);
    assert_eq!(ann.run(&["create", "web"]).code, 0);
    assert_eq!(bob.run(&["env", "web"]).code, 0);
    let own = |sandbox: &Sandbox| {
        let shared = std::fs::read_dir(sandbox.store().join("shared")).unwrap().next().unwrap().unwrap();
        let read =
            |file: &str| std::fs::read_to_string(shared.path().join("machines/web").join(file)).unwrap();
        (read("ca.pem"), read("cert.pem"), read("key.pem"))
    };
    let (anns, bobs) = (own(&ann), own(&bob));
    assert_eq!(anns.0, bobs.0, "one authority");
    assert!(anns.1 != bobs.1 && anns.2 != bobs.2, "two clients");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let texts = runtime.block_on(texts(address));
    let keys: Vec<_> = texts.iter().filter(|(_, text)| text.contains("PRIVATE KEY")).collect();
    assert!(keys.iter().any(|(key, _)| key == "authority/files/ca-key.pem"), "{texts:#?}");
    for (key, text) in keys {
        assert!(!text.contains("BEGIN PRIVATE KEY"), "{key} lies open");
        for clients in [&anns.2, &bobs.2] {
            assert!(!text.contains(clients.lines().nth(1).unwrap()), "{key} is a client's");
        }
    }
}

#[test]
fn keys_do_not_get_there_without_a_passphrase() {
    let (ann, _) = team("s3://open");
    ann.without("WHARF_PASSPHRASE_FILE");
    assert_snapshot!(ann.run(&["create", "web"]), @r#"
    $ wharf create web
    ! web: checking what can be checked beforehand
    ! error: private keys would lie open in a store that is shared
    ! hint: `wharf store init URL --recipient KEY` encrypts them to people's own keys; or name a file with the team's passphrase with WHARF_PASSPHRASE_FILE
    [exit 3]
    "#);
    assert_snapshot!(ann.run(&["ls"]), @r#"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE   URL   DOCKER   ERRORS
    ! there are no machines yet: `wharf create NAME` makes one
    "#);
}

#[test]
fn a_store_is_made_before_it_is_used_and_its_address_is_read() {
    let ann = member("ann", "s3://nothing/here");
    assert_snapshot!(ann.run(&["ls"]), @r#"
    $ wharf ls
    ! error: there is no store at s3://nothing/here
    ! hint: `wharf store init s3://nothing/here` makes one
    [exit 3]
    "#);
    assert_snapshot!(ann.run(&["store", "init", "s3://nothing/here"]), @r#"
    $ wharf store init s3://nothing/here
    ! The store at s3://nothing/here heeds conditional writes, and is ready.
    ! Work with it by --store 's3://nothing/here', WHARF_STORE='s3://nothing/here', or `store: s3://nothing/here` in the configuration file.
    "#);
    assert_snapshot!(ann.run(&["ls"]), @r#"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE   URL   DOCKER   ERRORS
    ! there are no machines yet: `wharf create NAME` makes one
    "#);
    assert_snapshot!(ann.run(&["--store", "gopher://hole", "ls"]), @r#"
    $ wharf --store gopher://hole ls
    ! error: `gopher://hole` is no address of a store: `gopher` is no kind of store
    ! hint: flags win over the environment, that over the file, that over defaults; `wharf --help` lists them
    [exit 2]
    "#);
}

#[test]
fn who_holds_a_machine_is_said_and_its_lock_can_be_freed() {
    let address = "s3://locked";
    let (ann, _) = team(address);
    assert_eq!(ann.run(&["create", "web"]).code, 0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let subject = Subject::Machine("web".parse().unwrap());
    let (_store, lease) = runtime.block_on(hold(address, &subject));
    let process = std::process::id().to_string();
    let shown = |args: &[&str]| ann.run(args).to_string().replace(&process, "PID");
    assert_snapshot!(shown(&["stop", "web"]), @r#"
    $ wharf stop web
    ! web: waiting for `wharf apply` of eve@desk (process PID)
    ! error: machine `web` is held by `wharf apply` of eve@desk (process PID)
    ! hint: wait until that command has ended, or end it; the lock of one that was killed runs out by itself, and `wharf unlock` frees it at once
    [exit 9]
    "#);
    assert_snapshot!(shown(&["unlock", "web"]), @r#"
    $ wharf unlock web
    ! machine `web` is held by `wharf apply` of eve@desk (process PID).
    ! error: nobody is there to confirm that web may be unlocked
    ! hint: --yes unlocks without asking
    [exit 2]
    "#);
    assert_snapshot!(shown(&["unlock", "--yes", "web"]), @r#"
    $ wharf unlock --yes web
    ! machine `web` is held by `wharf apply` of eve@desk (process PID).
    ! web is free.
    "#);
    assert_snapshot!(shown(&["unlock", "web"]), @r#"
    $ wharf unlock web
    ! Nobody holds web.
    "#);
    assert_eq!(ann.run(&["stop", "web"]).code, 0);
    drop(lease);
}

#[test]
fn an_apply_that_lost_its_fleet_stops() {
    let address = "s3://lost";
    let (ann, _) = team(address);
    let ann = ann.env("WHARF_LOCK_TIME", "3s").env("WHARF_TIMEOUT", "60s");
    let fleet = "fleet: shop\nmachines:\n  web:\n    driver: memory\n    options: { fails: slow }\n";
    ann.write("fleet.yaml", fleet);
    let fleet = Subject::Fleet("shop".into());
    let freeing = std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let store = outsider(address);
            let web = "web".parse().unwrap();
            let begun = async {
                while store.journal(&web).await.unwrap().len() < 3 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), begun).await.expect("the apply begins");
            store.unlock(&fleet).await.unwrap();
        });
    });
    // It would go on until somebody interrupts it.
    let ended = ann.run(&["apply", "--yes"]);
    freeing.join().unwrap();
    assert_eq!(ended.code, 9, "{ended}");
    assert!(ended.stderr.contains("the lock was lost to another command"), "{ended}");
}

#[test]
fn a_lock_of_this_computer_ends_with_its_command_alone() {
    let ann = Sandbox::with(&["web"]);
    assert_snapshot!(ann.run(&["unlock", "web"]), @r#"
    $ wharf unlock web
    ! Nobody holds web.
    "#);
    let file = std::fs::File::open(ann.store().join("machines/web/lock")).unwrap();
    file.lock().unwrap();
    let refused = ann.run(&["unlock", "--yes", "web"]);
    assert_eq!(refused.code, 9, "{refused}");
    assert!(refused.stderr.contains("a lock of this computer ends with it"), "{refused}");
}
