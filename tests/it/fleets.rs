//! A fleet over three clouds (public Azure, a stamp, EC2): applied and killed wherever it is, applied again, and destroyed the same way.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;
use wharf_ec2_sim::body::{Bodies, NoBodies};
use wharf_sim::{Config, Flavour, Simulator};

use crate::aws::scene::{self as aws, program};
use crate::azure::scene as azure;
use crate::world::{World, expect_success, text};

/// A person's computer that knows three clouds by name.
struct Fleet {
    program: OsString,
    public: Simulator,
    stamp: Simulator,
    account: wharf_ec2_sim::Simulator,
    runtimes: Vec<Runtime>,
    world: World,
}

impl Fleet {
    /// Of machines that are records.
    fn new(program: OsString, file: &str) -> Self {
        let quick = wharf_ec2_sim::Config { times: 200.0, ..wharf_ec2_sim::Config::default() };
        Self::with(program, file, World::new(), quick, Arc::new(NoBodies), |_| {})
    }

    /// Of machines that are hosts; all clouds give them names and addresses of one lab.
    fn of_hosts(program: OsString, file: &str) -> Self {
        let world = World::new();
        let hosts = world.lab.machines();
        let account = wharf_ec2_sim::Config { times: 20.0, ..wharf_ec2_sim::Config::default() };
        let change = |config: &mut Config| config.bodies = hosts.clone();
        Self::with(program, file, world, account, hosts.clone(), change)
    }

    fn with(
        program: OsString,
        file: &str,
        world: World,
        account: wharf_ec2_sim::Config,
        bodies: Arc<dyn Bodies>,
        change: impl Fn(&mut Config),
    ) -> Self {
        let (public, first) = azure::start(Flavour::Public, &world.lab, &change);
        let (stamp, second) = azure::start(Flavour::Hub2020, &world.lab, &change);
        let (account, third) = aws::start(&world.lab, account, bodies);
        let runtimes = vec![first, second, third];
        let fleet = Self { program, public, stamp, account, runtimes, world };
        for (name, cloud) in [("public", &fleet.public), ("stamp", &fleet.stamp)] {
            let mut add = fleet.command(&["cloud", "add", cloud.endpoint(), "--name", name]);
            expect_success(add.envs(azure::environment(cloud)));
            let secret = fleet.world.home.join(format!("{name}.secret"));
            write(&secret, &cloud.config().account.secret);
            let profile = fleet.world.home.join(format!(".config/wharf/clouds/{name}.yaml"));
            let text = std::fs::read_to_string(&profile).unwrap();
            let place = format!("file: {}", secret.display());
            write(&profile, &text.replace("env: AZURE_CLIENT_SECRET", &place));
        }
        let endpoint = fleet.account.endpoint();
        fleet.ends(&["cloud", "add", &endpoint, "--driver", "aws", "--name", "ec2"], 0);
        fleet.write(file);
        fleet
    }

