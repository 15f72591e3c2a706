//! `adopt`: the plan first, then a question, then what `create` does.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

/// Nobody answers there.
const HOST: [&str; 4] = ["--ssh-address", "127.0.0.1", "--ssh-port", "1"];

fn adopt<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["adopt", "rack"], &HOST[..], more].concat()
}

#[test]
fn a_host_is_taken_over_once_somebody_agreed() {
    let sandbox = Sandbox::new().and_hosts();
    assert_snapshot!(sandbox.run(&adopt(&[])), @r"
    $ wharf adopt rack --ssh-address 127.0.0.1 --ssh-port 1
    ! error: nobody is there to agree to what would be done
    ! hint: --dry-run shows it, --yes agrees to it beforehand
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&adopt(&["--dry-run"])), @r"
    $ wharf adopt rack --ssh-address 127.0.0.1 --ssh-port 1 --dry-run
    MACHINE   PART     STEP    WHAT
    rack      driver   adopt   take over the host root@127.0.0.1:1, changing nothing on it
    ! rack: checking what can be checked beforehand
    ! nothing was done: this is what `adopt` would do
    ");
    assert_snapshot!(sandbox.answer(&adopt(&[]), "n\n"), @r"
    $ wharf adopt rack --ssh-address 127.0.0.1 --ssh-port 1
    MACHINE   PART     STEP    WHAT
    rack      driver   adopt   take over the host root@127.0.0.1:1, changing nothing on it
    ! This is what will be done, and nothing else on the host is changed. Go on? [y/N] error: nothing was done
    ! hint: answer `y`, or give --yes
    [exit 3]
    ");
    assert_eq!(sandbox.run(&["ls", "-q"]).stdout, "", "whatever was shown, nothing was begun");
    let adopted = sandbox.answer(&adopt(&[]), "y\n");
    assert_eq!(adopted.code, 0, "{adopted}");
    assert!(
        adopted.stdout.contains("take over the host") && adopted.stderr.contains("rack: ready in"),
        "{adopted}"
    );
    assert_snapshot!(sandbox.run(&adopt(&["--yes"])), @r"
    $ wharf adopt rack --ssh-address 127.0.0.1 --ssh-port 1 --yes
    ! error: there is a machine `rack` already
    ! hint: choose another name, or remove it with `wharf rm rack`
    [exit 3]
    ");
}

#[test]
fn a_script_agrees_beforehand() {
    let sandbox = Sandbox::new().and_hosts();
    let adopted = sandbox.run(&adopt(&["--yes", "-o", "json"]));
    assert_eq!(adopted.code, 0, "{adopted}");
    let made: serde_json::Value = serde_json::from_str(&adopted.stdout).unwrap();
    assert_eq!((made["name"].as_str(), made["driver"].as_str()), (Some("rack"), Some("ssh")));
}

#[test]
fn only_hosts_that_exist_are_adopted() {
    let sandbox = Sandbox::new().and_hosts();
    assert_snapshot!(sandbox.run(&["adopt", "web", "--driver", "memory", "--yes"]), @r"
    $ wharf adopt web --driver memory --yes
    ! error: driver `memory` takes over no host that exists: it makes machines
    ! hint: `wharf create` makes them; leave --driver out to adopt a host
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["adopt", "rack", "--yes"]), @r"
    $ wharf adopt rack --yes
    ! error: --ssh-address: is missing: say where the host is
    ! hint: `wharf create --help` lists what driver `ssh` takes
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["adopt", "rack", "--memory-size", "4"]), @r"
    $ wharf adopt rack --memory-size 4
    ! error: unexpected argument '--memory-size' found
    !
    !   tip: to pass '--memory-size' as a value, use '-- --memory-size'
    !
    ! Usage: wharf adopt <NAME>...
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}
