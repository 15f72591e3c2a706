//! Machines whose bodies are sshds: the host key and the users of their user data, behind the cloud's rules.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use tokio::process::Command;
use wharf_sim::body::{Birth, Bodies, Body, Doing, Rule, SshdBodies};
use wharf_sim::{Clock, Config, Flavour, Simulator};

use crate::harness::{Client, code, header, message, rule};

async fn key(folder: &Path, name: &str) -> String {
    let file = folder.join(name);
    let mut keygen = Command::new("ssh-keygen");
    let made =
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status().await.expect("ssh-keygen");
    assert!(made.success());
    std::fs::read_to_string(folder.join(format!("{name}.pub"))).expect("a public key").trim().to_owned()
}

async fn ssh(folder: &Path, address: &str) -> bool {
    let known = format!("-oUserKnownHostsFile={}", folder.join("known").display());
    let mut ssh = Command::new("ssh");
    ssh.arg("-i").arg(folder.join("person")).arg(known);
    ssh.args(["-F/dev/null", "-oBatchMode=yes", "-oConnectTimeout=3", "-oLogLevel=ERROR"]);
    ssh.arg(format!("wharf@{address}")).arg("true").kill_on_drop(true);
    ssh.output().await.expect("ssh").status.success()
}

async fn until(what: &str, folder: &Path, address: &str, wanted: bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while ssh(folder, address).await != wanted {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
    }
}

/// What the console showed, from where boot diagnostics say that it is.
async fn console(simulator: &Simulator, client: &Client, id: &str) -> String {
    let action = client.at(&format!("{id}/retrieveBootDiagnosticsData"));
    let told = client.ask("POST", &action, None).body.expect("a body");
    let url = told["serialConsoleLogBlobUri"].as_str().expect("an address").to_owned();
    let ca = reqwest::Certificate::from_pem(&std::fs::read(simulator.ca()).expect("the CA"))
        .expect("a certificate");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().tls_certs_only([ca]).no_proxy();
    let http = builder.resolve("management.stamp1.localhost", simulator.address()).build().expect("a client");
    let forged = http.get(url.replace("sig=", "sig=x")).send().await.expect("an answer");
    assert_eq!(forged.status(), 403);
    http.get(url).send().await.expect("an answer").text().await.expect("text")
}

