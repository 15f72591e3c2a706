//! `doctor`: what is wrong, why, and what mends it.

use insta::assert_snapshot;
use std::os::unix::fs::PermissionsExt as _;

use crate::sandbox::Sandbox;

/// A computer that has the programs it needs.
fn whole() -> Sandbox {
    let sandbox = Sandbox::new();
    for program in ["bin/docker", "bin/ssh", "bin/wharfd"] {
        sandbox.write(program, "#!/bin/sh\n");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(sandbox.home().join(program), mode).unwrap();
    }
    let path = sandbox.home().join("bin").display().to_string();
    sandbox.env("PATH", &path)
}

#[test]
fn where_nothing_is_wrong_nothing_is_said() {
    let sandbox = whole();
    assert_snapshot!(sandbox.run(&["doctor"]), @r"
    $ wharf doctor
    ! nothing is wrong
    ");
    sandbox.run(&["create", "web"]);
    assert_snapshot!(sandbox.run(&["doctor"]), @r"
    $ wharf doctor
    ! nothing is wrong
    ");
    assert_snapshot!(sandbox.run(&["doctor", "-o", "json"]), @r"
    $ wharf doctor -o json
    []
    ");
}

#[test]
fn a_computer_without_its_programs_is_told_which() {
    let sandbox = Sandbox::new().env("PATH", "/nowhere");
    assert_snapshot!(sandbox.run(&["doctor"]), @r"
    $ wharf doctor
    computer: there is no `docker` on PATH, so nothing can be run on the machines from here
      mend: install the docker client; its daemon is not needed
    computer: there is no `ssh` on PATH, so there is no shell on machines, and no `logs -f`
      mend: install the OpenSSH client
    computer: the agent's executable, wharfd, is neither beside the program nor named, so no machine gets an engine
      mend: build it with runtime-agent/build.sh, then name it with --agent or WHARF_AGENT
    [exit 1]
    ");
}

#[test]
fn what_was_interrupted_or_left_open_is_named_with_its_command() {
    let sandbox = whole();
    sandbox.run(&["create", "web"]);
    sandbox.run(&["create", "half", "--memory-fails", "boot"]);
    sandbox.run(&["certs", "issue", "bob"]);
    sandbox.run(&["stop", "web"]);
    sandbox.run(&["certs", "revoke", "bob"]);
    assert_snapshot!(sandbox.run(&["doctor"]), @r"
    $ wharf doctor
    half: its create was interrupted
      mend: wharf create half   (goes on), or wharf rm half   (removes what there is)
    store: the certificate of bob was revoked, and web has not been told
      mend: wharf certs revoke bob
    [exit 1]
    ");
}

#[test]
fn keys_that_others_may_read_are_shut_with_fix_alone() {
    let sandbox = whole();
    sandbox.run(&["create", "web"]);
    let key = sandbox.store().join("authority/key.pem");
    let mode = || std::fs::metadata(&key).unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_snapshot!(sandbox.run(&["doctor"]), @r"
    $ wharf doctor
    store: others on this computer may read HOME/.local/share/wharf/authority/key.pem (mode 644)
      mend: chmod 600 HOME/.local/share/wharf/authority/key.pem
    [exit 1]
    ");
    assert_eq!(mode(), 0o644);
    assert_snapshot!(sandbox.run(&["doctor", "--fix"]), @r"
    $ wharf doctor --fix
    store: others on this computer may read HOME/.local/share/wharf/authority/key.pem (mode 644)
      mended: chmod 600 HOME/.local/share/wharf/authority/key.pem
    ");
    assert_eq!(mode(), 0o600);
    assert_eq!(sandbox.run(&["doctor"]).code, 0);
}

#[test]
fn a_context_whose_machine_is_gone_is_named_and_left() {
    let sandbox = whole();
    sandbox.run(&["create", "web"]);
    std::fs::remove_dir_all(sandbox.store().join("machines/web")).unwrap();
    assert_snapshot!(sandbox.run(&["doctor", "--fix"]), @r"
    $ wharf doctor --fix
    computer: the docker context `web` leads to a machine that this store does not have
      because: the machine was forgotten, or is in another store (--store, WHARF_HOME)
      mend: docker context rm web
    [exit 1]
    ");
    assert_eq!(sandbox.run(&["doctor"]).code, 1, "it is still there");
}
