//! `wharf cloud`, and machines made in clouds.

use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use crate::fake::kept;
use crate::sandbox::{Ended, Sandbox};

/// Sets up the place, signed in with its secret.
fn add(sandbox: &Sandbox, place: &str, secret: &str) -> Ended {
    sandbox.run(&["cloud", "add", place, "--memory-user", "ann", "--memory-secret", secret])
}

fn file(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    sandbox.home().join(format!(".config/wharf/clouds/{name}.yaml"))
}

#[test]
fn a_cloud_is_asked_what_it_is_and_remembered() {
    let sandbox = Sandbox::new().env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    assert_snapshot!(add(&sandbox, "mem://stamp1", "1pmats"), @r"
    $ wharf cloud add mem://stamp1 --memory-user ann --memory-secret 1pmats
    CLOUD    stamp1
    is       a place in memory
    place    mem://stamp1
    secret   in the Secret Service
    size     4
    user     ann
    file     HOME/.config/wharf/clouds/stamp1.yaml
    !
    ! Make machines there:  wharf create --cloud stamp1 NAME
    ");
    let written = std::fs::read_to_string(file(&sandbox, "stamp1")).unwrap();
    assert_snapshot!(written, @r#"
    # A cloud that `wharf create --cloud` makes machines in. Edit it, or set it up anew with
    # `wharf cloud add`; no secret stands here, only where it is.
    driver: memory
    place: mem://stamp1
    secret:
      keyring: clouds/stamp1/secret
    size: "4"
    user: ann
    "#);
    assert_eq!(file(&sandbox, "stamp1").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(kept("clouds/stamp1"), ["secret"]);
    assert_snapshot!(sandbox.run(&["create", "web", "--cloud", "stamp1"]), @r#"
    $ wharf create web --cloud stamp1
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 4
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! web: uploading the agent
    ! web: ready in N s
    !
    ! Use it from any terminal:  docker --context web run --rm hello-world
    ! or make this one's default: eval "$(wharf env web)"
    "#);
    assert_snapshot!(sandbox.run(&["inspect", "web"]).stdout.contains("1pmats").to_string(), @r"
    false
    ");
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE     URL                    DOCKER   ERRORS
    web    -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    ");
    assert_snapshot!(sandbox.run(&["cloud", "rm", "stamp1"]), @r"
    $ wharf cloud rm stamp1
    ! stamp1: forgotten
    ");
    assert_eq!(kept("clouds/stamp1"), [""; 0]);
    assert_snapshot!(sandbox.run(&["status", "web"]), @r"
    $ wharf status web
    Timeout
    ! warning: web: mem://stamp1 does not know nobody
    ! error: not every machine could be asked
    ! hint: check that the machine runs (`wharf ls`) and that no firewall stands between
    [exit 5]
    ");
}

#[test]
fn clouds_have_their_own_ways_to_sign_in() {
    let sandbox = Sandbox::new();
    for (name, secret) in [("one", "eno"), ("two", "owt")] {
        let place = format!("mem://{name}");
        assert_eq!(add(&sandbox, &place, secret).code, 0);
        let path = format!(".config/wharf/clouds/{name}.yaml");
        let text = std::fs::read_to_string(sandbox.home().join(&path)).unwrap();
        let moved = text.replace("env: MEMORY_SECRET", &format!("file: ~/{name}.secret"));
        assert_ne!(moved, text);
        sandbox.write(&path, &moved);
        sandbox.write(&format!("{name}.secret"), &format!("{secret}\n"));
        assert_eq!(sandbox.run(&["create", &format!("on-{name}"), "--cloud", name]).code, 0);
    }
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME     ACTIVE   DRIVER   STATE     URL                    DOCKER   ERRORS
    on-one   -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    on-two   -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    ");
    let sandbox = sandbox.env("WHARF_CLOUD", "two");
    assert_snapshot!(sandbox.run(&["cloud", "ls"]), @r"
    $ wharf cloud ls
    NAME   USUAL   DRIVER   ADDRESS     LOCATION
    one    -       memory   mem://one
    two    *       memory   mem://two
    ");
    let made = sandbox.run(&["create", "usual", "--memory-size", "9"]);
    assert_eq!(made.code, 0, "{made}");
    let config = |name: &str| {
        let inspected: serde_json::Value =
            serde_json::from_str(&sandbox.run(&["inspect", name]).stdout).unwrap();
        inspected["config"].clone()
    };
    assert_eq!((&config("usual")["place"], &config("usual")["size"]), (&"mem://two".into(), &9.into()));
    assert_eq!(config("on-one")["size"], 4, "as the place said");
    assert_snapshot!(sandbox.run(&["create", "x", "--cloud", "one", "--memory-secret", "wrong"]), @r"
    $ wharf create x --cloud one --memory-secret wrong
    ! x: checking what can be checked beforehand
    ! error: mem://one does not know ann
    ! hint: sign in to it
    [exit 7]
    ");
}

#[test]
fn mistakes_are_named() {
    let sandbox = Sandbox::new();
    assert_snapshot!(add(&sandbox, "mem://place", "wrong"), @r"
    $ wharf cloud add mem://place --memory-user ann --memory-secret wrong
    ! error: mem://place does not know ann
    ! hint: sign in to it
    [exit 7]
    ");
    assert!(!file(&sandbox, "place").exists(), "nothing is written of a cloud that lets nobody in");
    assert_snapshot!(add(&sandbox, "mem://place", "ecalp"), @r"
    $ wharf cloud add mem://place --memory-user ann --memory-secret ecalp
    CLOUD    place
    is       a place in memory
    place    mem://place
    secret   in MEMORY_SECRET
    size     4
    user     ann
    file     HOME/.config/wharf/clouds/place.yaml
    ! warning: the secret is kept nowhere, since there is no keyring: MEMORY_SECRET must be set whenever this cloud is used, or the file above must say where it is, as `secret: { file: PATH }`
    !
    ! Make machines there:  wharf create --cloud place NAME
    ");
    assert_snapshot!(add(&sandbox, "mem://place", "ecalp"), @r"
    $ wharf cloud add mem://place --memory-user ann --memory-secret ecalp
    ! error: there is a cloud `place` already
    ! hint: give this one another name with --name, or set it up anew with --force
    [exit 2]
    ");
    assert_eq!(sandbox.run(&["cloud", "add", "mem://place", "--force", "--memory-secret", "ecalp"]).code, 0);
    assert_snapshot!(sandbox.run(&["create", "web", "--cloud", "place"]), @r"
    $ wharf create web --cloud place
    ! web: checking what can be checked beforehand
    ! error: the variable MEMORY_SECRET is not set
    !   cloud: place
    ! hint: signing in takes it from there: set MEMORY_SECRET
    [exit 7]
    ");
    assert_snapshot!(sandbox.run(&["create", "web", "--cloud", "elsewhere"]), @r"
    $ wharf create web --cloud elsewhere
    ! error: there is no cloud `elsewhere`
    ! hint: there are place; `wharf cloud add URL` sets another one up
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["cloud", "add", "mem://x", "--memory-place", "y"]), @r"
    $ wharf cloud add mem://x --memory-place y
    ! error: --memory-place is what the address says
    ! hint: leave it out
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["cloud", "add", "mem://---"]), @r#"
    $ wharf cloud add mem://---
    ! error: as a cloud's name, machine name "---" contains '-' at position 1
    ! hint: name it with --name
    [exit 2]
    "#);
}

#[test]
fn a_damaged_file_is_named_and_hides_no_other_cloud() {
    let sandbox = Sandbox::new();
    assert_eq!(add(&sandbox, "mem://place", "ecalp").code, 0);
    sandbox.write(".config/wharf/clouds/broken.yaml", "driver: memory\nsizes: 4\n");
    assert_snapshot!(sandbox.run(&["cloud", "ls"]), @r"
    $ wharf cloud ls
    NAME    USUAL   DRIVER   ADDRESS       LOCATION
    place   -       memory   mem://place
    ! warning: `HOME/.config/wharf/clouds/broken.yaml` is wrong: driver `memory` has no setting `sizes`
    ");
    assert_snapshot!(sandbox.run(&["create", "web", "--cloud", "broken"]), @r"
    $ wharf create web --cloud broken
    ! warning: `HOME/.config/wharf/clouds/broken.yaml` is wrong: driver `memory` has no setting `sizes`
    ! error: `HOME/.config/wharf/clouds/broken.yaml` is wrong: driver `memory` has no setting `sizes`
    ! hint: correct the file, or set the cloud up anew
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["cloud", "rm", "broken", "place"]), @r"
    $ wharf cloud rm broken place
    ! warning: `HOME/.config/wharf/clouds/broken.yaml` is wrong: driver `memory` has no setting `sizes`
    ! broken: forgotten
    ! place: forgotten
    ");
    assert_snapshot!(sandbox.run(&["cloud", "rm", "place"]), @r"
    $ wharf cloud rm place
    ! error: there is no cloud `place`
    ! hint: `wharf cloud add URL` sets one up
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["cloud", "ls"]), @r"
    $ wharf cloud ls
    NAME   USUAL   DRIVER   ADDRESS   LOCATION
    ! there are no clouds yet: `wharf cloud add URL` sets one up
    ");
}
