//! A shared store whose keys are encrypted to people and jobs: what each opens, who comes, who goes, and what somebody
//! who writes to the bucket does not get by it. Its objects are in memory here.

use std::collections::BTreeMap;
use std::io::Read as _;

use age::secrecy::ExposeSecret as _;
use insta::assert_snapshot;
use object_store::ObjectStoreExt as _;
use wharf_ssh::KeyPair;

use crate::cut;
use crate::fake::objects;
use crate::sandbox::{Ended, Sandbox};

/// Somebody with a computer and an identity of age's.
struct Member {
    sandbox: Sandbox,
    identity: age::x25519::Identity,
}

impl Member {
    fn new(user: &str, address: &str) -> Self {
        let sandbox =
            Sandbox::new().env("USER", user).env("WHARF_STORE", address).env("WHARF_LOCK_WAIT", "2s");
        let identity = age::x25519::Identity::generate();
        sandbox.write("identity", &format!("# made for a test\n{}\n", identity.to_string().expose_secret()));
        Self { sandbox: sandbox.env("WHARF_IDENTITY", "identity"), identity }
    }

    fn public(&self) -> String {
        self.identity.to_public().to_string()
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.sandbox.run(args)
    }

    fn done(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{ended}");
        ended
    }

    fn add(&self, name: &str, role: &str, other: &Self) -> Ended {
        self.done(&["store", "add-recipient", name, "--role", role, &other.public()])
    }

    /// Whether this text is encrypted to them.
    fn opens(&self, text: &str) -> bool {
        let (from, end) = (text.find("-----BEGIN AGE").unwrap(), "-----END AGE ENCRYPTED FILE-----");
        let armored = &text[from..text.find(end).unwrap() + end.len()];
        let reader = age::armor::ArmoredReader::new(armored.as_bytes());
        let Ok(mut plain) = age::Decryptor::new_buffered(reader)
            .unwrap()
            .decrypt(std::iter::once(&self.identity as &dyn age::Identity))
        else {
            return false;
        };
        plain.read_to_string(&mut String::new()).unwrap() > 0
    }
}

/// A store whose first admin is ann.
fn team(address: &str) -> Member {
    let ann = Member::new("ann", address);
    ann.done(&["store", "init", address, "--recipient", &format!("ann={}", ann.public())]);
    ann
}

/// The same with a machine, a second admin, an operator, a reader and a job.
fn whole_team(address: &str) -> [Member; 5] {
    let ann = team(address);
    let [amy, bob, rae, job] = ["amy", "bob", "rae", "ci"].map(|name| Member::new(name, address));
    ann.done(&["create", "web"]);
    for (name, role, who) in
        [("amy", "admin", &amy), ("bob", "operator", &bob), ("rae", "reader", &rae), ("ci", "job", &job)]
    {
        ann.add(name, role, who);
    }
    [ann, amy, bob, rae, job]
}

/// What is in the bucket.
fn bucket(address: &str) -> BTreeMap<String, String> {
    use futures_util::TryStreamExt as _;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let objects = objects(address);
        let keys: Vec<_> = objects.list(None).map_ok(|object| object.location).try_collect().await.unwrap();
        let mut texts = BTreeMap::new();
        for key in keys {
            let bytes = objects.get(&key).await.unwrap().bytes().await.unwrap();
            texts.insert(key.to_string(), String::from_utf8_lossy(&bytes).into_owned());
        }
        texts
    })
}

/// Somebody writes to the bucket, around wharf.
fn overwrite(address: &str, key: &str, text: Option<&str>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (objects, key) = (objects(address), object_store::path::Path::from(key));
    runtime.block_on(async {
        match text {
            Some(text) => drop(objects.put(&key, text.to_owned().into()).await.unwrap()),
            None => objects.delete(&key).await.unwrap(),
        }
    });
}

/// The keys in the bucket that are encrypted to recipients, by their object's last part.
fn sealed(address: &str) -> BTreeMap<String, String> {
    let all = bucket(address).into_iter().filter(|(_, text)| text.contains("BEGIN AGE ENCRYPTED FILE"));
    all.map(|(key, text)| (key, text.replace("\\n", "\n"))).collect()
}

