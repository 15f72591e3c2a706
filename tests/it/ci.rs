//! The examples for CI systems: what stands under `run:` and `script:`, run as a job would.

use std::path::Path;
use std::process::Command;

use wharf_sim::Flavour;
use wharf_tests::{static_agent, wharf_program};

use crate::azure::scene::Scene;
use crate::world::{World, text};

/// An example's file.
fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ci");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The blocks under `run: |`, in their order.
fn steps(workflow: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut inside = None;
    for line in workflow.lines() {
        let indent = line.len() - line.trim_start().len();
        if inside.is_some_and(|block| indent > block) {
            let step = steps.last_mut().unwrap();
            *step += &format!("{line}\n");
            continue;
        }
        inside = (line.trim_start() == "run: |").then(|| {
            steps.push(String::new());
            indent
        });
    }
    steps
}

/// The commands under a key, in their order.
fn commands(job: &str, key: &str) -> String {
    let lines = job.lines().skip_while(|line| line.trim() != key).skip(1);
    let items = lines.map_while(|line| line.trim_start().strip_prefix("- "));
    items.map(|item| format!("{item}\n")).collect()
}

/// A job of this forge, in a folder with the fleet file.
fn job(scene: &Scene, forge: &str, script: &str) -> (bool, String) {
    let (bin, folder) = (scene.world.home.join("bin"), scene.world.home.join("work"));
    for place in [&bin, &folder] {
        std::fs::create_dir_all(place).unwrap();
    }
    let docker = World::docker_program();
    for (program, name) in [(wharf_program(), "wharf"), (Path::new(&docker), "docker")] {
        if program.is_absolute() && !bin.join(name).exists() {
            std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
        }
    }
    let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ci/fleet.yaml");
    std::fs::copy(fleet, folder.join("fleet.yaml")).unwrap();
    let mut shell: Command = scene.command("bash");
    shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(&folder);
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{path}", bin.display())).env(forge, "true").env("WHARF_KEYRING", "off");
    let output = shell.env("WHARF_AGENT", static_agent()).output().unwrap();
    (output.status.success(), text(&output))
}

/// What every job leaves behind: a report of two good machines, and nothing else.
fn judge(scene: &Scene, said: &str) {
    for machine in ["ci-1", "ci-2"] {
        assert!(said.contains(" runs ") && said.contains(machine), "{said}");
    }
    let report = std::fs::read_to_string(scene.world.home.join("work/wharf.xml")).unwrap();
    assert!(report.contains("tests=\"2\" failures=\"0\""), "{report}");
    scene.nothing_is_left();
}

#[test]
fn a_job_of_github_makes_uses_and_removes_its_machines() {
    let scene = Scene::new(Flavour::Public);
    let steps = steps(&example("github.yml"));
    assert_eq!(steps.len(), 3, "make, use, remove");
    let mut said = String::new();
    for step in steps {
        let (good, more) = job(&scene, "GITHUB_ACTIONS", &step);
        assert!(good, "{step}: {more}");
        said += &more;
    }
    let count = |word: &str| said.lines().filter(|line| *line == word).count();
    assert_eq!((count("::group::ci-1"), count("::group::ci-2")), (2, 2), "made and removed: {said}");
    assert_eq!(count("::endgroup::"), 4, "{said}");
    judge(&scene, &said);
}

#[test]
fn a_job_of_gitlab_makes_uses_and_removes_its_machines() {
    let scene = Scene::new(Flavour::Hub2020);
    let file = example("gitlab.yml");
    let mut said = String::new();
    for key in ["script:", "after_script:"] {
        let script = commands(&file, key);
        assert!(script.lines().count() >= 2, "{key}: {script}");
        let (good, more) = job(&scene, "GITLAB_CI", &script);
        assert!(good, "{script}: {more}");
        said += &more;
    }
    let count = |word: &str| said.matches(word).count();
    assert_eq!((count("section_start:"), count("section_end:")), (4, 4), "{said}");
    judge(&scene, &said);
}
