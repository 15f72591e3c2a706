//! The examples that need clouds, as a person runs them.

use std::path::Path;
use std::process::{Command, Stdio};

use wharf_tests::{static_agent, wharf_program};

use crate::world::{World, text};

/// An example, with the programs under test on its PATH.
fn example(name: &str, home: &Path) -> Command {
    let bin = home.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let link = |program: &Path, name: &str| std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
    link(wharf_program(), "wharf");
    let lab = Path::new(env!("CARGO_BIN_EXE_wharf-sim-lab"));
    link(lab, "wharf-sim-lab");
    // Built beside it.
    link(&lab.with_file_name("wharf-sim"), "wharf-sim");
    let docker = World::docker_program();
    if Path::new(&docker).is_absolute() {
        link(Path::new(&docker), "docker");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join("run.sh");
    let mut command = Command::new(script);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env_clear().env("PATH", format!("{}:{path}", bin.display())).env("HOME", home);
    command.env("TMPDIR", home).env("WHARF_AGENT", static_agent()).stdin(Stdio::null());
    // Where the hosts' roots are cached already.
    let cache = std::env::var("XDG_CACHE_HOME")
        .unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap_or_default()));
    command.env("XDG_CACHE_HOME", cache);
    command
}

#[test]
fn the_same_command_makes_machines_in_public_azure_and_on_a_stamp() {
    let home = tempfile::tempdir().unwrap();
    let output = example("azure-stack-lab", home.path()).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{}\n{said}", output.status);
    for place in ["public", "stamp1"] {
        let hello = format!("hello from https://management.{place}.localhost:");
        assert!(said.contains(&hello), "{said}");
    }
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().flatten().map(|one| one.file_name()).collect();
    assert_eq!(left, ["bin"], "{said}");
}

#[test]
fn a_fleet_is_applied_killed_applied_again_and_destroyed() {
    let home = tempfile::tempdir().unwrap();
    let output = example("fleet", home.path()).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{}\n{said}", output.status);
    for line in ["fleet shop: 12 to create", "fleet shop: 12 as they should be", "fleet shop: 12 to remove"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().flatten().map(|one| one.file_name()).collect();
    assert_eq!(left, ["bin"], "{said}");
}

#[test]
fn a_machine_in_ec2_is_made_used_stopped_started_and_removed() {
    let Some(program) = std::env::var_os("WHARF_TEST_WHARF_AWS") else {
        let test = "a_machine_in_ec2_is_made_used_stopped_started_and_removed";
        wharf_tests::skip(test, "WHARF_TEST_WHARF_AWS names no program with the driver aws");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let mut command = example("aws", home.path());
    let bin = home.path().join("bin");
    std::fs::remove_file(bin.join("wharf")).unwrap();
    let link = |program: &Path, name: &str| std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
    link(Path::new(&program), "wharf");
    link(Path::new(env!("CARGO_BIN_EXE_wharf-ec2-sim-lab")), "wharf-ec2-sim-lab");
    let output = command.arg(std::env::var_os("WHARF_TEST_MOTO").unwrap()).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{}\n{said}", output.status);
    for hello in ["hello from 10.99.0.", "hello again from 10.99.0."] {
        assert!(said.contains(hello), "{said}");
    }
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().flatten().map(|one| one.file_name()).collect();
    assert_eq!(left, ["bin"], "{said}");
}
