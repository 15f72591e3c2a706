//! A signed-in client of an offline cloud, and the bodies that tests send.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use wharf_sim::http::{Answer, Call, Outcome};
use wharf_sim::{Clock, Cloud, Config, Flavour, Simulator};

/// A client and its cloud.
pub(crate) struct Client {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) config: Config,
    pub(crate) token: String,
    /// Versions by namespace's last word.
    pub(crate) resources: &'static str,
    pub(crate) network: &'static str,
    pub(crate) compute: &'static str,
    pub(crate) disk: &'static str,
}

/// A configuration whose clock stands still until the test moves it.
pub(crate) fn config(flavour: Flavour) -> Config {
    let began = time::OffsetDateTime::from_unix_timestamp(1_790_000_000).expect("a date");
    Config::new(flavour, Clock::manual(began, 1.0))
}

/// A signed-in client of a cloud of this flavour.
pub(crate) fn client(flavour: Flavour) -> Client {
    Client::new(config(flavour))
}

impl Client {
    pub(crate) fn new(config: Config) -> Self {
        let cloud = Cloud::offline(config.clone()).expect("a cloud");
        Self::signed_in(cloud, config)
    }

    /// A client of a cloud that listens, and lives.
    pub(crate) fn of(simulator: &Simulator) -> Self {
        Self::signed_in(simulator.shared(), simulator.config().clone())
    }

    fn signed_in(cloud: Arc<Cloud>, config: Config) -> Self {
        let (resources, network, compute, disk) = match config.flavour {
            Flavour::Public => ("2024-03-01", "2024-05-01", "2024-11-01", "2019-07-01"),
            Flavour::UsGov | Flavour::China => ("2021-04-01", "2023-11-01", "2024-07-01", "2019-07-01"),
            Flavour::Hub2020 => ("2019-10-01", "2018-11-01", "2020-06-01", "2019-07-01"),
            Flavour::Hub2019 => ("2018-05-01", "2017-10-01", "2017-12-01", "2017-03-30"),
            Flavour::Hub2018 => ("2018-02-01", "2017-10-01", "2017-03-30", "2017-03-30"),
        };
        let mut client = Self { cloud, config, token: String::new(), resources, network, compute, disk };
        client.token =
            client.sign_in().body.expect("a body")["access_token"].as_str().expect("a token").to_owned();
        client
    }

    /// Signs in with the secret, as the flavour wants it.
    pub(crate) fn sign_in(&self) -> Answer {
        let account = &self.config.account;
        let common = [
            ("grant_type", "client_credentials"),
            ("client_id", &account.client),
            ("client_secret", &account.secret),
        ];
        let mut form: Vec<(&str, String)> = common.map(|(k, v)| (k, v.to_owned())).to_vec();
        if self.hub() {
            form.push(("resource", self.audience()));
            return self.form("/adfs/oauth2/token", &form);
        }
        form.push(("scope", format!("{}/.default", self.audience())));
        self.form(&format!("/{}/oauth2/v2.0/token", account.tenant), &form)
    }

    /// What tokens must be for, as discovery tells it.
    pub(crate) fn audience(&self) -> String {
        let version = if self.hub() { "2015-01-01" } else { "2022-09-01" };
        let answer =
            self.send("GET", "management.x", &format!("/metadata/endpoints?api-version={version}"), &[], "");
        answer.body.expect("a body")["authentication"]["audiences"][0]
            .as_str()
            .expect("an audience")
            .to_owned()
    }

    pub(crate) fn hub(&self) -> bool {
        self.config.flavour.is_hub()
    }

