//! `ls` of many machines in two clouds, whose engines all listen: what it asks for, and (by `tests/bench.sh fleet`, of 200)
//! how long it takes and what a fleet costs this computer.
//!
//! Machines are records in simulated clouds. Their engines are one server of the test's, which has all of their addresses
//! and shows a certificate that names all of them; what says that they were brought there is written into the journals.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::runtime::Runtime;
use wharf_core::journal::{Entry, Event, parse, write_line};
use wharf_sim::{Flavour, Simulator};
use wharf_tests::wharf_program;

use crate::azure::scene as azure;
use crate::cloud::Client;
use crate::world::{World, expect_success, text};

/// How many machines a list answers at once.
const PAGE: usize = 20;
const MACHINES: &str = "/providers/Microsoft.Compute/virtualMachines";

/// A person who knows two clouds.
struct Scene {
    /// Machines in each of them.
    each: usize,
    clouds: [Simulator; 2],
    runtimes: Vec<Runtime>,
    world: World,
}

impl Scene {
    fn new(each: usize) -> Self {
        let world = World::new();
        let start = |flavour| azure::start(flavour, &world.lab, |config| config.page = PAGE);
        let ((public, first), (stamp, second)) = (start(Flavour::Public), start(Flavour::Hub2020));
        let scene = Self { each, clouds: [public, stamp], runtimes: vec![first, second], world };
        for (name, cloud) in ["public", "stamp"].into_iter().zip(&scene.clouds) {
            let mut add = scene.command(&["cloud", "add", cloud.endpoint(), "--name", name]);
            expect_success(add.envs(azure::environment(cloud)));
            let secret = scene.world.home.join(format!("{name}.secret"));
            write(&secret, &cloud.config().account.secret);
            let profile = scene.world.home.join(format!(".config/wharf/clouds/{name}.yaml"));
            let text = std::fs::read_to_string(&profile).unwrap();
            let place = format!("file: {}", secret.display());
            write(&profile, &text.replace("env: AZURE_CLIENT_SECRET", &place));
        }
        let file = format!(
            "fleet: many\ndefaults: {{ bootstrap: false, options: {{ allow-from: any }} }}\nmachines:\n  \
             web-{{001..{each}}}: {{ cloud: public }}\n  stamp-{{001..{each}}}: {{ cloud: stamp }}\n"
        );
        write(&scene.world.home.join("fleet.yaml"), &file);
        scene
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.wharf(arguments);
        command.current_dir(&self.world.home).env("WHARF_KEYRING", "off");
        command
    }