/// A transcript without what differs from run to run.
fn shown(ended: &Ended) -> String {
    let keys = regex_lite::Regex::new("age1[a-z0-9]+").unwrap();
    let prints = regex_lite::Regex::new("SHA256:[0-9a-f]{64}").unwrap();
    // A second may have passed since it was issued.
    let days = regex_lite::Regex::new(r"\b(89|90)\b").unwrap();
    let text = keys.replace_all(&ended.to_string(), "age1KEY").into_owned();
    days.replace_all(&prints.replace_all(&text, "SHA256:PRINT"), "90").into_owned()
}

fn opened_by(member: &Member, address: &str) -> Vec<String> {
    let opened = sealed(address).into_iter().filter(|(_, text)| member.opens(text));
    opened.map(|(key, _)| key.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn each_opens_what_their_role_opens_and_nothing_lies_open() {
    let address = "s3://roles";
    let [ann, amy, bob, rae, job] = whole_team(address);
    let all = ["ca-key.pem", "host_ed25519", "id_ed25519"];
    assert_eq!(opened_by(&ann, address), all);
    assert_eq!(opened_by(&amy, address), all);
    assert_eq!(opened_by(&bob, address), ["bob.json", "host_ed25519", "id_ed25519"]);
    assert_eq!(opened_by(&rae, address), ["rae.json"]);
    assert_eq!(opened_by(&job, address), ["ci.json"]);
    for (key, text) in bucket(address) {
        assert!(!text.contains("PRIVATE KEY-----"), "{key} lies open");
    }
    for member in [&ann, &amy, &bob, &rae, &job] {
        member.done(&["ls"]);
        member.done(&["env", "web"]);
    }
}

#[test]
fn the_list_is_shown_to_everybody() {
    let address = "s3://shown";
    let [ann, _, bob, ..] = whole_team(address);
    let listed = ann.done(&["store", "recipients"]);
    assert_snapshot!(shown(&listed), @r#"
    $ wharf store recipients
    NAME   ROLE       KEY                DAYS LEFT
    ann    admin      age1KEY
    amy    admin      age1KEY
    bob    operator   age1KEY   90
    rae    reader     age1KEY   90
    ci     job        age1KEY   90
    ! The store's authority: SHA256:PRINT
    "#);
    assert_eq!(shown(&bob.done(&["store", "recipients"])), shown(&listed));
    let json: serde_json::Value =
        serde_json::from_str(&ann.done(&["store", "recipients", "-o", "json"]).stdout).unwrap();
    assert_eq!(json["recipients"][2]["name"], "bob");
    assert_eq!(json["recipients"][2]["key"], bob.public());
    let alone = Sandbox::new();
    assert_snapshot!(alone.run(&["store", "recipients"]), @r#"
    $ wharf store recipients
    ! error: only a shared store has recipients, and this one is a folder
    ! hint: name the shared one with --store or WHARF_STORE
    [exit 3]
    "#);
}

#[test]
fn who_is_no_admin_works_with_machines_and_signs_nothing() {
    let [ann, _, bob, rae, job] = whole_team("s3://limited");
    bob.done(&["stop", "web"]);
    bob.done(&["start", "web"]);
    assert_snapshot!(bob.run(&["create", "db"]), @r#"
    $ wharf create db
    ! db: checking what can be checked beforehand
    ! error: the key of the certificate authority is for admins, and `bob` is an operator
    ! hint: ask an admin: ann, amy
    [exit 7]
    "#);
    assert_snapshot!(bob.run(&["certs", "issue", "eve"]), @r#"
    $ wharf certs issue eve
    ! error: the key of the certificate authority is for admins, and `bob` is an operator
    ! hint: ask an admin: ann, amy
    [exit 7]
    "#);
    assert_snapshot!(shown(&bob.run(&["store", "add-recipient", "eve", "--role", "admin", &bob.public()])), @r#"
    $ wharf store add-recipient eve --role admin age1KEY
    ! error: the key of the certificate authority is for admins, and `bob` is an operator
    ! hint: ask an admin: ann, amy
    [exit 7]
    "#);
    assert_snapshot!(bob.run(&["store", "remove-recipient", "ann"]), @r#"
    $ wharf store remove-recipient ann
    ! error: the key of the certificate authority is for admins, and `bob` is an operator
    ! hint: ask an admin: ann, amy
    [exit 7]
    "#);
    assert_snapshot!(rae.run(&["certs", "renew", "web", "--server"]), @r#"
    $ wharf certs renew web --server
    ! web: making new certificates
    ! error: the key `keys/id_ed25519` of machine `web` is for admins and operators, and `rae` is a reader
    ! hint: ask an admin: ann, amy
    [exit 7]
    "#);
    assert_snapshot!(job.run(&["provision", "web"]), @r#"
    $ wharf provision web
    ! web: waiting for its address
    ! error: the key `keys/id_ed25519` of machine `web` is for admins and operators, and `ci` is a job
    ! hint: ask an admin: ann, amy
    [exit 7]
    "#);
    job.done(&["certs", "renew", "--client"]);
    assert_eq!(ann.done(&["ls", "-q"]).stdout, "web\n", "what was refused left nothing");
}

#[test]
fn certificates_say_who_may_what() {
    let [ann, _, bob, rae, job] = whole_team("s3://chains");
    for (member, role) in [(&ann, "admin"), (&bob, "operator"), (&rae, "reader"), (&job, "operator")] {
        member.done(&["env", "web"]);
        let shared =
            std::fs::read_dir(member.sandbox.store().join("shared")).unwrap().next().unwrap().unwrap();
        let pem = std::fs::read_to_string(shared.path().join("machines/web/cert.pem")).unwrap();
        let certificate = wharf_pki::Certificate::parse(&pem).unwrap();
        assert_eq!(certificate.role().unwrap().to_string(), role);
        let links = if role == "admin" { 1 } else { 2 };
        assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), links, "{role}");
    }
}

#[test]
fn whoever_is_removed_opens_nothing_any_more() {
    let address = "s3://gone";
    let [ann, amy, bob, rae, job] = whole_team(address);
    amy.done(&["env", "web"]);
    bob.done(&["env", "web"]);
    assert_snapshot!(ann.run(&["store", "remove-recipient", "bob"]), @r#"
    $ wharf store remove-recipient bob
    ! No key in the store is encrypted to bob any more.
    ! web: taking certificates back
    ! web: refuses it from now on (N s)
    ! warning: bob may have kept the SSH keys of web: a machine has new ones once it is removed and made again; until then only networks and firewalls keep bob away from its port for SSH
    "#);
    assert_eq!(opened_by(&bob, address), Vec::<String>::new());
    assert_snapshot!(bob.run(&["certs", "renew", "--client"]), @r#"
    $ wharf certs renew --client
    ! error: the identity `HOME/identity` is none of the store's recipients
    ! hint: `wharf store add-recipient` by an admin (ann, amy) lets you in; --identity or WHARF_IDENTITY names another identity
    [exit 7]
    "#);
    assert_snapshot!(bob.run(&["scp", "web:/x", "x"]), @r#"
    $ wharf scp web:/x x
    ! error: the key `keys/id_ed25519` of machine `web` cannot be read: the identity `HOME/identity` is none of the store's recipients
    ! hint: `wharf store add-recipient` by an admin (ann, amy) lets you in; --identity or WHARF_IDENTITY names another identity
    [exit 7]
    "#);
    // One that was an admin had a certificate of the authority's own.
    assert_snapshot!(ann.run(&["store", "remove-recipient", "amy"]), @r#"
    $ wharf store remove-recipient amy
    ! No key in the store is encrypted to amy any more.
    ! web: taking certificates back
    ! web: refuses it from now on (N s)
    ! warning: amy was an admin and may have kept the authority's key, whose certificates every engine believes: where that matters, make a new store, which has a new authority, and its machines anew
    ! warning: amy may have kept the SSH keys of web: a machine has new ones once it is removed and made again; until then only networks and firewalls keep amy away from its port for SSH
    "#);
    assert_eq!(opened_by(&amy, address), Vec::<String>::new());
    let revoked = ann.done(&["certs", "ls", "-o", "json"]);
    let revoked: Vec<serde_json::Value> = serde_json::from_str(&revoked.stdout).unwrap();
    let back: Vec<_> =
        revoked.iter().filter(|one| one["revoked"].is_u64()).map(|one| one["recipient"].clone()).collect();
    assert_eq!(back, ["bob", "amy"]);
    for member in [&ann, &rae, &job] {
        member.done(&["certs", "renew", "--client"]);
    }
    assert_snapshot!(ann.run(&["store", "remove-recipient", "bob"]), @r#"
    $ wharf store remove-recipient bob
    ! No key in the store is encrypted to bob any more.
    ! web: taking certificates back
    ! web: refuses it from now on (N s)
    "#);
    assert_snapshot!(ann.run(&["store", "remove-recipient", "ann"]), @r#"
    $ wharf store remove-recipient ann
    ! error: you cannot remove yourself: you are to encrypt keys anew
    ! hint: another admin removes you
    [exit 3]
    "#);
}

#[test]
fn a_removal_that_is_killed_anywhere_is_ended_by_the_next() {
    let mut writes = 0;
    loop {
        let address = format!("s3://killed-{writes}");
        let [ann, amy, bob, ..] = whole_team(&address);
        cut::after(ann.sandbox.home(), writes);
        ann.run(&["store", "remove-recipient", "bob"]);
        let killed = cut::mend(ann.sandbox.home());
        for (key, text) in sealed(&address).iter().filter(|(key, _)| !key.ends_with(".json")) {
            assert!(ann.opens(text) && amy.opens(text), "nobody opens {key} after {writes} writes");
        }
        // Whichever admin.
        if killed {
            amy.done(&["store", "remove-recipient", "bob"]);
        }
        assert_eq!(opened_by(&bob, &address), Vec::<String>::new(), "after {writes} writes");
        let listed = ann.done(&["store", "recipients"]).stdout;
        assert!(!listed.contains("bob"), "{listed}");
        assert!(ann.done(&["certs", "ls"]).stdout.contains("revoked"));
        if !killed {
            break;
        }
        writes += 1;
    }
    assert!(writes > 5, "it was killed {writes} times");
}

#[test]
fn an_addition_that_is_killed_anywhere_is_ended_by_the_next() {
    let mut writes = 0;
    loop {
        let address = format!("s3://cut-{writes}");
        let ann = team(&address);
        ann.done(&["create", "web"]);
        let bob = Member::new("bob", &address);
        let add = ["store", "add-recipient", "bob", "--role", "operator", &bob.public()];
        cut::after(ann.sandbox.home(), writes);
        ann.run(&add);
        let killed = cut::mend(ann.sandbox.home());
        if killed {
            ann.done(&add);
        }
        assert_eq!(opened_by(&bob, &address), ["bob.json", "host_ed25519", "id_ed25519"], "after {writes}");
        bob.done(&["env", "web"]);
        ann.done(&["env", "web"]);
        if !killed {
            break;
        }
        writes += 1;
    }
    assert!(writes > 4, "it was killed {writes} times");
}

#[test]
fn a_store_that_was_killed_while_it_was_made_is_made_by_the_next() {
    let mut writes = 0;
    loop {
        let address = format!("s3://begun-{writes}");
        let ann = Member::new("ann", &address);
        let init = ["store", "init", &address, "--recipient", &format!("ann={}", ann.public())];
        cut::after(ann.sandbox.home(), writes);
        ann.run(&init);
        let killed = cut::mend(ann.sandbox.home());
        if killed {
            ann.done(&init);
        }
        ann.done(&["create", "web"]);
        assert_eq!(opened_by(&ann, &address), ["ca-key.pem", "host_ed25519", "id_ed25519"]);
        if !killed {
            break;
        }
        writes += 1;
    }
    assert!(writes > 2, "it was killed {writes} times");
}

#[test]
fn a_store_with_a_passphrase_gets_recipients() {
    let address = "s3://moved";
    let ann = Member::new("ann", address);
    ann.sandbox.write("passphrase", "correct horse\n");
    let sandbox = ann.sandbox.env("WHARF_PASSPHRASE_FILE", "passphrase");
    let ann = Member { sandbox, ..ann };
    ann.done(&["store", "init", address]);
    ann.done(&["create", "web"]);
    assert!(sealed(address).is_empty());
    assert_snapshot!(ann.run(&["store", "recipients"]), @r#"
    $ wharf store recipients
    ! error: the store has no recipients: its keys are encrypted with a passphrase
    ! hint: `wharf store init URL --recipient KEY` gives it its first ones
    [exit 3]
    "#);
    assert_snapshot!(shown(&ann.run(&["store", "add-recipient", "bob", "--role", "job", &ann.public()])), @r#"
    $ wharf store add-recipient bob --role job age1KEY
    ! error: the store has no recipients
    ! hint: `wharf store init URL --recipient KEY` gives a shared store its first ones
    [exit 3]
    "#);
    ann.done(&["store", "init", address, "--recipient", &format!("ann={}", ann.public())]);
    assert_eq!(opened_by(&ann, address), ["ca-key.pem", "host_ed25519", "id_ed25519"]);
    assert!(bucket(address).values().all(|text| !text.contains("PRIVATE KEY-----")), "an old key is left");
    ann.sandbox.without("WHARF_PASSPHRASE_FILE");
    ann.done(&["certs", "renew", "web"]);
    ann.done(&["create", "db"]);
}

#[test]
fn without_the_right_identity_nothing_is_opened() {
    let address = "s3://who";
    let ann = team(address);
    ann.done(&["create", "web"]);
    let eve = Member::new("eve", address);
    assert_snapshot!(eve.run(&["env", "web"]), @r#"
    $ wharf env web
    ! error: the identity `HOME/identity` is none of the store's recipients
    ! hint: `wharf store add-recipient` by an admin (ann) lets you in; --identity or WHARF_IDENTITY names another identity
    [exit 7]
    "#);
    eve.sandbox.without("WHARF_IDENTITY");
    assert_snapshot!(eve.run(&["env", "web"]), @r#"
    $ wharf env web
    ! error: keys in this store are encrypted to its recipients, and no identity is named
    ! hint: name your age identity or SSH private key with --identity FILE or WHARF_IDENTITY
    [exit 7]
    "#);
    assert_snapshot!(eve.run(&["--identity", "nowhere", "env", "web"]), @r#"
    $ wharf --identity nowhere env web
    ! error: the file `HOME/nowhere` that --identity or WHARF_IDENTITY names cannot be read: No such file or directory (os error 2)
    ! hint: flags win over the environment, that over the file, that over defaults; `wharf --help` lists them
    [exit 2]
    "#);
    eve.sandbox.write("note", "this is no key\n");
    assert_snapshot!(eve.run(&["--identity", "note", "env", "web"]), @r#"
    $ wharf --identity note env web
    ! error: the identity `HOME/note` is neither one of age's nor an SSH private key: --identity or WHARF_IDENTITY names a file that `age-keygen` or `ssh-keygen` made
    ! hint: flags win over the environment, that over the file, that over defaults; `wharf --help` lists them
    [exit 2]
    "#);
    let typed = eve.run(&["store", "add-recipient", "eve", "--role", "admin", "ssh-dss AAAA"]);
    assert_snapshot!(typed, @r#"
    $ wharf store add-recipient eve --role admin ssh-dss AAAA
    ! error: this is no public key to encrypt to: it is none of age's and none of OpenSSH's
    ! hint: it is a line that begins with `age1`, `ssh-ed25519` or `ssh-rsa`, or a file with one such line
    [exit 3]
    "#);
    assert_snapshot!(shown(&ann.run(&["store", "add-recipient", "eve", "--role", "king", &eve.public()])), @r#"
    $ wharf store add-recipient eve --role king age1KEY
    ! error: invalid value 'king' for '--role <ROLE>': no such role: `king`; there are admin, operator, reader and job
    !
    ! For more information, try '--help'.
    [exit 2]
    "#);
    assert_snapshot!(ann.run(&["store", "add-recipient", "eve"]), @r#"
    $ wharf store add-recipient eve
    ! error: `eve` is no recipient yet: their key and role are missing
    ! hint: wharf store add-recipient eve --role operator KEY|FILE
    [exit 2]
    "#);
    assert_snapshot!(ann.run(&["store", "add-recipient", "eve", "--role", "reader", "identity"]), @r#"
    $ wharf store add-recipient eve --role reader identity
    ! error: this is a private key, which nobody but its owner needs
    ! hint: hand over the public half: the file that ends in `.pub`, or the line that begins with `age1`
    [exit 3]
    "#);
    assert_snapshot!(ann.run(&["store", "add-recipient", "ann", "--role", "reader"]), @r#"
    $ wharf store add-recipient ann --role reader
    ! error: `ann` is a recipient already, with another role
    ! hint: `wharf store remove-recipient ann` first
    [exit 3]
    "#);
    assert_snapshot!(shown(&ann.run(&["store", "add-recipient", "ann2", "--role", "reader", &ann.public()])), @r#"
    $ wharf store add-recipient ann2 --role reader age1KEY
    ! error: `ann` and `ann2` have the same name or key
    ! hint: each recipient has a name and a key of their own
    [exit 3]
    "#);
}

#[test]
fn ssh_keys_are_identities_too_also_locked_ones() {
    let address = "s3://ssh";
    let ann = Sandbox::new().env("USER", "ann").env("WHARF_STORE", address).env("WHARF_IDENTITY", "key");
    let pair = KeyPair::generate("ann@laptop").unwrap();
    ann.write("key", &pair.encrypted("right").unwrap());
    ann.write("key.pub", pair.public());
    ann.write("right", "right\n");
    ann.write("wrong", "wrong\n");
    let made = ann.run(&["store", "init", address, "--recipient", "key.pub"]);
    assert_snapshot!(made, @r#"
    $ wharf store init s3://ssh --recipient key.pub
    ! The store at s3://ssh heeds conditional writes, and is ready.
    ! Its keys are encrypted to ann-laptop; whoever works with it names their own by --identity or WHARF_IDENTITY.
    ! Work with it by --store 's3://ssh', WHARF_STORE='s3://ssh', or `store: s3://ssh` in the configuration file.
    "#);
    assert_snapshot!(ann.run(&["create", "web"]), @r#"
    $ wharf create web
    ! web: checking what can be checked beforehand
    ! error: the key of the certificate authority cannot be read: the identity `HOME/key` is locked with a passphrase, and there is none
    ! hint: name the file that holds it with WHARF_PASSPHRASE_FILE, or another identity with --identity
    [exit 7]
    "#);
    let ann = ann.env("WHARF_PASSPHRASE_FILE", "wrong");
    assert_snapshot!(ann.run(&["create", "web"]), @r#"
    $ wharf create web
    ! web: checking what can be checked beforehand
    ! error: the key of the certificate authority cannot be read: the passphrase of the identity `HOME/key` is wrong
    ! hint: check the passphrase in the file that WHARF_PASSPHRASE_FILE names
    [exit 7]
    "#);
    let ann = ann.env("WHARF_PASSPHRASE_FILE", "right");
    let made = ann.run(&["create", "web"]);
    assert_eq!(made.code, 0, "{made}");
}

#[test]
fn whoever_writes_to_the_bucket_lets_nobody_in() {
    const LIST: &str = "authority/files/recipients.json";
    let address = "s3://tampered";
    let [ann, amy, bob, ..] = whole_team(address);
    let eve = Member::new("eve", address);
    amy.done(&["env", "web"]);
    let good = bucket(address)[LIST].clone();

    let with_eve = good.replace(&bob.public(), &eve.public());
    assert_ne!(with_eve, good);
    overwrite(address, LIST, Some(&with_eve));
    assert_snapshot!(ann.run(&["create", "db"]), @r#"
    $ wharf create db
    ! db: checking what can be checked beforehand
    ! error: the store's list of recipients is not signed by the store's authority: somebody changed it
    ! hint: nothing is encrypted by it; bring the object `authority/files/recipients.json` back from an older version, and find out who can write to the store
    [exit 3]
    "#);
    assert_eq!(amy.run(&["store", "recipients"]).code, 3);
    assert_eq!(bob.run(&["store", "recipients"]).code, 3, "who is no admin looks, too");
    let found = bob.run(&["doctor"]).to_string();
    assert!(found.contains("not signed by the store's authority"), "{found}");
    overwrite(address, LIST, Some(&good));
    ann.done(&["store", "remove-recipient", "bob"]);

    // An older list that was good once.
    overwrite(address, LIST, Some(&good));
    assert_snapshot!(ann.run(&["create", "db"]), @r#"
    $ wharf create db
    ! db: checking what can be checked beforehand
    ! error: the store's list of recipients is older than one that this computer has seen: somebody changed it
    !   its number: 5
    !   seen before: 7
    ! hint: nothing is encrypted by it; bring the object `authority/files/recipients.json` back from an older version, and find out who can write to the store
    [exit 3]
    "#);
    overwrite(address, LIST, None);
    assert_snapshot!(ann.run(&["create", "db"]), @r#"
    $ wharf create db
    ! db: checking what can be checked beforehand
    ! error: the store's list of recipients is gone: somebody changed it
    ! hint: nothing is encrypted by it; bring the object `authority/files/recipients.json` back from an older version, and find out who can write to the store
    [exit 3]
    "#);

    // A whole authority of eve's own, and a key to it for everybody.
    let elsewhere = "s3://eves";
    let own = Member::new("eve", elsewhere);
    let ann_too = format!("ann={}", ann.public());
    own.sandbox.without("WHARF_IDENTITY");
    own.done(&[
        "store",
        "init",
        elsewhere,
        "--recipient",
        &format!("eve={}", own.public()),
        "--recipient",
        &ann_too,
    ]);
    for (key, text) in bucket(elsewhere).iter().filter(|(key, _)| key.starts_with("authority/files/")) {
        overwrite(address, key, Some(text));
    }
    let refused = ann.run(&["create", "db"]);
    assert_eq!(refused.code, 3, "{refused}");
    assert!(refused.stderr.contains("another certificate authority"), "{refused}");
    assert_eq!(ann.run(&["env", "web"]).code, 3, "whom ann talks to is not eve's to say");
    assert_eq!(opened_by(&eve, address), Vec::<String>::new());
    assert_eq!(opened_by(&own, address), ["ca-key.pem"], "eve's own, and no machine's");
}

#[test]
fn a_computer_that_was_told_the_authority_believes_no_other() {
    let address = "s3://told";
    let ann = team(address);
    ann.done(&["create", "web"]);
    let json: serde_json::Value =
        serde_json::from_str(&ann.done(&["store", "recipients", "-o", "json"]).stdout).unwrap();
    let print = json["authority"].as_str().unwrap();
    let job = Member::new("ci", address);
    ann.add("ci", "job", &job);
    let told = |print: &str| Member {
        sandbox: Sandbox::new()
            .env("WHARF_STORE", address)
            .env("WHARF_AUTHORITY", print)
            .env("WHARF_IDENTITY", "identity"),
        identity: job.identity.clone(),
    };
    for (print, code) in
        [(print.to_owned(), 0), (format!("SHA256:{print}"), 0), ("ab".repeat(32), 3), ("x".to_owned(), 2)]
    {
        let told = told(&print);
        told.sandbox.write("identity", job.identity.to_string().expose_secret());
        let ended = told.run(&["env", "web"]);
        assert_eq!(ended.code, code, "{ended}");
    }
}

#[test]
fn an_intermediate_that_ends_is_found_and_renewed() {
    let address = "s3://ending";
    let [ann, job] = [team(address), Member::new("ci", address)];
    ann.done(&["create", "web"]);
    ann.done(&["store", "add-recipient", "ci", "--role", "job", "--days", "3", &job.public()]);
    job.done(&["env", "web"]);
    assert!(
        !job.run(&["doctor"]).to_string().contains("your own certificate"),
        "it ends with the intermediate"
    );
    let found = ann.run(&["doctor"]).to_string();
    assert!(found.contains("the intermediate of ci has ended, or ends within two weeks"), "{found}");
    assert!(found.contains("wharf store add-recipient ci"), "{found}");
    ann.done(&["store", "add-recipient", "ci", "--days", "60"]);
    let listed = ann.done(&["store", "recipients"]).stdout;
    assert!(listed.contains("60\n") || listed.contains("59\n"), "{listed}");
    job.done(&["certs", "renew", "--client"]);
    ann.done(&["store", "remove-recipient", "ci"]);
    let revoked = ann.done(&["certs", "ls"]).stdout.matches("revoked").count();
    assert_eq!(revoked, 2, "the old one and the new one");
}

#[test]
fn a_key_that_is_written_while_somebody_leaves_is_not_left_to_them() {
    let address = "s3://meanwhile";
    let [ann, amy, bob, ..] = whole_team(address);
    let (told, heard) = std::sync::mpsc::channel();
    cut::then(ann.sandbox.home(), "keys/id_ed25519", move || {
        assert!(opened_by(&bob, address).len() > 3, "the new key was encrypted by the list of then");
        let removing = amy.run(&["store", "remove-recipient", "bob"]);
        told.send((amy, bob, removing)).unwrap();
    });
    ann.done(&["create", "db"]);
    let (amy, bob, removing) = heard.recv().unwrap();
    // The machine was ann's at that time.
    assert_eq!(removing.code, 9, "{removing}");
    assert!(removing.stderr.contains("its keys are encrypted anew by"), "{removing}");
    assert!(amy.done(&["store", "recipients"]).stdout.contains("being removed"));
    let found = amy.run(&["doctor"]).to_string();
    assert!(found.contains("the removal of the recipient bob was interrupted"), "{found}");
    assert_eq!(opened_by(&bob, address), Vec::<String>::new());
    amy.done(&["store", "remove-recipient", "bob"]);
    assert!(!amy.done(&["store", "recipients"]).stdout.contains("bob"));
    assert_eq!(opened_by(&amy, address).len(), 5, "the authority's key and two of each machine");
}