    pub(crate) fn location(&self) -> &'static str {
        self.config.flavour.locations()[0].0
    }

    /// Posts a form to the login host.
    pub(crate) fn form(&self, path: &str, form: &[(&str, String)]) -> Answer {
        let body = serde_urlencoded::to_string(form).expect("a form");
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", "login.x", path, &kind, &body)
    }

    /// Sends a call whatever it is; a cut connection is status 0.
    pub(crate) fn send(
        &self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match self.cloud.handle(&Call::new(method, host, path, query, map, Bytes::from(body.to_owned()))) {
            Outcome::Answer(answer, _) => answer,
            Outcome::Cut => Answer::empty(0),
        }
    }

    /// Asks Resource Manager as the signed-in client.
    pub(crate) fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Answer {
        self.ask_with(method, target, body, &[])
    }

    /// The same with more headers.
    pub(crate) fn ask_with(
        &self,
        method: &str,
        target: &str,
        body: Option<&Value>,
        more: &[(&'static str, &str)],
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend_from_slice(more);
        let target = target.strip_prefix(&self.endpoint()).unwrap_or(target);
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, "management.x", target, &headers, &body)
    }

    fn endpoint(&self) -> String {
        let place = if self.hub() { "stamp1".to_owned() } else { self.config.flavour.to_string() };
        format!("https://management.{place}.localhost:443")
    }

    pub(crate) fn subscription(&self) -> String {
        format!("/subscriptions/{}", self.config.account.subscription)
    }

    pub(crate) fn group(&self, name: &str) -> String {
        format!("{}/resourceGroups/{name}", self.subscription())
    }

    /// The id of something in the group `rg`.
    pub(crate) fn id(&self, kind: &str, name: &str) -> String {
        let compute = ["virtualMachines", "disks", "availabilitySets", "proximityPlacementGroups"];
        let namespace = if compute.contains(&kind) { "Microsoft.Compute" } else { "Microsoft.Network" };
        format!("{}/providers/{namespace}/{kind}/{name}", self.group("rg"))
    }

    /// The id with the version that the client uses for its kind.
    pub(crate) fn at(&self, id: &str) -> String {
        let version = if id.contains("/disks/") {
            self.disk
        } else if id.contains("Microsoft.Compute") {
            self.compute
        } else if id.contains("Microsoft.Network") {
            self.network
        } else {
            self.resources
        };
        let mark = if id.contains('?') { '&' } else { '?' };
        format!("{id}{mark}api-version={version}")
    }

    pub(crate) fn put(&self, id: &str, body: &Value) -> Answer {
        self.ask("PUT", &self.at(id), Some(body))
    }

    pub(crate) fn get(&self, id: &str) -> Answer {
        self.ask("GET", &self.at(id), None)
    }

    pub(crate) fn delete(&self, id: &str) -> Answer {
        self.ask("DELETE", &self.at(id), None)
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: u64) {
        self.cloud.clock().advance(Duration::from_secs(seconds));
        self.cloud.catch_up();
    }

    /// PUT, and its end.
    pub(crate) fn make(&self, id: &str, body: &Value) -> Value {
        let answer = self.put(id, body);
        assert!((200..300).contains(&answer.status), "PUT {id}: {answer:#?}");
        self.wait(300);
        self.get(id).body.expect("a body")
    }

    /// The group `rg`, a security group, a network, an address and an interface.
    pub(crate) fn make_network(&self) {
        self.make(&self.group("rg"), &json!({"location": self.location()}));
        self.make(&self.id("networkSecurityGroups", "nsg"), &self.security());
        self.make(&self.id("virtualNetworks", "net"), &self.net());
        self.make(&self.id("publicIPAddresses", "ip"), &self.address());
        self.make(&self.id("networkInterfaces", "nic"), &self.nic("ip"));
    }

    pub(crate) fn security(&self) -> Value {
        json!({"location": self.location(), "properties": {"securityRules": [rule("ssh", 100, "22")]}})
    }

    pub(crate) fn net(&self) -> Value {
        json!({"location": self.location(), "properties": {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{"name": "default", "properties": {"addressPrefix": "10.0.0.0/24"}}],
        }})
    }

    pub(crate) fn address(&self) -> Value {
        let sku = if self.hub() { "Basic" } else { "Standard" };
        json!({"location": self.location(), "sku": {"name": sku}, "properties": {"publicIPAllocationMethod": "Static"}})
    }

    pub(crate) fn nic(&self, address: &str) -> Value {
        json!({"location": self.location(), "properties": {
            "networkSecurityGroup": {"id": self.id("networkSecurityGroups", "nsg")},
            "ipConfigurations": [{"name": "one", "properties": {
                "subnet": {"id": format!("{}/subnets/default", self.id("virtualNetworks", "net"))},
                "publicIPAddress": {"id": self.id("publicIPAddresses", address)},
            }}],
        }})
    }

    /// A machine that every flavour accepts.
    pub(crate) fn vm(&self, nic: &str) -> Value {
        json!({"location": self.location(), "tags": {"owner": "test"}, "properties": {
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": {
                "imageReference": {"publisher": "Canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts", "version": "latest"},
                "osDisk": {"name": "disk", "createOption": "FromImage", "managedDisk": {"storageAccountType": "Standard_LRS"}},
            },
            "osProfile": {
                "computerName": "vm", "adminUsername": "wharf", "customData": "I2Nsb3VkLWNvbmZpZwo=",
                "linuxConfiguration": {"disablePasswordAuthentication": true, "ssh": {"publicKeys": [
                    {"path": "/home/wharf/.ssh/authorized_keys", "keyData": rsa_key()},
                ]}},
            },
            "networkProfile": {"networkInterfaces": [{"id": self.id("networkInterfaces", nic)}]},
        }})
    }
}

pub(crate) fn rule(name: &str, priority: u32, port: &str) -> Value {
    json!({"name": name, "properties": {
        "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": priority, "sourceAddressPrefix": "*",
        "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": port,
    }})
}

/// The public half of no key, well formed.
pub(crate) fn rsa_key() -> String {
    use base64::Engine;
    let mut blob = Vec::new();
    for part in [&b"ssh-rsa"[..], &[1, 0, 1], &[&[0u8][..], &[0xd1; 256]].concat()] {
        blob.extend_from_slice(&u32::try_from(part.len()).expect("short").to_be_bytes());
        blob.extend_from_slice(part);
    }
    format!("ssh-rsa {} nobody", base64::engine::general_purpose::STANDARD.encode(blob))
}

/// The code of a refusal.
pub(crate) fn code(answer: &Answer) -> &str {
    answer.body.as_ref().and_then(|body| body["error"]["code"].as_str()).unwrap_or_default()
}

/// The message of a refusal.
pub(crate) fn message(answer: &Answer) -> &str {
    answer.body.as_ref().and_then(|body| body["error"]["message"].as_str()).unwrap_or_default()
}

/// A header of an answer.
pub(crate) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
