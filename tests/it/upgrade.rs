//! Another agent under running containers of a real host, and agents that are no good.

use std::path::{Path, PathBuf};

use wharf_tests::{Host, static_agent};

use crate::docker::import_busybox;
use crate::world::{World, text};

/// A host with a container that must not notice anything.
struct Scene {
    world: World,
    host: Host,
}

impl Scene {
    fn new() -> Self {
        let world = World::with_bare_hosts();
        let host = world.lab.host();
        world.create("web", &host);
        import_busybox(&world, "web");
        world.docker_ok("web", &["run", "-d", "--name", "stays", "busybox", "sleep", "1000"]);
        Self { world, host }
    }

    /// The agent with some of its bytes changed for as many others, so that it is another build.
    fn agent(&self, name: &str, changed: Option<(&str, &str)>) -> PathBuf {
        let mut bytes = std::fs::read(static_agent()).unwrap();
        if let Some((from, to)) = changed {
            assert_eq!(from.len(), to.len());
            let places: Vec<usize> = bytes
                .windows(from.len())
                .enumerate()
                .filter(|(_, is)| *is == from.as_bytes())
                .map(|(at, _)| at)
                .collect();
            assert!(!places.is_empty(), "`{from}` stands nowhere in the agent");
            for at in places {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            }
        }
        bytes.extend_from_slice(name.as_bytes());
        let file = self.world.lab.scratch().join(name);
        std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), &bytes).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        file
    }

    /// When the container started, and which process it is.
    fn container(&self) -> String {
        self.world.docker_ok(
            "web",
            &["inspect", "-f", "{{.State.StartedAt}} {{.State.Pid}} {{.State.Status}}", "stays"],
        )
    }

    fn installed(&self) -> String {
        self.host.run("sha256sum </usr/local/bin/wharfd; systemctl is-active wharfd")
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.world.store.join("machines/web/journal.jsonl")).unwrap()
    }

    /// Tries an agent that is no good, and demands that all is as it was.
    fn goes_back(&self, agent: &Path, because: &str) {
        let (container, installed) = (self.container(), self.installed());
        let agent = agent.display().to_string();
        let output = self.world.wharf(["upgrade", "--agent", &agent, "web"]).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("was taken back") && said.contains(because), "{said}");
        assert_eq!(self.installed(), installed, "{said}");
        assert_eq!(self.container(), container, "{said}");
        assert!(self.journal().contains("\"rolled_back\""));
        self.host.run("! test -e /usr/local/bin/.wharfd.before");
        assert_eq!(self.world.docker_ok("web", &["exec", "stays", "echo", "still"]), "still\n");
    }
}

#[test]
fn another_agent_takes_over_under_a_running_container() {
    let scene = Scene::new();
    let (container, installed) = (scene.container(), scene.installed());
    let none = scene.world.wharf_ok(&["upgrade", "web"]);
    assert!(none.contains("has this agent already"), "{none}");
    assert_eq!(scene.installed(), installed);

    let other = scene.agent("other", None).display().to_string();
    let said = scene.world.wharf_ok(&["upgrade", "--agent", &other, "web"]);
    assert!(said.contains("has another build of"), "{said}");
    assert_ne!(scene.installed(), installed);
    assert_eq!(scene.container(), container, "the container noticed");
    assert_eq!(scene.world.docker_ok("web", &["exec", "stays", "echo", "still"]), "still\n");
    scene.host.run("! test -e /usr/local/bin/.wharfd.before");
    assert!(scene.journal().contains("\"upgrading\""));

    let wrong = scene.world.wharf(["upgrade", "--to", "99.0.0", "web"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong));
    assert!(text(&wrong).contains("not 99.0.0"), "{}", text(&wrong));
}

#[test]
fn an_agent_that_does_not_start_or_loses_containers_is_taken_back() {
    let scene = Scene::new();
    // It does not know a flag that it is started with.
    scene.goes_back(&scene.agent("mute", Some(("tls-roles", "tls-rolls"))), "does not stay up");
    // It comes up, and looks for its containers elsewhere.
    scene.goes_back(
        &scene.agent("lost", Some(("/var/lib/wharf", "/var/lib/nowhr"))),
        "knows none of the 1 containers",
    );
    // What an interrupted upgrade left is the good one, whatever stands in its place by now.
    let agent = scene.installed();
    scene.host.run("ln /usr/local/bin/wharfd /usr/local/bin/.wharfd.before");
    scene.goes_back(&scene.agent("mute", Some(("tls-roles", "tls-rolls"))), "does not stay up");
    assert_eq!(scene.installed(), agent);
}
