//! `upgrade`, and what it says when the new agent is no good.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

#[test]
fn agents_are_upgraded_once() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["upgrade", "web"]), @r"
    $ wharf upgrade web
    ! web: changing its agent
    ! web: upgraded from 0.1.0 to 0.2.0 (N s)
    ");
    assert_snapshot!(sandbox.run(&["upgrade", "web"]), @r"
    $ wharf upgrade web
    ! web: changing its agent
    ! web: has this agent already, 0.2.0
    ");
    assert_snapshot!(sandbox.run(&["upgrade", "web", "-o", "json"]).stdout, @r#"
    [
      {
        "name": "web",
        "from": "0.1.0",
        "to": "0.2.0",
        "changed": false
      }
    ]
    "#);
    assert_snapshot!(sandbox.run(&["upgrade", "nobody"]), @r"
    $ wharf upgrade nobody
    ! error: there is no machine `nobody`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    ");
}

#[test]
fn an_agent_that_is_taken_back_says_why() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["create", "web", "--engine-label", "host=keeps"]).code, 0);
    assert_snapshot!(sandbox.run(&["upgrade", "web"]), @r"
    $ wharf upgrade web
    ! web: changing its agent
    ! error: the new agent was taken back, and 0.1.0 answers again: the agent was started and does not stay up
    !   the end of its log: no
    !     memory
    ! hint: containers go on; `wharf logs web` has what the new agent said
    [exit 1]
    ");
}

#[test]
fn a_version_that_is_not_at_hand_is_refused() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["upgrade", "--to", "9.9.9", "web"]), @r"
    $ wharf upgrade --to 9.9.9 web
    ! error: there is no agent to bring
    ! hint: name one with --agent or WHARF_AGENT
    [exit 3]
    ");
    sandbox.write("wharfd", "#!/bin/sh\necho wharfd 0.3.0\n");
    let file = sandbox.home().join("wharfd");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let sandbox = sandbox.env("WHARF_AGENT", &file.display().to_string());
    assert_snapshot!(sandbox.run(&["upgrade", "--to", "9.9.9", "web"]), @r"
    $ wharf upgrade --to 9.9.9 web
    ! error: the agent HOME/wharfd is of version 0.3.0, not 9.9.9
    ! hint: put the agent of that version beside it as wharfd-9.9.9, or name one with --agent
    [exit 3]
    ");
    assert_eq!(sandbox.run(&["upgrade", "--to", "0.3.0", "web"]).code, 0);
    assert_snapshot!(sandbox.run(&["upgrade", "--to", "0.3.0", "--agent", "x", "web"]), @r"
    $ wharf upgrade --to 0.3.0 --agent x web
    ! error: the argument '--to <VERSION>' cannot be used with '--agent <FILE>'
    !
    ! Usage: wharf upgrade --to <VERSION> <NAME>...
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}

#[test]
fn docker_machine_starts_what_is_off_first() {
    let sandbox = Sandbox::with(&["web"]);
    sandbox.run(&["stop", "web"]);
    assert_snapshot!(sandbox.run(&["upgrade", "web"]), @r"
    $ wharf upgrade web
    ! error: machine `web` is stopped
    ! hint: start it with `wharf start web`
    [exit 5]
    ");
    assert_snapshot!(sandbox.docker_machine(&["upgrade", "web"], ""), @r"
    $ wharf docker-machine upgrade web
    ! web: changing its power
    ! web: waiting for its address
    ! web: changing its agent
    ! web: upgraded from 0.1.0 to 0.2.0 (N s)
    ");
    assert_snapshot!(sandbox.docker_machine(&["upgrade", "nobody"], ""), @r#"
    $ wharf docker-machine upgrade nobody
    ! Docker machine "nobody" does not exist. Use "docker-machine ls" to list machines. Use "docker-machine create" to add a new one.
    [exit 1]
    "#);
}
