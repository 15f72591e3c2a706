//! `wharf logs` on real hosts: as root, as somebody with sudo, in a journal and in a file, and what comes later.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::world::{World, expect_success, text};

#[test]
fn what_an_agent_says_is_read_over_ssh() {
    let world = World::new();
    let host = world.lab.host();
    expect_success(&mut world.wharf(world.create_arguments_as("ann", "web", &host)));
    let whole = world.wharf_ok(&["logs", "web"]);
    assert!(whole.contains(" INFO "), "{whole}");
    let last = world.wharf_ok(&["logs", "-n", "1", "web"]);
    assert_eq!(last.lines().count(), 1, "{last}");
    assert!(whole.contains(last.trim_end()), "{last}");
    assert_eq!(world.wharf_ok(&["logs", "--since", "2099-01-01T00:00:00Z", "web"]), "");
    assert_eq!(world.wharf_ok(&["logs", "--since", "1h", "web"]).lines().next(), whole.lines().next());

    let mut following = world.wharf(["logs", "-f", "-n", "0", "web"]);
    let mut following = following.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // It says that its certificates are read anew whenever it is told to.
    let heard = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !heard.load(Ordering::Relaxed) {
                host.run("systemctl kill --kill-who=main --signal=HUP wharfd.service");
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        });
        let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
        let said = lines.any(|line| line.is_ok_and(|line| line.contains("certificates are read anew")));
        heard.store(true, Ordering::Relaxed);
        assert!(said, "it ended before the agent said anything");
    });
    following.kill().unwrap();
    following.wait().unwrap();

    let wrong = world.wharf(["logs", "--since", "yesterday", "web"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
}