    fn write(&self, file: &str) {
        write(&self.world.home.join("fleet.yaml"), file);
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.world.wharf_by(&self.program, arguments);
        command.current_dir(&self.world.home).env("WHARF_KEYRING", "off");
        command.envs(aws::keys(&self.account)).env("JOIN_TOKEN", JOIN_TOKEN);
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

    fn instances(&self) -> Vec<String> {
        self.runtimes[2].block_on(self.account.holds())
    }

    fn machines(&self) -> [usize; 3] {
        let [public, stamp] = [&self.public, &self.stamp].map(|cloud| {
            let holds = cloud.cloud().holds();
            holds.iter().filter(|id| id.contains("/virtualMachines/") && !id.contains("/extensions/")).count()
        });
        [public, stamp, self.instances().iter().filter(|id| id.starts_with("i-")).count()]
    }

    fn nothing_is_left(&self) {
        for cloud in [&self.public, &self.stamp] {
            assert_eq!(cloud.cloud().holds(), Vec::<String>::new());
        }
        assert_eq!(self.instances(), Vec::<String>::new());
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

const SIXTY: &str = "\
fleet: shop
defaults: { bootstrap: false, options: { allow-from: any } }
machines:
  web-{01..20}: { cloud: public }
  stamp-{01..20}: { cloud: stamp }
  ec2-{01..20}: { cloud: ec2 }
";

#[test]
fn sixty_machines_in_three_clouds_survive_twenty_kills() {
    let Some(program) = program("sixty_machines_in_three_clouds_survive_twenty_kills") else { return };
    let (fleet, mut dice) = (Fleet::new(program, SIXTY), Dice::new());
    for _ in 0..20 {
        fleet.kill(&["apply", "--yes"], dice.below(Duration::from_secs(4)));
    }
    fleet.ends(&["apply", "--yes"], 0);
    assert_eq!(fleet.machines(), [20, 20, 20]);
    let said = fleet.ends(&["plan"], 0);
    assert!(said.contains("fleet shop: 60 as they should be"), "{said}");
    for _ in 0..20 {
        fleet.kill(&["destroy", "--yes"], dice.below(Duration::from_secs(2)));
    }
    // What a killed apply had not begun is no part of it any more; what it had is.
    fleet.ends(&["destroy", "--yes"], 0);
    fleet.nothing_is_left();
}

#[test]
fn of_two_applies_at_once_one_works_and_the_other_finds_it_done() {
    let Some(program) = program("of_two_applies_at_once_one_works_and_the_other_finds_it_done") else {
        return;
    };
    let fleet = Fleet::new(program, &SIXTY.replace("{01..20}", "{1..4}"));
    let mut both = [fleet.begin(&["apply", "--yes"]), fleet.begin(&["apply", "--yes"])];
    for one in &mut both {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(fleet.machines(), [4, 4, 4]);
    fleet.ends(&["plan"], 0);
    fleet.ends(&["destroy", "--yes"], 0);
    fleet.nothing_is_left();
}

const REAL: &str = "\
fleet: real
env: [JOIN_TOKEN]
defaults: { options: { allow-from: any } }
machines:
  web-{1..3}: { cloud: public, labels: { role: web }, join: { register: { on: machine, env: [JOIN_TOKEN], run: REGISTER } } }
  stamp-{1..3}: { cloud: stamp }
  ec2-{1..3}: { cloud: ec2 }
";

/// What the hook does, over SSH: it keeps its facts, and that it knows the token.
const REGISTER: &str =
    r#"'cat >joined.json && test -n "$JOIN_TOKEN" && printf "%s" "$JOIN_TOKEN" | sha256sum >>tokens'"#;
const JOIN_TOKEN: &str = "of the tests' own, with \\ and $HOME in it";

impl Fleet {
    /// Hooks on a machine, whose shell sshd starts: one that joined knows its facts and its secret, one that fails says so
    /// without it, and one that takes too long is ended there, too.
    fn hooks_run_where_they_should(&self, file: &str) {
        let facts = expect_success(&mut self.command(&["ssh", "web-2", "cat joined.json"]));
        let facts: serde_json::Value = serde_json::from_str(&facts).unwrap();
        assert_eq!((&facts["name"], &facts["fleet"]), (&"web-2".into(), &"real".into()), "{facts}");
        assert_eq!(facts["labels"]["role"], "web", "{facts}");
        let mut sum = std::process::Command::new("sh");
        sum.args(["-c", r#"printf "%s" "$JOIN_TOKEN" | sha256sum"#]).env("JOIN_TOKEN", JOIN_TOKEN);
        let sum = expect_success(&mut sum);
        let sums = expect_success(&mut self.command(&["ssh", "web-2", "cat tokens"]));
        assert!(!sums.is_empty() && sums.lines().all(|line| line == sum.trim()), "{sums} of {sum}");

        let with = |name: &str, run: &str| {
            let hook = format!("{name}: {{ on: machine, env: [JOIN_TOKEN], timeout: 3s, run: '{run}' }}");
            let more = format!("stamp-{{1..3}}: {{ cloud: stamp, join: {{ {hook} }} }}");
            self.write(&file.replace("stamp-{1..3}: { cloud: stamp }", &more));
        };
        with("refuse", r#"echo "no: $JOIN_TOKEN" >&2; exit 3"#);
        let said = self.ends(&["apply", "--yes", "--target", "stamp-1"], 12);
        assert!(said.contains("the hook `refuse` ended with exit code 3"), "{said}");
        assert!(said.contains("no: ***") && !said.contains(JOIN_TOKEN), "{said}");
        let said = self.ends(&["plan", "--target", "stamp-1"], 11);
        assert!(said.contains("the hook `refuse` ended with exit code 3"), "{said}");
        with("sleep", "exec sleep 31337");
        let said = self.ends(&["apply", "--yes", "--target", "stamp-1"], 12);
        assert!(said.contains("the hook `sleep` took longer than 3 s"), "{said}");
        let still =
            self.command(&["ssh", "stamp-1", "ps -eo args | grep -c '[s]leep 31337'"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&still.stdout).trim(), "0", "{}", text(&still));
        self.write(file);
    }
}

#[test]
fn real_hosts_survive_three_kills_and_are_configured_where_they_are() {
    let Some(program) = program("real_hosts_survive_three_kills_and_are_configured_where_they_are") else {
        return;
    };
    let real = REAL.replace("REGISTER", REGISTER);
    let (fleet, mut dice) = (Fleet::of_hosts(program, &real), Dice::new());
    for _ in 0..3 {
        fleet.kill(&["apply", "--yes"], Duration::from_secs(2) + dice.below(Duration::from_secs(10)));
    }
    fleet.ends(&["apply", "--yes"], 0);
    fleet.ends(&["plan"], 0);
    let machines =
        ["web", "stamp", "ec2"].map(|group| (1..=3).map(move |number| format!("{group}-{number}")));
    for machine in machines.into_iter().flatten() {
        fleet.world.docker_ok(&machine, &["version"]);
    }
    fleet.hooks_run_where_they_should(&real);
    fleet.write(&real.replace("role: web", "role: front"));
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
