//! Real hosts as the bodies of a simulated cloud's machines: each applies its user data before sshd first starts, and
//! the lab's bridge drops what the cloud's rules keep out. A connection is judged by its first packet, TCP alone.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharf_sim::body::{Birth, Bodies, Body, Doing, Rule};
use wharf_sim::user_data::UserData;

use crate::{inside, lab_script};

const BOOT: Duration = Duration::from_secs(90);
const FINISHED: &str = "upper/var/lib/cloud/instance/boot-finished";
/// Where the real cloud-init says how it went: the last that it writes, `boot-finished` may be there before.
const RESULT: &str = "upper/var/lib/cloud/data/result.json";
/// Where the real cloud-init looks for what it is to do.
const SEED: &str = "upper/var/lib/cloud/seed/nocloud";
/// Where machines' own networks are; the lab's addresses stand for the internet.
const PRIVATE: &str = "{ 10.0.0.0-10.98.255.255, 10.100.0.0-10.255.255.255, 172.16.0.0/12, 192.168.0.0/16 }";

/// Makes bodies in a lab.
#[derive(Debug)]
pub struct Machines {
    lab: PathBuf,
    namespace: String,
    made: AtomicU32,
    addresses: AtomicU8,
    /// Hosts have the real cloud-init.
    cloud_init: bool,
    /// One ruleset at a time.
    firewall: Arc<Mutex<()>>,
}

/// One host.
#[derive(Debug, Clone)]
struct Machine {
    lab: PathBuf,
    namespace: String,
    name: String,
    addresses: Arc<Mutex<Addresses>>,
    /// What the cloud's rules were when they were last said.
    rules: Arc<Mutex<Vec<Vec<Rule>>>>,
    cloud_init: bool,
    firewall: Arc<Mutex<()>>,
}

/// Where a host is reached.
#[derive(Debug, Clone, Default)]
struct Addresses {
    public: Option<String>,
    private: Option<String>,
}

impl Machines {
    pub(crate) fn new(lab: PathBuf, namespace: String) -> Self {
        let (made, addresses) = (AtomicU32::new(0), AtomicU8::new(100));
        Self { lab, namespace, made, addresses, cloud_init: false, firewall: Arc::default() }
    }

    /// The same with hosts on which cloud-init itself does what user data says, and not the simulator's reading of it.
    #[must_use]
    pub fn with_cloud_init(self) -> Self {
        Self { cloud_init: true, ..self }
    }
}

impl Bodies for Machines {
    fn create(&self, birth: Birth) -> Doing<'_, Arc<dyn Body>> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let addresses =
            Addresses { public: birth.public_address.clone(), private: birth.private_address.clone() };
        let machine = Machine {
            lab: self.lab.clone(),
            namespace: self.namespace.clone(),
            name: format!("v{number}"),
            addresses: Arc::new(Mutex::new(addresses)),
            rules: Arc::new(Mutex::new(birth.rules.clone())),
            cloud_init: self.cloud_init,
            firewall: Arc::clone(&self.firewall),
        };
        Box::pin(async move {
            let made = machine.clone();
            blocking(move || made.create(&birth)).await?;
            Ok(Arc::new(machine) as Arc<dyn Body>)
        })
    }

    fn next_address(&self) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::new(10, 99, 0, self.addresses.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Body for Machine {
    fn move_to(&self, public: Option<String>) -> Doing<'_, ()> {
        let machine = self.clone();
        Box::pin(blocking(move || {
            let addresses = {
                let mut addresses = machine.addresses.lock().unwrap_or_else(PoisonError::into_inner);
                addresses.public = public;
                addresses.clone()
            };
            // Closed before it is there.
            let rules = machine.rules.lock().unwrap_or_else(PoisonError::into_inner).clone();
            machine.nft(&machine.ruleset(&rules))?;
            let mut command = lab_script();
            command.arg("move").arg(&machine.lab).arg(&machine.name);
            let [public, private] = [addresses.public, addresses.private].map(Option::unwrap_or_default);
            feed(command.arg(public).arg(private), "")
        }))
    }

    fn start(&self) -> Doing<'_, ()> {
        let machine = self.clone();
        Box::pin(blocking(move || machine.script("start")))
    }

    fn stop(&self) -> Doing<'_, ()> {
        let machine = self.clone();
        Box::pin(blocking(move || machine.script("stop")))
    }

    fn destroy(&self) -> Doing<'_, ()> {
        let machine = self.clone();
        Box::pin(blocking(move || {
            machine.script("remove")?;
            machine.nft(&format!("add table bridge {0}\ndelete table bridge {0}\n", machine.table()))
        }))
    }

    fn admit(&self, rules: Vec<Vec<Rule>>) -> Doing<'_, ()> {
        let machine = self.clone();
        Box::pin(blocking(move || {
            machine.rules.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&rules);
            machine.nft(&machine.ruleset(&rules))
        }))
    }

    fn console(&self) -> Doing<'_, String> {
        let path = self.folder().join("console");
        Box::pin(blocking(move || std::fs::read_to_string(path).map_err(|error| error.to_string())))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

impl Machine {
    fn folder(&self) -> PathBuf {
        self.lab.join("hosts").join(&self.name)
    }

