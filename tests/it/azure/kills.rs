//! A create that is killed (`kill -9`) wherever the bootstrap of a real host has got to: the same command again goes on,
//! and the machine runs containers.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use wharf_sim::Flavour;

use super::scene::{CREATE, Scene};

/// Where a command is killed.
#[derive(Debug, Clone, Copy)]
enum Point {
    /// When it says this.
    Says(&'static str),
    /// When it has written so many of these events into the journal.
    Writes(&'static str, usize),
}

use Point::{Says, Writes};

/// Every step of the bootstrap and every event that it writes, in the order they come; before them, the machine's own.
const POINTS: [Point; 14] = [
    Says("make the virtual machine"),
    Writes("made", 5),
    Says("waiting for its address"),
    Writes("seen", 1),
    Writes("provisioning", 1),
    Says("waiting for SSH"),
    Says("looking at the host"),
    Says("uploading the agent"),
    Says("starting the engine"),
    Says("asking the engine"),
    Says("replacing the SSH host key"),
    Writes("host_keys", 1),
    Writes("host_keys", 2),
    Writes("provisioned", 1),
];
const PATIENCE: Duration = Duration::from_secs(90);

/// How a create went that was to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Killed,
    /// It was through before anybody could.
    Through,
}

/// One machine, killed on at one step after the other, is finished by the last create.
#[test]
fn a_create_goes_on_wherever_its_bootstrap_was_killed() {
    let scene = Scene::with_bare_hosts(Flavour::Hub2020);
    let steps = [POINTS[3], POINTS[6], POINTS[7], POINTS[8], POINTS[9], POINTS[11]];
    let reached = steps.iter().filter(|point| scene.killed(**point, Duration::ZERO) == Ended::Killed).count();
    assert!(reached >= 4, "the steps have other names: only {reached} were seen");
    scene.finishes();
    scene.wharf_ok(&["rm", "-y", "web1"]);
    scene.nothing_is_left();
    scene.nothing_was_refused();
}

/// A machine for each point, killed there and a little later, twice each.
#[test]
#[ignore = "minutes: tests/soak.sh azure"]
fn a_create_goes_on_wherever_it_was_killed() {
    let scene = Scene::with_bare_hosts(Flavour::Hub2020);
    for point in POINTS {
        let mut reached = 0;
        for later in [0, 50, 200].map(Duration::from_millis) {
            println!("{point:?} and {later:?}");
            let first = scene.killed(point, later);
            let again = if first == Ended::Killed { scene.killed(point, later) } else { first };
            reached += usize::from(first == Ended::Killed);
            println!("  {first:?}, then {again:?}");
            scene.finishes();
            scene.wharf_ok(&["rm", "-y", "web1"]);
            scene.nothing_is_left();
        }
        assert!(reached > 0, "{point:?} was never reached");
    }
    scene.nothing_was_refused();
}

impl Scene {
    /// Runs the create, and kills it at this point and so much later.
    fn killed(&self, point: Point, later: Duration) -> Ended {
        let begun = self.journal().len();
        let log = self.world.lab.scratch().join("said");
        let mut wharf = self.wharf(CREATE);
        let mut create = wharf.stderr(File::create(&log).unwrap()).spawn().unwrap();
        let said = || std::fs::read_to_string(&log).unwrap();
        let mut there = || match point {
            Says(words) => said().contains(words),
            Writes(event, count) => {
                let wanted = format!("\"event\":{{\"{event}\":");
                self.journal().iter().skip(begun).filter(|line| line.contains(&wanted)).count() >= count
            }
        };
        if !reached(&mut create, &mut there) {
            let ended = create.wait().unwrap();
            assert!(is_made(ended, &said()), "{point:?}: {}", said());
            return Ended::Through;
        }
        std::thread::sleep(later);
        create.kill().unwrap();
        if create.wait().unwrap().success() { Ended::Through } else { Ended::Killed }
    }

    /// The same command again goes on, unless there was nothing left to do.
    fn finishes(&self) {
        let output = self.wharf(CREATE).output().unwrap();
        let said = crate::world::text(&output);
        assert!(is_made(output.status, &said), "{said}");
        self.runs_containers();
    }

    /// The lines of the machine's journal so far, whole ones alone.
    fn journal(&self) -> Vec<String> {
        let path: PathBuf = self.world.store.join("machines/web1/journal.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
    }
}

/// Whether a create came to its end, or found that an earlier one had.
fn is_made(ended: ExitStatus, said: &str) -> bool {
    ended.success() || said.contains("there is a machine `web1` already")
}

/// Waits until it is there; false when the command ended before.
fn reached(command: &mut Child, there: &mut impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !there() {
        if command.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(Instant::now() < deadline, "the command neither gets there nor ends");
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
