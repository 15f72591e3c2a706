//! `docker network …` and `docker volume …` with the real docker client, against a daemon in namespaces of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a skip is printed")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A daemon that ends, with its namespaces, when the test does.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        // Where a test of its own is killed, --kill-child takes the daemon along.
        let script = format!(
            "ip link set lo up && exec {} -H unix://{root}/sock --data-root {root}/data --exec-root {root}/run",
            env!("CARGO_BIN_EXE_wharfd")
        );
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "-nm", "--kill-child", "--fork", "sh", "-c", &script])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self { child, folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !this.docker("version").0 {
            assert!(Instant::now() < deadline, "the daemon does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        this
    }

    /// Success, and what was printed.
    fn docker(&self, arguments: &str) -> (bool, String) {
        let docker = std::env::var_os("WHARF_TEST_DOCKER").unwrap_or_else(|| "docker".into());
        let output = Command::new(docker)
            .env("DOCKER_HOST", format!("unix://{}/sock", self.folder.path().display()))
            .env("DOCKER_CONFIG", self.folder.path().join("client"))
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_TLS_VERIFY")
            .args(arguments.split_whitespace())
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(printed).unwrap().trim().to_owned())
    }

    #[track_caller]
    fn done(&self, arguments: &str) -> String {
        let (success, printed) = self.docker(arguments);
        assert!(success, "docker {arguments}: {printed}");
        printed
    }

    #[track_caller]
    fn refused(&self, arguments: &str) -> String {
        let (success, printed) = self.docker(arguments);
        assert!(!success, "docker {arguments} was not refused: {printed}");
        printed
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon, or the reason why there can't be one here.
fn daemon(test: &str) -> Option<Daemon> {
    let missing = |program: &str| Command::new(program).arg("--version").output().is_err();
    let docker = std::env::var("WHARF_TEST_DOCKER").unwrap_or_else(|_| "docker".to_owned());
    let why = if !rustix::process::geteuid().is_root() {
        "it needs root for namespaces of its own"
    } else if missing(&docker) {
        "there is no docker client"
    } else {
        return Some(Daemon::start());
    };
    println!("skipped {test}: {why}");
    if let Some(list) = std::env::var_os("WHARF_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(file, "{test}: {why}").unwrap();
    }
    None
}

#[test]
fn networks_are_made_shown_and_removed() {
    let Some(daemon) = daemon("networks_are_made_shown_and_removed") else { return };
    let names = "network ls --format {{.Name}}/{{.Driver}}/{{.Scope}}";
    assert_eq!(daemon.done(names), "bridge/bridge/local\nhost/host/local\nnone/null/local");
    let shown: serde_json::Value = serde_json::from_str(&daemon.done("network inspect bridge")).unwrap();
    let subnet = serde_json::json!([{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]);
    assert_eq!(shown[0]["IPAM"]["Config"], subnet);

    let id =
        daemon.done("network create --label tier=front --subnet 10.44.0.0/16 --ip-range 10.44.5.0/24 front");
    assert_eq!(id.len(), 64);
    assert_eq!(daemon.done(&format!("network inspect {} -f {{{{.Name}}}}", &id[..12])), "front");
    let shown: serde_json::Value = serde_json::from_str(&daemon.done("network inspect front")).unwrap();
    let network = &shown[0];
    assert_eq!(network["Labels"]["tier"], "front");
    assert_eq!(network["IPAM"]["Config"][0]["IPRange"], "10.44.5.0/24");
    assert_eq!(network["IPAM"]["Config"][0]["Gateway"], "10.44.0.1");
    assert_eq!(network["Containers"], serde_json::json!({}));

    assert_eq!(daemon.done("network ls -q --no-trunc --filter label=tier=front"), id);
    assert_eq!(daemon.done("network ls --format {{.Name}} --filter type=custom"), "front");
    assert_eq!(
        daemon.done("network ls --format {{.Name}} --filter dangling=true --filter driver=bridge"),
        "front"
    );

    assert!(daemon.refused("network create front").contains("network with name front already exists"));
    assert!(
        daemon.refused("network create --subnet 10.44.1.0/24 x").contains("Pool overlaps with other one")
    );
    assert!(daemon.refused("network create --subnet 10.9.0.0/24 --gateway 10.8.0.1 x").contains("10.8.0.1"));
    assert!(
        daemon
            .refused("network create -d host x")
            .contains("only one instance of \"host\" network is allowed")
    );
    assert!(daemon.refused("network create -d weave x").contains("plugin not found"));
    assert!(daemon.refused("network create bridge").contains("predefined"));
    assert!(daemon.refused("network rm none").contains("is a pre-defined network and cannot be removed"));
    assert!(daemon.refused("network inspect nowhere").contains("network nowhere not found"));
    assert!(daemon.refused("network ls --filter colour=red").contains("invalid filter 'colour'"));

    daemon.done("network create --internal back");
    assert_eq!(daemon.done("network inspect back -f {{.Internal}}"), "true");
    assert_eq!(daemon.done("network rm front"), "front");
    assert!(daemon.done("network prune -f").contains("back"));
    assert_eq!(daemon.done("network ls -q --filter type=custom"), "");
}

#[test]
fn volumes_are_made_shown_and_removed() {
    let Some(daemon) = daemon("volumes_are_made_shown_and_removed") else { return };
    assert_eq!(daemon.done("volume create --label a=b data"), "data");
    assert_eq!(daemon.done("volume create data"), "data");
    let shown: serde_json::Value = serde_json::from_str(&daemon.done("volume inspect data")).unwrap();
    let mountpoint = daemon.folder().join("data/volumes/data/_data");
    assert_eq!(shown[0]["Mountpoint"], mountpoint.to_str().unwrap());
    assert!(mountpoint.is_dir());
    assert_eq!(shown[0]["Labels"]["a"], "b");
    assert_eq!(shown[0]["Options"], serde_json::Value::Null);
    let anonymous = daemon.done("volume create");
    assert_eq!(anonymous.len(), 64);

    assert_eq!(daemon.done("volume ls -q --filter name=dat"), "data");
    assert_eq!(daemon.done("volume ls -q --filter label=a=b --filter dangling=true"), "data");
    assert!(daemon.refused("volume create a/b").contains("includes invalid characters"));
    assert!(daemon.refused("volume create -d nfs x1").contains("plugin \"nfs\" not found"));
    assert!(daemon.refused("volume create --opt colour=red x1").contains("invalid option: \"colour\""));
    assert!(daemon.refused("volume inspect nothing").contains("no such volume"));

    let pruned = daemon.done("volume prune -f");
    assert!(pruned.contains(&anonymous) && !pruned.contains("data\n"), "{pruned}");
    assert_eq!(daemon.done("volume rm data"), "data");
    assert_eq!(daemon.done("volume ls -q"), "");
    assert!(!mountpoint.exists());
    assert!(daemon.refused("volume rm data").contains("no such volume"));
    daemon.done("volume rm -f data");
}
