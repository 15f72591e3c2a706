//! A fleet over two clouds: applied and killed wherever it is, applied again, and destroyed the same way.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;
use wharf_sim::{Config, Flavour, Simulator};

use super::scene;
use crate::world::{World, expect_success, text};

/// A person's computer that knows two clouds by name.
struct Fleet {
    public: Simulator,
    stamp: Simulator,
    runtimes: Vec<Runtime>,
    world: World,
}

impl Fleet {
    /// Of machines that are records.
    fn new(file: &str) -> Self {
        Self::with(file, World::new(), |_| {})
    }

    /// Of machines that are hosts; both clouds give them names and addresses of one lab.
    fn of_hosts(file: &str) -> Self {
        let world = World::new();
        let hosts = world.lab.machines();
        Self::with(file, world, |config| config.bodies = hosts.clone())
    }

    fn with(file: &str, world: World, change: impl Fn(&mut Config)) -> Self {
        let (public, first) = scene::start(Flavour::Public, &world.lab, &change);
        let (stamp, second) = scene::start(Flavour::Hub2020, &world.lab, &change);
        for (name, cloud) in [("public", &public), ("stamp", &stamp)] {
            let mut add = world.wharf(["cloud", "add", cloud.endpoint(), "--name", name]);
            expect_success(add.envs(scene::environment(cloud)).env("WHARF_KEYRING", "off"));
            let secret = world.home.join(format!("{name}.secret"));
            write(&secret, &cloud.config().account.secret);
            let profile = world.home.join(format!(".config/wharf/clouds/{name}.yaml"));
            let text = std::fs::read_to_string(&profile).unwrap();
            let place = format!("file: {}", secret.display());
            write(&profile, &text.replace("env: AZURE_CLIENT_SECRET", &place));
        }
        let fleet = Self { public, stamp, runtimes: vec![first, second], world };
        fleet.write(file);
        fleet
    }

    fn write(&self, file: &str) {
        write(&self.world.home.join("fleet.yaml"), file);
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.world.wharf(arguments);
        command.current_dir(&self.world.home).env("WHARF_KEYRING", "off");
        command
    }

    fn ends(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Begins the command and kills it some time later, if it is still there.
    fn kill(&self, arguments: &[&str], after: Duration) {
        let mut child = self.begin(arguments);
        std::thread::sleep(after);
        let _ = child.kill();
        child.wait().unwrap();
    }

    fn machines(&self) -> [usize; 2] {
        [&self.public, &self.stamp].map(|cloud| {
            let holds = cloud.cloud().holds();
            holds.iter().filter(|id| id.contains("/virtualMachines/") && !id.contains("/extensions/")).count()
        })
    }

    fn nothing_is_left(&self) {
        for cloud in [&self.public, &self.stamp] {
            assert_eq!(cloud.cloud().holds(), Vec::<String>::new());
        }
        assert_eq!(self.ends(&["ls", "-q"], 0), "");
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for runtime in self.runtimes.drain(..) {
            runtime.shutdown_background();
        }
    }
}

fn write(file: &Path, text: &str) {
    std::fs::File::create(file).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Spans up to a longest one, other ones in every run.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let seed = u64::try_from(seed % 1_000_000_007).unwrap();
        Self(seed)
    }

    fn below(&mut self, longest: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        longest.mul_f64(f64::from(u32::try_from(self.0 >> 33).unwrap()) / f64::from(1u32 << 31))
    }
}

const FORTY: &str = "\
fleet: shop
defaults: { bootstrap: false, options: { allow-from: any } }
machines:
  web-{01..20}: { cloud: public }
  stamp-{01..20}: { cloud: stamp }
";

#[test]
fn forty_machines_in_two_clouds_survive_twenty_kills() {
    let (fleet, mut dice) = (Fleet::new(FORTY), Dice::new());
    for _ in 0..20 {
        fleet.kill(&["apply", "--yes"], dice.below(Duration::from_secs(3)));
    }
    fleet.ends(&["apply", "--yes"], 0);
    assert_eq!(fleet.machines(), [20, 20]);
    let said = fleet.ends(&["plan"], 0);
    assert!(said.contains("fleet shop: 40 as they should be"), "{said}");
    for _ in 0..5 {
        fleet.kill(&["destroy", "--yes"], dice.below(Duration::from_secs(3)));
    }
    // What a killed apply had not begun is no part of it any more; what it had is.
    fleet.ends(&["destroy", "--yes"], 0);
    fleet.nothing_is_left();
}

#[test]
fn of_two_applies_at_once_one_works_and_the_other_finds_it_done() {
    let fleet = Fleet::new(&FORTY.replace("{01..20}", "{1..4}"));
    let mut both = [fleet.begin(&["apply", "--yes"]), fleet.begin(&["apply", "--yes"])];
    for one in &mut both {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(fleet.machines(), [4, 4]);
    fleet.ends(&["plan"], 0);
    fleet.ends(&["destroy", "--yes"], 0);
    fleet.nothing_is_left();
}

const REAL: &str = "\
fleet: real
defaults: { options: { allow-from: any } }
machines:
  web-{1..3}: { cloud: public, labels: { role: web } }
  stamp-{1..2}: { cloud: stamp }
";

#[test]
fn real_hosts_survive_three_kills_and_are_configured_where_they_are() {
    let fleet = Fleet::of_hosts(REAL);
    let mut dice = Dice::new();
    for _ in 0..3 {
        fleet.kill(&["apply", "--yes"], Duration::from_secs(2) + dice.below(Duration::from_secs(10)));
    }
    fleet.ends(&["apply", "--yes"], 0);
    fleet.ends(&["plan"], 0);
    for machine in ["web-1", "web-2", "web-3", "stamp-1", "stamp-2"] {
        fleet.world.docker_ok(machine, &["version"]);
    }
    fleet.write(&REAL.replace("role: web", "role: front"));
    fleet.ends(&["plan"], 11);
    fleet.ends(&["apply", "--yes"], 0);
    let labels = fleet.world.docker_ok("web-2", &["info", "--format", "{{json .Labels}}"]);
    assert_eq!(labels.trim(), r#"["role=front"]"#);
    fleet.ends(&["stop", "web-3"], 0);
    let said = fleet.ends(&["plan"], 11);
    assert!(said.contains("web-3     azure    start    it is off"), "{said}");
    fleet.ends(&["apply", "--yes"], 0);
    fleet.world.docker_ok("web-3", &["version"]);
    fleet.ends(&["destroy", "--yes"], 0);
    fleet.nothing_is_left();
}
