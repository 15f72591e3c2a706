//! Called as docker-machine: its words and exit codes, where scripts look at them.

use insta::assert_snapshot;

use crate::sandbox::{Ended, Sandbox};

fn with(machines: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for machine in machines {
        let ended = run(&sandbox, &["create", "-d", "none", "-url", "tcp://192.0.2.9:2376", machine]);
        assert_eq!(ended.code, 0, "{ended}");
    }
    sandbox
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Ended {
    sandbox.docker_machine(args, "")
}

#[test]
fn what_is_not_there_is_said_in_its_words() {
    let sandbox = with(&["web"]);
    assert_snapshot!(run(&sandbox, &["ip", "x"]), @r#"
    $ wharf docker-machine ip x
    ! Docker machine "x" does not exist. Use "docker-machine ls" to list machines. Use "docker-machine create" to add a new one.
    [exit 1]
    "#);
    assert_snapshot!(run(&sandbox, &["status"]), @r#"
    $ wharf docker-machine status
    ! Error: No machine name(s) specified and no "default" machine exists
    [exit 1]
    "#);
    assert_snapshot!(run(&sandbox, &["create", "-d", "none", "--url", "u", "web"]), @r#"
    $ wharf docker-machine create -d none --url u web
    ! Docker machine "web" already exists
    [exit 1]
    "#);
    assert_snapshot!(run(&sandbox, &["create", "-d", "none", "--url", "u"]), @r"
    $ wharf docker-machine create -d none --url u
    ! Error: No machine name specified
    [exit 1]
    ");
    assert_snapshot!(run(&sandbox, &["create", "-d", "none", "--url", "u", "a", "b"]), @r"
    $ wharf docker-machine create -d none --url u a b
    ! Invalid command line. Found extra arguments [b]
    [exit 1]
    ");
    assert_snapshot!(run(&sandbox, &["create", "-d", "none", "--url", "u", "not_valid"]), @r"
    $ wharf docker-machine create -d none --url u not_valid
    ! Error creating machine: Invalid hostname specified. Allowed hostname chars are: 0-9a-zA-Z . -
    [exit 1]
    ");
    assert_snapshot!(run(&sandbox, &["rm", "-y", "x"]), @r#"
    $ wharf docker-machine rm -y x
    ! Error removing host "x": Docker machine "x" does not exist. Use "docker-machine ls" to list machines. Use "docker-machine create" to add a new one.
    [exit 1]
    "#);
    assert_snapshot!(run(&sandbox, &["rm"]), @r"
    $ wharf docker-machine rm
    ! Error: Expected to get one or more machine names as arguments
    [exit 1]
    ");
    assert_snapshot!(run(&sandbox, &["url", "web", "db"]), @r"
    $ wharf docker-machine url web db
    ! Error: Expected one machine name as an argument
    [exit 1]
    ");
    assert_snapshot!(run(&sandbox, &["frobnicate"]), @r"
    $ wharf docker-machine frobnicate
    ! docker-machine: 'frobnicate' is not a docker-machine command. See 'docker-machine --help'.
    [exit 1]
    ");
}

#[test]
fn machines_are_listed_and_read_as_scripts_expect() {
    let sandbox = with(&["web10", "web9"]);
    assert_snapshot!(run(&sandbox, &["ls"]), @r"
    $ wharf docker-machine ls
    NAME    ACTIVE   DRIVER   STATE     URL                    SWARM   DOCKER    ERRORS
    web9    -        none     Running   tcp://192.0.2.9:2376           Unknown
    web10   -        none     Running   tcp://192.0.2.9:2376           Unknown
    ");
    assert_snapshot!(run(&sandbox, &["ls", "-q", "--filter", "driver=none", "--filter", "name=10"]), @r"
    $ wharf docker-machine ls -q --filter driver=none --filter name=10
    web10
    ");
    assert_snapshot!(run(&sandbox, &["ls", "--format", "{{.Name}}: {{.DriverName}}"]), @r"
    $ wharf docker-machine ls --format {{.Name}}: {{.DriverName}}
    web9: none
    web10: none
    ");
    assert_snapshot!(run(&sandbox, &["url", "web9"]), @r"
    $ wharf docker-machine url web9
    tcp://192.0.2.9:2376
    ");
    assert_snapshot!(run(&sandbox, &["inspect", "-f", "{{.Driver.IPAddress}} {{.DriverName}}", "web9"]), @r"
    $ wharf docker-machine inspect -f {{.Driver.IPAddress}} {{.DriverName}} web9
    192.0.2.9 none
    ");
    let whole: serde_json::Value = serde_json::from_str(&run(&sandbox, &["inspect", "web9"]).stdout).unwrap();
    assert_eq!((&whole["ConfigVersion"], &whole["Name"]), (&3.into(), &"web9".into()));
    assert_snapshot!(run(&sandbox, &["--version"]), @r"
    $ wharf docker-machine --version
    docker-machine version 0.16.2, build wharf-0.1.0
    ");
}

#[test]
fn a_removal_is_asked_about_whoever_answers() {
    let sandbox = with(&["web"]);
    assert_snapshot!(sandbox.docker_machine(&["rm", "web"], "n\n"), @r"
    $ wharf docker-machine rm web
    ! About to remove web
    ! WARNING: This action will delete both local reference and remote instance.
    ! Are you sure? (y/n): nothing was removed
    [exit 1]
    ");
    assert_snapshot!(sandbox.docker_machine(&["rm", "web"], "y\n"), @r"
    $ wharf docker-machine rm web
    ! About to remove web
    ! WARNING: This action will delete both local reference and remote instance.
    ! Are you sure? (y/n): web: finding out what an earlier command left
    ! web: removing it
    ! web: remove web-ID-address
    ! Successfully removed web
    ");
    assert_snapshot!(run(&sandbox, &["ls", "-q"]), @r"
    $ wharf docker-machine ls -q
    ");
}

#[test]
fn power_and_addresses_are_as_they_were() {
    let sandbox = Sandbox::new().env("MACHINE_DRIVER", "memory");
    assert_eq!(run(&sandbox, &["create", "default"]).code, 0);
    assert_snapshot!(run(&sandbox, &["ip"]), @r"
    $ wharf docker-machine ip
    192.0.2.7
    ");
    assert_snapshot!(run(&sandbox, &["stop"]), @r"
    $ wharf docker-machine stop
    ! default: stopping it
    ! default: stopped (N s)
    ");
    for command in ["ip", "url", "env", "config"] {
        let ended = run(&sandbox, &[command]);
        assert_eq!((ended.code, ended.stderr.as_str()), (1, "Host is not running\n"), "{ended}");
    }
    assert_snapshot!(run(&sandbox, &["status"]), @r"
    $ wharf docker-machine status
    Stopped
    ");
    assert_snapshot!(run(&sandbox, &["start"]), @r"
    $ wharf docker-machine start
    ! default: starting it
    ! default: waiting for its address
    ! default: started (N s)
    ! Started machines may have new IP addresses. You may need to re-run the `docker-machine env` command.
    ");
    assert_snapshot!(run(&sandbox, &["env", "--shell", "bash"]), @r#"
    $ wharf docker-machine env --shell bash
    export DOCKER_TLS_VERIFY="1"
    export DOCKER_HOST="tcp://192.0.2.7:2376"
    export DOCKER_CERT_PATH="HOME/.local/share/wharf/machines/default"
    export DOCKER_MACHINE_NAME="default"
    # Run this command to configure your shell: 
    # eval $(wharf docker-machine env --shell bash)
    "#);
    assert_snapshot!(run(&sandbox, &["env", "-u"]), @r"
    $ wharf docker-machine env -u
    unset DOCKER_TLS_VERIFY
    unset DOCKER_HOST
    unset DOCKER_CERT_PATH
    unset DOCKER_MACHINE_NAME
    # Run this command to configure your shell: 
    # eval $(wharf docker-machine env -u)
    ");
}

#[test]
fn a_check_before_a_create_that_refuses_ends_with_three() {
    let sandbox = Sandbox::new();
    assert_snapshot!(run(&sandbox, &["create", "-d", "memory", "--memory-fails", "quota", "web"]), @r"
    $ wharf docker-machine create -d memory --memory-fails quota web
    ! web: checking what can be checked beforehand
    ! region: memory-1
    ! no machine of this size is left
    [exit 3]
    ");
    assert_snapshot!(run(&sandbox, &["create", "-d", "memory", "--memory-fails", "boot", "web"]), @r"
    $ wharf docker-machine create -d memory --memory-fails boot web
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 1
    ! console: no
    ! disk
    ! boot a machine of size 1: the machine does not boot
    [exit 1]
    ");
    assert_snapshot!(run(&sandbox, &["create", "-d", "memory", "--swarm", "--swarm-discovery", "token://x", "web2"]), @r"
    $ wharf docker-machine create -d memory --swarm --swarm-discovery token://x web2
    ! the standalone Swarm that the --swarm flags set up is not developed any more
    [exit 1]
    ");
}