    /// The journals say of every machine that its engine answered, and one server answers for all of them.
    fn have_engines(&self) {
        let (mut uris, mut addresses) = (Vec::new(), String::new());
        for folder in std::fs::read_dir(self.world.store.join("machines")).unwrap().flatten() {
            let file = folder.path().join("journal.jsonl");
            let mut journal = std::fs::read(&file).unwrap();
            let mut entries = parse(&journal).unwrap().entries;
            let mut sum = parse(&journal).unwrap().sum;
            for event in provisioned() {
                let last = entries.last().unwrap();
                let entry = Entry { number: last.number + 1, event, ..last.clone() };
                let (line, next) = write_line(&sum, &entry).unwrap();
                journal.extend(line);
                sum = next;
                entries.push(entry);
            }
            std::fs::File::create(&file).unwrap().write_all(&journal).unwrap();
            for entry in &entries {
                match &entry.event {
                    Event::Begun { machine, .. } => uris.push(format!("wharf:machine:{machine}")),
                    Event::Seen { reach } => {
                        addresses += &format!("address replace {}/32 dev lo\n", reach.engine_host);
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(uris.len(), 2 * self.each);
        let mut ip = self.world.lab.command("ip");
        let mut ip = ip.args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        ip.stdin.take().unwrap().write_all(addresses.as_bytes()).unwrap();
        assert!(ip.wait().unwrap().success());
        let tls = self.certificate(uris);
        let listener = self.world.lab.enter(|| TcpListener::bind("0.0.0.0:2376")).unwrap();
        // It ends with the process: it holds nothing but its port in the lab.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tls = Arc::clone(&tls);
                std::thread::spawn(move || answer(stream, tls));
            }
        });
    }

    /// A server certificate for all of them, by the store's own authority.
    fn certificate(&self, uris: Vec<String>) -> Arc<rustls::ServerConfig> {
        let read =
            |file: &str| std::fs::read_to_string(self.world.store.join("authority").join(file)).unwrap();
        let authority_key = rcgen::KeyPair::from_pem(&read("ca-key.pem")).unwrap();
        let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.pem"), authority_key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut server = rcgen::CertificateParams::default();
        server.distinguished_name.push(rcgen::DnType::CommonName, "all of them");
        server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let uris = uris.into_iter().map(|uri| rcgen::SanType::URI(uri.try_into().unwrap()));
        server.subject_alt_names = uris.collect();
        let pem = server.signed_by(&key, &issuer).unwrap().pem();
        let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }

    /// What was asked of a cloud since it was last looked at: of what kind, and at which path.
    fn asked(&self, cloud: usize) -> Vec<String> {
        let cloud = self.clouds[cloud].cloud();
        let calls = cloud.calls().into_iter().filter(|call| call.path.starts_with("/subscriptions/"));
        let calls = calls.map(|call| format!("{} {}", call.method, call.path)).collect();
        cloud.clear_calls();
        calls
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for runtime in self.runtimes.drain(..) {
            runtime.shutdown_background();
        }
    }
}

fn provisioned() -> [Event; 2] {
    [
        Event::Provisioning { names: Vec::new() },
        Event::Provisioned {
            engine: "28.2".to_owned(),
            names: Vec::new(),
            expires: 4_102_444_800,
            agent: "00".repeat(32),
            facts: serde_json::json!({}),
        },
    ]
}

/// What an engine says of itself, as often as it is asked.
fn answer(mut stream: TcpStream, tls: Arc<rustls::ServerConfig>) {
    let Ok(mut connection) = rustls::ServerConnection::new(tls) else { return };
    let mut stream = BufReader::new(rustls::Stream::new(&mut connection, &mut stream));
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line == "\r\n" {
            let body = r#"{"Version":"28.2","ApiVersion":"1.51","MinAPIVersion":"1.24","Os":"linux","Arch":"amd64","GitCommit":"","GoVersion":"","KernelVersion":"6.1","BuildTime":"","Components":[],"Platform":{"Name":""}}"#;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            if stream.get_mut().write_all(format!("{head}{body}").as_bytes()).is_err() {
                return;
            }
        }
        line.clear();
    }
}

fn write(file: &std::path::Path, text: &str) {
    std::fs::File::create(file).unwrap().write_all(text.as_bytes()).unwrap();
}

/// All of them are there, run, and answer.
fn judge(scene: &Scene, listed: &str) {
    assert_eq!(listed.lines().count(), 1 + 2 * scene.each, "{listed}");
    for row in listed.lines().skip(1) {
        assert!(row.contains("Running") && row.contains("v28.2"), "{row}");
    }
}

