//! At a real terminal: progress that draws over itself, questions, and Ctrl-C.
//!
//! The program under test is this very test binary, started again at a terminal of its own.

use std::process::Command;

use wharf::World;

use crate::fake;
use crate::pty::Pty;

/// Several command lines, parted by `;`, for the child to run one after the other.
const SCRIPT: &str = "WHARF_TEST_SCRIPT";

/// Not a test of its own: what the others start at a terminal. By itself it has nothing to do.
#[test]
fn child() {
    let Some(script) = std::env::var(SCRIPT).ok() else { return };
    for line in script.split(';') {
        let args = line.split_whitespace().map(Into::into);
        let code = wharf::run_with(args, World::real(), &fake::build());
        println!("[{code:?}]");
    }
    println!("[the end]");
}

fn at_terminal(home: &std::path::Path, script: &str) -> Pty {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "terminal::child", "--nocapture", "--test-threads=1"]);
    command.env(SCRIPT, script).env("HOME", home).env("TERM", "xterm").env("WHARF_HOME", home.join("store"));
    command
        .env_remove("DOCKER_CONFIG")
        .env_remove("XDG_CACHE_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("NO_COLOR");
    Pty::start(&command)
}

#[test]
fn progress_draws_over_itself_and_leaves_one_line() {
    let home = tempfile::tempdir().unwrap();
    let pty = at_terminal(home.path(), "wharf create web1 web2");
    pty.wait_for("[the end]");
    let screen = pty.screen();
    assert!(screen.contains("web1: ready in") && screen.contains("web2: ready in"), "{screen}");
    assert!(screen.contains("docker --context web1"), "{screen}");
    assert_eq!(pty.end().0, 0);
}

#[test]
fn a_question_is_asked_and_answered() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = at_terminal(home.path(), "wharf create web;wharf rm web;wharf ls -q;wharf rm web");
    pty.wait_for("[y/N]");
    pty.type_in("n\r");
    pty.wait_for("nothing was removed");
    pty.wait_for("\nweb\r\n");
    pty.type_in("y\r");
    pty.wait_for("web: removed");
    assert_eq!(pty.end().0, 0);
}

#[test]
fn the_first_interrupt_ends_cleanly() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = at_terminal(home.path(), "wharf create web --memory-fails slow;wharf ls -q");
    pty.wait_for("waiting for a slow cloud");
    pty.type_in("\x03");
    pty.wait_for("[the end]");
    let screen = pty.screen();
    assert!(screen.contains("press Ctrl-C again to leave at once"), "{screen}");
    assert!(screen.contains("error:") && screen.contains("hint:"), "{screen}");
    assert!(!screen.contains("\nweb\r\n"), "an interrupted create leaves nothing:\n{screen}");
    assert_eq!(pty.end().0, 0);
}