/// The resource once its last write has ended.
async fn settle(client: &Client, id: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = client.get(id).body.expect("a body");
        match now["properties"]["provisioningState"].as_str() {
            Some("Succeeded" | "Failed") => return now,
            _ => assert!(Instant::now() < deadline, "{now:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn make_network(client: &Client) {
    client.put(&client.group("rg"), &json!({"location": client.location()}));
    for (kind, name, body) in [
        ("networkSecurityGroups", "nsg", client.security()),
        ("virtualNetworks", "net", client.net()),
        ("publicIPAddresses", "ip", client.address()),
        ("networkInterfaces", "nic", client.nic("ip")),
    ] {
        client.put(&client.id(kind, name), &body);
        settle(client, &client.id(kind, name)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sshd_has_the_key_and_the_users_of_its_user_data() {
    if std::fs::metadata("/proc/self").expect("a process").uid() != 0 {
        println!("skipped: an sshd with users of its own needs root");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (person, host) = (key(folder.path(), "person").await, key(folder.path(), "host").await);
    let mut config = Config::new(Flavour::Hub2020, Clock::real(time::OffsetDateTime::now_utc(), 0.01));
    config.throttled = false;
    config.bodies = Arc::new(SshdBodies::new(folder.path().join("bodies")));
    let simulator = Simulator::start(config).await.expect("a simulator");
    let client = Client::of(&simulator);
    make_network(&client).await;
    let address = client.get(&client.id("publicIPAddresses", "ip")).body.expect("a body");
    let address = address["properties"]["ipAddress"].as_str().expect("an address").to_owned();
    let known = format!("{address} {host}\n");
    std::io::Write::write_all(
        &mut std::fs::File::create(folder.path().join("known")).expect("a file"),
        known.as_bytes(),
    )
    .expect("written");
    let private = std::fs::read_to_string(folder.path().join("host")).expect("a key");
    let data = json!({"users": [{"name": "wharf", "ssh_authorized_keys": [person]}], "ssh_keys": {"ed25519_private": private, "ed25519_public": host}});
    let custom = |data: String| base64::engine::general_purpose::STANDARD.encode(data);
    let mut vm = client.vm("nic");
    vm["properties"]["osProfile"]["customData"] = json!(custom(format!("#cloud-config\n{data}\n")));
    vm["properties"]["diagnosticsProfile"] = json!({"bootDiagnostics": {"enabled": true}});
    let id = client.id("virtualMachines", "vm");
    assert_eq!(client.put(&id, &vm).status, 201);
    let made = settle(&client, &id).await;
    assert_eq!(made["properties"]["provisioningState"], "Succeeded", "{made:#}");
    until("it answers with its key", folder.path(), &address, true).await;

    assert!(console(&simulator, &client, &id).await.contains("Server listening"));

    let mut closed = client.security();
    closed["properties"]["securityRules"] = json!([rule("other", 100, "2222")]);
    client.put(&client.id("networkSecurityGroups", "nsg"), &closed);
    until("the rules close the door", folder.path(), &address, false).await;
    settle(&client, &client.id("networkSecurityGroups", "nsg")).await;
    client.put(&client.id("networkSecurityGroups", "nsg"), &client.security());
    until("and open it", folder.path(), &address, true).await;

    client.ask("POST", &client.at(&format!("{id}/powerOff")), None);
    settle(&client, &id).await;
    until("without power nothing answers", folder.path(), &address, false).await;
    client.delete(&id);
    let deadline = Instant::now() + Duration::from_secs(30);
    while folder.path().join("bodies/0").exists() {
        assert!(Instant::now() < deadline, "the body is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A body that takes longer than its cloud, and notices when it is disturbed.
#[derive(Debug, Default)]
struct Slow {
    on: AtomicBool,
    broken: AtomicBool,
    at_work: AtomicBool,
    did: Mutex<Vec<&'static str>>,
}

impl Slow {
    fn work(&self, what: &'static str, on: bool) -> Doing<'_, ()> {
        Box::pin(async move {
            assert!(!self.at_work.swap(true, Ordering::SeqCst), "{what} while something else was done");
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.did.lock().expect("no panic").push(what);
            self.on.store(on, Ordering::SeqCst);
            self.at_work.store(false, Ordering::SeqCst);
            if self.broken.load(Ordering::SeqCst) { Err("its fuse is blown".to_owned()) } else { Ok(()) }
        })
    }
}

impl Body for Slow {
    fn move_to(&self, _: Option<String>) -> Doing<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn start(&self) -> Doing<'_, ()> {
        self.work("start", true)
    }

    fn stop(&self) -> Doing<'_, ()> {
        self.work("stop", false)
    }

    fn destroy(&self) -> Doing<'_, ()> {
        self.work("destroy", false)
    }

    fn admit(&self, _: Vec<Vec<Rule>>) -> Doing<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn console(&self) -> Doing<'_, String> {
        Box::pin(async { Ok(String::new()) })
    }
}

/// Makes one, once.
#[derive(Debug)]
struct One(Arc<Slow>);

impl Bodies for One {
    fn create(&self, _: Birth) -> Doing<'_, Arc<dyn Body>> {
        Box::pin(async move { Ok(Arc::clone(&self.0) as Arc<dyn Body>) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_does_one_thing_after_the_other_and_the_cloud_waits_for_it() {
    let body = Arc::new(Slow::default());
    let mut config = Config::new(Flavour::Public, Clock::real(time::OffsetDateTime::now_utc(), 0.0001));
    config.throttled = false;
    config.bodies = Arc::new(One(Arc::clone(&body)));
    let simulator = Simulator::start(config).await.expect("a simulator");
    let client = Client::of(&simulator);
    make_network(&client).await;
    let id = client.id("virtualMachines", "vm");
    client.put(&id, &client.vm("nic"));
    settle(&client, &id).await;
    let power = |verb: &str| client.ask("POST", &client.at(&format!("{id}/{verb}")), None);
    let is_on = || body.on.load(Ordering::SeqCst);

    power("deallocate");
    settle(&client, &id).await;
    assert_eq!(*body.did.lock().expect("no panic"), ["stop"], "the cloud says so once it is off");
    power("start");
    settle(&client, &id).await;
    assert!(is_on(), "the cloud says so once it is on");

    power("powerOff");
    power("start");
    settle(&client, &id).await;
    assert!(is_on());
    assert_eq!(*body.did.lock().expect("no panic"), ["stop", "start", "stop", "start"]);

    body.broken.store(true, Ordering::SeqCst);
    let begun = power("restart");
    assert_eq!(settle(&client, &id).await["properties"]["provisioningState"], "Failed");
    let operation = header(&begun, "azure-asyncoperation").expect("an operation").to_owned();
    let ended = client.ask("GET", operation.trim_start_matches(simulator.endpoint()), None);
    assert_eq!(code(&ended), "InternalExecutionError", "{ended:#?}");
    assert!(message(&ended).contains("its fuse is blown"), "{ended:#?}");

    body.broken.store(false, Ordering::SeqCst);
    power("start");
    client.delete(&id);
    let deadline = Instant::now() + Duration::from_secs(30);
    while body.did.lock().expect("no panic").last() != Some(&"destroy") {
        assert!(Instant::now() < deadline, "{:?}", body.did);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
