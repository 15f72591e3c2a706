//! What is left in clouds, as `wharf gc` shows and removes it.

use insta::assert_snapshot;

use crate::fake::{leave, let_hours_pass};
use crate::sandbox::Sandbox;

/// Somebody with machines in a place of their own, who knows its secret.
fn somebody(place: &str, machines: &[&str]) -> Sandbox {
    let secret: String = place.chars().rev().collect();
    let sandbox = Sandbox::new().env("MEMORY_SECRET", &secret);
    for machine in machines {
        let ended = sandbox.run(&["create", "--memory-place", place, machine]);
        assert_eq!(ended.code, 0, "{ended}");
    }
    sandbox
}

/// Loses the journal of a machine.
fn lose(sandbox: &Sandbox, machine: &str) {
    std::fs::remove_dir_all(sandbox.store().join("machines").join(machine)).unwrap();
}

#[test]
fn what_no_journal_names_is_shown_and_then_removed() {
    let sandbox = somebody("gc1", &["web1", "web2"]);
    lose(&sandbox, "web2");
    let young = sandbox.run(&["gc", "--yes"]).stdout;
    assert!(young.contains("keep   it is younger than an hour"), "{young}");
    let_hours_pass("gc1", 3);
    assert_snapshot!(sandbox.run(&["gc"]), @r"
    $ wharf gc
    DRIVER   STORE              MACHINE   WHAT      NAME               AGE   FATE     BECAUSE
    memory   5702e5702e5702e5   web2      machine   web2-ID-vm   3 h   remove   no journal names it
    ! nothing was removed: --yes removes what says `remove`, which is 1 in all
    ");
    assert_snapshot!(sandbox.run(&["gc", "--yes"]), @r"
    $ wharf gc --yes
    DRIVER   STORE              MACHINE   WHAT      NAME               AGE   FATE      BECAUSE
    memory   5702e5702e5702e5   web2      machine   web2-ID-vm   3 h   removed   no journal names it
    ! web2: remove the machine web2-ID-vm
    ");
    assert_snapshot!(sandbox.run(&["gc"]), @r"
    $ wharf gc
    ! nothing is left over
    ");
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE     URL                    DOCKER   ERRORS
    web1   -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    ");
}

#[test]
fn what_others_left_is_listed_and_stays_unless_their_store_is_named() {
    let (ann, bob) = (somebody("gc2", &["web1"]), somebody("gc2", &["web1"]));
    leave("gc2", "old1");
    let_hours_pass("gc2", 70);
    assert_snapshot!(ann.run(&["gc", "--yes"]), @r"
    $ wharf gc --yes
    DRIVER   STORE              MACHINE   WHAT      NAME               AGE   FATE   BECAUSE
    memory                                machine   old1                     keep   docker-machine gives such names; nothing else says whose it is
    memory   5702e5702e5702e5   web1      machine   web1-ID-vm   2 d   keep   it is of store 5702e5702e5702e5
    ");
    let id = std::fs::read_to_string(bob.store().join("store.json")).unwrap();
    let id: serde_json::Value = serde_json::from_str(&id).unwrap();
    std::fs::remove_dir_all(bob.store()).unwrap();
    let lost = id["id"].as_str().unwrap();
    assert_snapshot!(ann.run(&["gc", "--store-id", lost]).stdout, @r"
    DRIVER   STORE              MACHINE   WHAT      NAME               AGE   FATE     BECAUSE
    memory   5702e5702e5702e5   web1      machine   web1-ID-vm   2 d   remove   it is of store 5702e5702e5702e5, which was named
    memory                                machine   old1                     keep     docker-machine gives such names; nothing else says whose it is
    ");
    let ended = ann.run(&["gc", "--store-id", lost, "--yes"]);
    assert_eq!(ended.code, 0, "{ended}");
    let rows: serde_json::Value = serde_json::from_str(&ann.run(&["gc", "-o", "json"]).stdout).unwrap();
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["old1"], "{rows}");
    assert_eq!(ann.run(&["status", "web1"]).stdout, "Running\n");
}

#[test]
fn where_to_look_is_said_or_follows_from_machines_and_clouds() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["gc"]), @r"
    $ wharf gc
    ! there is nowhere to look: this store has no machines, and no cloud was set up
    ! name a place with --driver or --cloud
    ");
    assert_snapshot!(sandbox.run(&["gc", "--memory-place", "gc3"]), @r"
    $ wharf gc --memory-place gc3
    ! error: the options of a driver say where to look, and no driver is named
    ! hint: add --driver
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["gc", "--driver", "memory", "--memory-place", "gc3"]), @r"
    $ wharf gc --driver memory --memory-place gc3
    ! error: memory: gc3 does not know nobody
    ! hint: sign in to it
    [exit 7]
    ");
    assert_snapshot!(sandbox.run(&["gc", "--store-id", "ours"]), @r"
    $ wharf gc --store-id ours
    ! error: `ours` is no store's id: those have sixteen hex digits
    ! hint: `wharf gc` lists what other stores left, with their ids
    [exit 2]
    ");
}

#[test]
fn a_machine_that_is_wanted_for_a_time_says_so_and_goes_when_that_is_over() {
    let sandbox = somebody("gc4", &["lasting"]);
    assert_snapshot!(sandbox.run(&["create", "--memory-place", "gc4", "--ttl", "4h", "brief"]), @r#"
    $ wharf create --memory-place gc4 --ttl 4h brief
    ! brief: checking what can be checked beforehand
    ! brief: making the machine
    ! brief: boot a machine of size 1
    ! brief: waiting for its address
    ! brief: bringing the agent to it
    ! brief: uploading the agent
    ! brief: ready in N s
    !
    ! Use it from any terminal:  docker --context brief run --rm hello-world
    ! or make this one's default: eval "$(wharf env brief)"
    "#);
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME      ACTIVE   DRIVER   STATE     URL                    DOCKER   ENDS     ERRORS
    brief     -        memory   Running   tcp://192.0.2.7:2376   v0.1.0   in 4 h
    lasting   -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    ");
    let inspected: serde_json::Value =
        serde_json::from_str(&sandbox.run(&["inspect", "brief"]).stdout).unwrap();
    assert!(inspected["summary"]["expires"].as_u64().unwrap() > 1_700_000_000, "{inspected}");
    let_hours_pass("gc4", 3);
    assert_snapshot!(sandbox.run(&["gc"]), @r"
    $ wharf gc
    ! nothing is left over
    ");
    let_hours_pass("gc4", 3);
    assert_snapshot!(sandbox.run(&["gc"]), @r"
    $ wharf gc
    DRIVER   STORE              MACHINE   WHAT      NAME    AGE   FATE     BECAUSE
    memory   5702e5702e5702e5   brief     machine   brief         remove   its time has been over for 2 h
    ! nothing was removed: --yes removes what says `remove`, which is 1 in all
    ");
    assert_snapshot!(sandbox.run(&["gc", "--yes"]), @r"
    $ wharf gc --yes
    DRIVER   STORE              MACHINE   WHAT      NAME    AGE   FATE      BECAUSE
    memory   5702e5702e5702e5   brief     machine   brief         removed   its time has been over for 2 h
    ! brief: finding out what an earlier command left
    ! brief: removing it
    ! brief: remove brief-ID-vm
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q"]), @r"
    $ wharf ls -q
    lasting
    ");
}

#[test]
fn how_long_a_machine_is_wanted_for_is_checked_first() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["create", "--ttl", "4", "web"]), @r"
    $ wharf create --ttl 4 web
    ! error: `4` is no time that a machine lives: write 90m, 4h or 7d, a minute at least and a year at most
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
    let none = ["create", "--driver", "none", "--url", "tcp://192.0.2.9:2376", "--ttl", "4h", "web"];
    assert_snapshot!(sandbox.run(&none), @r"
    $ wharf create --driver none --url tcp://192.0.2.9:2376 --ttl 4h web
    ! web: checking what can be checked beforehand
    ! error: driver `none` looks after nothing that could end
    ! hint: leave --ttl out
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["create", "--ttl", "4h", "--no-bootstrap", "web"]), @r"
    $ wharf create --ttl 4h --no-bootstrap web
    ! web: checking what can be checked beforehand
    ! warning: web: nothing on it ends it: when its time is over, `wharf gc --yes` removes it
    ! web: making the machine
    ! web: boot a machine of size 1
    ! web: waiting for its address
    ! web: ready in N s
    !
    ! It has no engine: `wharf provision web` brings it, `wharf ssh web` signs in
    ");
    sandbox.write("fleet.yaml", "fleet: f\nmachines:\n  web-1: { driver: memory, ttl: soon }\n");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    ! error: fleet.yaml:3:3: `soon` is no time that a machine lives: write 90m, 4h or 7d, a minute at least and a year at most
    !   3 |   web-1: { driver: memory, ttl: soon }
    !     |   ^^^^^
    ! hint: nothing was done; `wharf schema` prints what a fleet file holds, for editors, too
    [exit 2]
    ");
    sandbox.write("fleet.yaml", "fleet: f\nmachines:\n  web-1: { driver: memory, ttl: 2d }\n");
    sandbox.run(&["apply", "--yes"]);
    let rows: serde_json::Value = serde_json::from_str(&sandbox.run(&["ls", "-o", "json"]).stdout).unwrap();
    assert!(rows[1]["expires"].is_u64() && rows[1]["name"] == "web-1", "{rows}");
}