#[test]
fn a_hundred_machines_in_two_clouds_are_listed_by_a_list_each() {
    let scene = Scene::new(50);
    expect_success(&mut scene.command(&["apply", "--yes", "--parallel", "100"]));
    scene.have_engines();
    let _ = [scene.asked(0), scene.asked(1)];
    judge(&scene, &expect_success(&mut scene.command(&["ls"])));
    for cloud in 0..2 {
        let asked = scene.asked(cloud);
        let lists = |kind: &str| asked.iter().filter(|call| call.ends_with(kind)).count();
        let pages = scene.each.div_ceil(PAGE);
        assert_eq!(lists(MACHINES), pages, "{asked:?}");
        assert_eq!(lists("/providers/Microsoft.Network/publicIPAddresses"), 0, "{asked:?}");
        // Nothing is asked about any one of them.
        let rest = asked.iter().filter(|call| call.contains("web-") || call.contains("stamp-")).count();
        assert_eq!(rest, 0, "{asked:?}");
    }
    // What a list shows of one that is off is enough, too.
    expect_success(&mut scene.command(&["stop", "web-007"]));
    let _ = scene.asked(0);
    let listed = text(&scene.command(&["ls"]).output().unwrap());
    assert!(listed.lines().any(|row| row.contains("web-007") && row.contains("Stopped")), "{listed}");
    let asked = scene.asked(0);
    assert!(asked.iter().all(|call| !call.contains("publicIPAddresses")), "{asked:?}");
    // Those that somebody else switched may be elsewhere now: their addresses are asked for, by one list if they are many.
    let ids = scene.clouds[1].cloud().holds();
    let machines: Vec<&str> = ids.iter().map(String::as_str).filter(|id| id.contains(MACHINES)).collect();
    for (off, addresses) in [(1, 1), (2, scene.each.div_ceil(PAGE))] {
        let (_, within) = machines[off].split_once("/resourceGroups/").unwrap();
        let (group, machine) = within.split_once('/').unwrap();
        let stamp = Client::new(&scene.clouds[1], group);
        let (status, said) = stamp.ask("POST", &format!("/{machine}/powerOff"), None);
        assert!((200..300).contains(&status), "{status} {said}");
        let _ = scene.asked(1);
        let listed = text(&scene.command(&["ls"]).output().unwrap());
        let stopped = listed.lines().filter(|row| row.contains("stamp-") && row.contains("Stopped"));
        assert_eq!(stopped.count(), off, "{listed}");
        let asked = scene.asked(1);
        let count = asked.iter().filter(|call| call.contains("publicIPAddresses")).count();
        assert_eq!(count, addresses, "{asked:?}");
    }
}

/// Runs a command of wharf's, and says how long it took, what memory it had at most, and what processor time it took.
fn measured(scene: &Scene, arguments: &[&str]) -> (Duration, u64, f64) {
    // What led to this interpreter may have had children, which it inherits: they are not counted.
    let measure = "import resource, subprocess, sys\n\
                   used = lambda: resource.getrusage(resource.RUSAGE_CHILDREN)\n\
                   time = lambda: used().ru_utime + used().ru_stime\n\
                   before = time()\n\
                   ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n\
                   print(ended.returncode, used().ru_maxrss, time() - before)";
    let mut python = scene.world.wharf_by("python3", ["-c", measure]);
    python.current_dir(&scene.world.home).env("WHARF_KEYRING", "off").arg(wharf_program()).args(arguments);
    let since = Instant::now();
    let said = expect_success(&mut python);
    let took = since.elapsed();
    let figures: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(figures[0], "0", "{arguments:?}");
    (took, figures[1].parse::<u64>().unwrap() / 1024, figures[2].parse().unwrap())
}

#[test]
#[ignore = "figures, for a quiet machine: tests/bench.sh fleet"]
fn figures() {
    let scene = Scene::new(100);
    let (took, memory, processor) =
        measured(&scene, &["apply", "--yes", "--parallel", "100", "--target", "web-{001..100}"]);
    println!(
        "apply of {}: {took:.1?}, {memory} MB of memory at most, {processor:.2} s of processor time",
        scene.each
    );
    expect_success(&mut scene.command(&["apply", "--yes", "--parallel", "100"]));
    scene.have_engines();
    for _ in 0..5 {
        let (took, memory, processor) = measured(&scene, &["ls"]);
        println!("ls of {}: {took:.2?}, {memory} MB, {processor:.2} s of processor time", 2 * scene.each);
    }
    judge(&scene, &expect_success(&mut scene.command(&["ls"])));
    let env: Vec<f64> = (0..20).map(|_| measured(&scene, &["env", "web-001"]).2 * 1000.0).collect();
    println!(
        "env: {:.1} ms of processor time, the mean of {}",
        env.iter().sum::<f64>() / env.len() as f64,
        env.len()
    );
}