    fn create(&self, birth: &Birth) -> Result<(), String> {
        let user_data = UserData::of(birth).map_err(|refused| refused.to_string())?;
        // Closed before it is there.
        self.nft(&self.ruleset(&birth.rules))?;
        let text = |address: &Option<String>| address.clone().unwrap_or_default();
        let mut command = lab_script();
        command.arg("machine").arg(&self.lab).arg(&self.name);
        command.arg(text(&birth.public_address)).arg(text(&birth.private_address));
        let finished = if self.cloud_init {
            self.seed(birth).map_err(|error| error.to_string())?;
            feed(command.arg("cloud-init"), "")?;
            self.folder().join(RESULT)
        } else {
            feed(&mut command, &user_data.first_boot())?;
            self.folder().join(FINISHED)
        };
        let deadline = Instant::now() + BOOT;
        while !finished.exists() {
            if Instant::now() > deadline {
                let console = std::fs::read_to_string(self.folder().join("console")).unwrap_or_default();
                let _ = self.script("remove");
                return Err(format!("its first boot did not end: {console}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if self.cloud_init { self.judged() } else { Ok(()) }
    }

    /// What a cloud tells cloud-init: who the machine is, who may sign in, and the person's own data.
    fn seed(&self, birth: &Birth) -> std::io::Result<()> {
        let (seed, config) = (self.folder().join(SEED), self.folder().join("upper/etc/cloud/cloud.cfg.d"));
        std::fs::create_dir_all(&seed)?;
        std::fs::create_dir_all(&config)?;
        let who =
            json!({"instance-id": self.name, "local-hostname": birth.host_name, "public-keys": birth.keys});
        put(&seed.join("meta-data"), who.to_string().as_bytes())?;
        let data = birth.custom_data.as_ref().or(birth.user_data.as_ref());
        put(&seed.join("user-data"), data.map_or(&b"#cloud-config\n{}\n"[..], |data| data))?;
        let user = json!({"system_info": {"default_user": {
            "name": birth.user, "shell": "/bin/bash", "lock_passwd": true, "sudo": ["ALL=(ALL) NOPASSWD:ALL"], "groups": [],
        }}});
        put(&config.join("95-machine.cfg"), user.to_string().as_bytes())
    }

    /// Whether cloud-init did everything that it was told, and found nothing wrong with how it was said.
    fn judged(&self) -> Result<(), String> {
        let log = std::fs::read_to_string(self.folder().join("upper/var/log/cloud-init.log"));
        let log = log.map_err(|error| error.to_string())?;
        if let Some(wrong) = log.lines().find(|line| line.contains("Invalid cloud-config")) {
            return Err(wrong.to_owned());
        }
        let result =
            std::fs::read_to_string(self.folder().join(RESULT)).map_err(|error| error.to_string())?;
        let result: Value = serde_json::from_str(&result).map_err(|error| error.to_string())?;
        let errors = result["v1"]["errors"].as_array();
        if errors.is_some_and(Vec::is_empty) { Ok(()) } else { Err(format!("cloud-init says {result}")) }
    }

    fn script(&self, verb: &str) -> Result<(), String> {
        feed(lab_script().arg(verb).arg(&self.lab).arg(&self.name), "")
    }

    fn nft(&self, rules: &str) -> Result<(), String> {
        let _one = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
        feed(inside(&self.namespace, "nft").args(["-f", "-"]), rules)
    }

    fn table(&self) -> String {
        format!("cloud-{}", self.name)
    }

    /// Every list of rules is a chain that returns what it lets in and drops the rest.
    fn ruleset(&self, lists: &[Vec<Rule>]) -> String {
        let table = self.table();
        let mut text =
            format!("add table bridge {table}\ndelete table bridge {table}\ntable bridge {table} {{\n");
        for (number, rules) in lists.iter().enumerate() {
            let _ = writeln!(text, "chain list{number} {{");
            for rule in rules {
                text.push_str(&statements(rule));
            }
            text.push_str("drop\n}\n");
        }
        text.push_str("chain judge {\n");
        for number in 0..lists.len() {
            let _ = writeln!(text, "jump list{number}");
        }
        text.push_str("}\n");
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let addresses: Vec<String> = addresses.public.into_iter().chain(addresses.private).collect();
        for hook in ["output", "forward"] {
            let _ = writeln!(text, "chain {hook} {{ type filter hook {hook} priority 0;");
            for address in &addresses {
                let _ = writeln!(text, "ip daddr {address} tcp flags & (syn | ack) == syn jump judge");
            }
            text.push_str("}\n");
        }
        text + "}\n"
    }
}

/// A rule in nft's words: nothing for one that TCP does not concern.
fn statements(rule: &Rule) -> String {
    if !["tcp", "*"].contains(&rule.protocol.as_str()) {
        return String::new();
    }
    let verdict = if rule.allow { "return" } else { "drop" };
    let ports: Vec<_> = rule.ports.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    let ports = format!("tcp dport {{ {} }}", ports.join(", "));
    let line = |source: &String| match source.to_ascii_lowercase().as_str() {
        "*" | "any" | "0.0.0.0/0" => Some(format!("{ports} {verdict}\n")),
        "internet" => Some(format!("ip saddr != {PRIVATE} {ports} {verdict}\n")),
        "virtualnetwork" => Some(format!("ip saddr {PRIVATE} {ports} {verdict}\n")),
        // The lab has no balancer, and speaks IPv4.
        text if text.contains(':') || text.starts_with('a') => None,
        text => Some(format!("ip saddr {text} {ports} {verdict}\n")),
    };
    rule.sources.iter().filter_map(line).collect()
}

fn feed(command: &mut Command, input: &str) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}\n{said}\n{input}", output.status))
    }
}

fn put(path: &Path, content: &[u8]) -> std::io::Result<()> {
    File::create(path)?.write_all(content)
}
