//! A simulated cloud whose machines are real hosts: born with our user data, behind the cloud's rules, kept through a stop
//! and gone after a delete.

use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wharf_sim::http::{Call, Outcome};
use wharf_sim::{Clock, Config, Flavour, Simulator};
use wharf_tests::Lab;

/// A signed-in client that hands its calls over.
pub(crate) struct Client<'s> {
    simulator: &'s Simulator,
    group: &'s str,
    token: String,
}

impl<'s> Client<'s> {
    /// Of a stamp, whose calls all are in this group.
    pub(crate) fn new(simulator: &'s Simulator, group: &'s str) -> Self {
        let account = &simulator.config().account;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &account.client),
            ("client_secret", &account.secret),
            ("resource", simulator.audience()),
        ];
        let body = serde_urlencoded::to_string(form).unwrap();
        let call = Call::new("POST", "adfs.x", "/adfs/oauth2/token", "", http::HeaderMap::new(), body.into());
        let Outcome::Answer(answer, _) = simulator.cloud().handle(&call) else { panic!("cut") };
        let token = answer.body.unwrap()["access_token"].as_str().unwrap().to_owned();
        Self { simulator, group, token }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let subscription = &self.simulator.config().account.subscription;
        let path = format!("/subscriptions/{subscription}/resourceGroups/{}{path}", self.group);
        let version = match path.split("Microsoft.").nth(1).map(|p| p.split('/').next().unwrap()) {
            Some("Compute") => "2020-06-01",
            Some("Network") => "2018-11-01",
            _ => "2019-10-01",
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let call =
            Call::new(method, "management.x", &path, &format!("api-version={version}"), headers, body.into());
        let Outcome::Answer(answer, _) = self.simulator.cloud().handle(&call) else { panic!("cut") };
        (answer.status, answer.body.unwrap_or_default())
    }

    fn put(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("PUT", path, Some(body));
        assert!((200..300).contains(&status), "PUT {path}: {status} {answer:#}");
        self.settled(path)
    }

    /// The resource once nothing more is being done to it.
    fn settled(&self, path: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(150);
        loop {
            let (_, now) = self.ask("GET", path, None);
            match now["properties"]["provisioningState"].as_str() {
                Some("Succeeded" | "Failed") | None => return now,
                _ => assert!(Instant::now() < deadline, "{path} is never ready: {now:#}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn id(&self, kind: &str, name: &str) -> String {
        let subscription = &self.simulator.config().account.subscription;
        format!("/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Network/{kind}/{name}")
    }
}

const VM: &str = "/providers/Microsoft.Compute/virtualMachines/vm";
const NSG: &str = "/providers/Microsoft.Network/networkSecurityGroups/nsg";

fn rule(name: &str, priority: u32, port: &str) -> Value {
    json!({"name": name, "properties": {
        "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": priority, "sourceAddressPrefix": "*",
        "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": port,
    }})
}

fn rules(list: &[Value]) -> Value {
    json!({"location": "stamp1", "properties": {"securityRules": list}})
}

/// Keys of a machine that isn't there yet: the person's and the host's.
struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, kind) in [("person", "ed25519"), ("host", "ed25519"), ("rsa", "rsa")] {
            let made = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-N", "", "-C", name, "-f"])
                .arg(folder.path().join(name))
                .status();
            assert!(made.unwrap().success());
        }
        Self { folder }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn custom_data(&self) -> String {
        let config = json!({
            "hostname": "born",
            "users": [{"name": "wharf", "shell": "/bin/bash", "lock_passwd": true, "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [self.read("person.pub").trim()]}],
            "ssh_deletekeys": true,
            "ssh_keys": {"ed25519_private": self.read("host"), "ed25519_public": self.read("host.pub").trim()},
        });
        STANDARD.encode(format!("#cloud-config\n{config}\n"))
    }
}

fn machine(client: &Client<'_>, keys: &Keys, custom_data: &str) -> Value {
    json!({"location": "stamp1", "properties": {
        "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
        "storageProfile": {
            "imageReference": {"publisher": "Canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts", "version": "latest"},
            "osDisk": {"name": "disk", "createOption": "FromImage"},
        },
        "osProfile": {"computerName": "vm", "adminUsername": "wharf", "customData": custom_data, "linuxConfiguration": {
            "disablePasswordAuthentication": true,
            "ssh": {"publicKeys": [{"path": "/home/wharf/.ssh/authorized_keys", "keyData": keys.read("rsa.pub").trim()}]},
        }},
        "networkProfile": {"networkInterfaces": [{"id": client.id("networkInterfaces", "nic")}]},
    }})
}

fn network(client: &Client<'_>) -> String {
    client.put("", &json!({"location": "stamp1"}));
    client.put(NSG, &rules(&[rule("ssh", 100, "22")]));
    client.put(
        "/providers/Microsoft.Network/virtualNetworks/net",
        &json!({"location": "stamp1", "properties": {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{"name": "default", "properties": {"addressPrefix": "10.0.0.0/24"}}],
        }}),
    );
    let address = client.put(
        "/providers/Microsoft.Network/publicIPAddresses/ip",
        &json!({
            "location": "stamp1", "properties": {"publicIPAllocationMethod": "Static"},
        }),
    );
    client.put(
        "/providers/Microsoft.Network/networkInterfaces/nic",
        &json!({"location": "stamp1", "properties": {
            "networkSecurityGroup": {"id": client.id("networkSecurityGroups", "nsg")},
            "ipConfigurations": [{"name": "one", "properties": {
                "subnet": {"id": format!("{}/subnets/default", client.id("virtualNetworks", "net"))},
                "publicIPAddress": {"id": client.id("publicIPAddresses", "ip")},
            }}],
        }}),
    );
    address["properties"]["ipAddress"].as_str().unwrap().to_owned()
}

/// Runs a command over SSH, with the one host key that is trusted.
fn ssh(lab: &Lab, keys: &Keys, address: &str, command: &str) -> Option<String> {
    let known = keys.folder.path().join("known");
    std::io::Write::write_all(
        &mut std::fs::File::create(&known).unwrap(),
        format!("{address} {}", keys.read("host.pub")).as_bytes(),
    )
    .unwrap();
    let output = lab
        .command("ssh")
        .arg("-i")
        .arg(keys.folder.path().join("person"))
        .arg(format!("-oUserKnownHostsFile={}", known.display()))
        .args([
            "-F/dev/null",
            "-oBatchMode=yes",
            "-oConnectTimeout=2",
            "-oLogLevel=ERROR",
            wharf_tests::QUICK,
        ])
        .arg(format!("wharf@{address}"))
        .arg(command)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn open(lab: &Lab, address: &str, port: u16) -> bool {
    let probe = format!("echo > /dev/tcp/{address}/{port}");
    let mut command = lab.command("timeout");
    command.args(["1", "bash", "-c", &probe]).stderr(Stdio::null());
    command.status().unwrap().success()
}

fn in_cloud(test: impl FnOnce(&Lab, &Client<'_>) + Send) {
    let lab = Lab::new();
    lab.enter(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut config = Config::new(Flavour::Hub2020, Clock::real(time::OffsetDateTime::now_utc(), 0.02));
        config.bodies = lab.machines();
        config.throttled = false;
        let simulator = runtime.block_on(Simulator::start(config)).unwrap();
        test(&lab, &Client::new(&simulator, "rg"));
    });
}

#[test]
fn a_machine_is_a_host_that_its_user_data_made() {
    in_cloud(|lab, client| {
        let keys = Keys::new();
        let address = network(client);
        let made = client.put(VM, &machine(client, &keys, &keys.custom_data()));
        assert_eq!(made["properties"]["provisioningState"], "Succeeded", "{made:#}");
        until("SSH answers with the key it was born with", || {
            ssh(lab, &keys, &address, "hostname; sudo touch /kept").as_deref() == Some("born")
        });

        // The agent's port is closed until a rule opens it.
        let serve = "sudo systemd-run --quiet python3 -c 'x' 2>/dev/null; sudo sh -c 'cp /etc/ssh/sshd_config /run/second; echo Port 2376 >> /run/second; /usr/sbin/sshd -f /run/second'";
        ssh(lab, &keys, &address, serve).unwrap();
        assert!(!open(lab, &address, 2376));
        client.put(NSG, &rules(&[rule("ssh", 100, "22"), rule("agent", 110, "2376")]));
        until("the rule opens the port", || open(lab, &address, 2376));
        client.put(NSG, &rules(&[rule("ssh", 100, "22")]));
        until("without the rule it is closed", || !open(lab, &address, 2376));

        client.ask("POST", &format!("{VM}/deallocate"), None);
        client.settled(VM);
        until("a deallocated machine is gone", || ssh(lab, &keys, &address, "true").is_none());
        client.ask("POST", &format!("{VM}/start"), None);
        client.settled(VM);
        until("it comes back as it was", || {
            ssh(lab, &keys, &address, "test -e /kept && hostname").as_deref() == Some("born")
        });

        client.ask("DELETE", VM, None);
        until("the machine is deleted", || client.ask("GET", VM, None).0 == 404);
        until("its host is gone", || !lab.scratch().parent().unwrap().join("hosts/v1").exists());
    });
}

#[test]
fn user_data_that_nothing_reads_fails_the_create_late() {
    in_cloud(|_, client| {
        let keys = Keys::new();
        network(client);
        let odd = STANDARD.encode("#cloud-config\nhostnames: typo\n");
        let made = client.put(VM, &machine(client, &keys, &odd));
        assert_eq!(made["properties"]["provisioningState"], "Failed", "{made:#}");
        let (_, view) = client.ask("GET", &format!("{VM}/instanceView"), None);
        let first = &view["statuses"][0];
        assert_eq!(first["code"], "ProvisioningState/failed/OSProvisioningTimedOut");
        assert!(first["message"].as_str().unwrap().contains("hostnames"), "{first:#}");
    });
}
