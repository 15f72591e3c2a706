//! `wharf plan`, `apply`, `destroy` and `schema`.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

const SHOP: &str = "\
fleet: shop
defaults:
  driver: memory
  options: { size: 2 }
machines:
  web-{1..2}:
    labels: { role: web }
    engine: { environment: [NO_PROXY=localhost] }
  db:
    options: { size: 4 }
";

fn with(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("fleet.yaml", file);
    sandbox
}

fn applied() -> Sandbox {
    let sandbox = with(SHOP);
    let ended = sandbox.run(&["apply", "--yes"]);
    assert_eq!(ended.code, 0, "{ended}");
    sandbox
}

#[test]
fn a_fleet_is_planned_applied_and_destroyed() {
    let sandbox = with(SHOP);
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    MACHINE   DRIVER   CHANGE   WHY
    web-1     memory   create
    web-2     memory   create
    db        memory   create
    ! fleet shop: 3 to create
    [exit 11]
    ");
    let made = sandbox.run(&["apply", "--yes"]);
    assert_eq!(made.code, 0, "{made}");
    let ready = made.stderr.lines().filter(|line| line.contains("made in")).count();
    assert_eq!(ready, 3, "{made}");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    ! fleet shop: 3 as they should be
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q"]), @r"
    $ wharf ls -q
    db
    web-1
    web-2
    ");
    assert_snapshot!(sandbox.run(&["apply"]), @r"
    $ wharf apply
    ! fleet shop: 3 as they should be
    ");
    let gone = sandbox.run(&["destroy", "--yes"]);
    assert_eq!(gone.code, 0, "{gone}");
    assert_snapshot!(sandbox.run(&["ls", "-q"]), @"$ wharf ls -q");
    assert_snapshot!(sandbox.run(&["destroy"]), @r"
    $ wharf destroy
    ! fleet shop: no machines
    ");
}

#[test]
fn what_changed_in_the_file_is_changed() {
    let sandbox = applied();
    let changed =
        SHOP.replace("size: 4", "size: 8").replace("role: web", "role: front").replace("1..2", "2..3");
    sandbox.write("fleet.yaml", &changed);
    assert_snapshot!(sandbox.run(&["plan"]), @r#"
    $ wharf plan
    MACHINE   DRIVER   CHANGE      WHY
    web-2     memory   configure   labels: ["role=web"] → ["role=front"]
    web-3     memory   create
    db        memory   replace     size: 4 → 8
    web-1     memory   remove      it is not declared any more
    ! fleet shop: 1 to create, 1 to replace, 1 to configure, 1 to remove
    [exit 11]
    "#);
    assert_snapshot!(sandbox.run(&["apply", "--yes"]), @r"
    $ wharf apply --yes
    ! error: db can become what is wanted only by being made again
    !   db: size: 4 → 8
    ! hint: --replace does that, and everything on them is gone; --target leaves them out
    [exit 3]
    ");
    let done = sandbox.run(&["apply", "--yes", "--replace"]);
    assert_eq!(done.code, 0, "{done}");
    assert_eq!(sandbox.run(&["plan"]).code, 0);
    assert_eq!(sandbox.run(&["ls", "-q"]).stdout, "db\nweb-2\nweb-3\n");
}

#[test]
fn a_context_that_a_killed_apply_left_unwritten_is_written_by_the_next() {
    let sandbox = applied();
    let contexts = sandbox.home().join(".docker/contexts");
    let names = || std::fs::read_dir(contexts.join("meta")).map_or(0, Iterator::count);
    let whole = names();
    assert!(whole > 1);
    std::fs::remove_dir_all(&contexts).unwrap();
    let shown = sandbox.run(&["apply", "--yes"]);
    assert_eq!(
        shown.stderr.matches("its docker context was missing, and is there now").count(),
        whole,
        "{shown}"
    );
    assert_eq!(names(), whole);
    assert!(!sandbox.run(&["apply", "--yes"]).stderr.contains("missing"));
}

#[test]
fn targets_leave_the_others_out() {
    let sandbox = with(SHOP);
    let ended = sandbox.run(&["apply", "--yes", "--target", "web-{1..2}"]);
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(sandbox.run(&["ls", "-q"]).stdout, "web-1\nweb-2\n");
    assert_snapshot!(sandbox.run(&["plan", "--target", "bd"]), @r"
    $ wharf plan --target bd
    ! error: the fleet has no machine `bd`
    ! hint: did you mean `db`?
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["destroy", "--yes", "--target", "web-{1..9}"]), @r"
    $ wharf destroy --yes --target web-{1..9}
    ! error: the fleet has no machine `web-3`
    ! hint: did you mean `web-1`?
    [exit 2]
    ");
}

#[test]
fn nobody_is_asked_where_nobody_sits() {
    let sandbox = with(SHOP);
    assert_snapshot!(sandbox.run(&["apply"]), @r"
    $ wharf apply
    MACHINE   DRIVER   CHANGE   WHY
    web-1     memory   create
    web-2     memory   create
    db        memory   create
    ! fleet shop: 3 to create
    ! error: nobody is there to confirm this
    ! hint: --yes goes on without asking
    [exit 2]
    ");
    let said_no = sandbox.answer(&["apply"], "n\n");
    assert_eq!(said_no.code, 1, "{said_no}");
    assert_eq!(sandbox.run(&["ls", "-q"]).stdout, "");
    let said_yes = sandbox.answer(&["apply"], "y\n");
    assert_eq!(said_yes.code, 0, "{said_yes}");
    assert_snapshot!(sandbox.run(&["destroy", "--fleet", "shop"]), @r"
    $ wharf destroy --fleet shop
    MACHINE   DRIVER   CHANGE   WHY
    db        memory   remove
    web-1     memory   remove
    web-2     memory   remove
    ! fleet shop: 3 to remove
    ! error: nobody is there to confirm this
    ! hint: --yes goes on without asking
    [exit 2]
    ");
    let gone = sandbox.answer(&["destroy", "--fleet", "shop"], "y\n");
    assert_eq!(gone.code, 0, "{gone}");
}

#[test]
fn a_failure_stops_what_is_not_begun() {
    let sandbox = with("fleet: x\nmachines:\n  a: { labels: [host=unreachable] }\n  b:\n  c:\n");
    assert_snapshot!(sandbox.run(&["apply", "--yes", "--parallel", "1"]), @r"
    $ wharf apply --yes --parallel 1
    MACHINE   DRIVER   CHANGE   WHY
    a         memory   create
    b         memory   create
    c         memory   create
    ! fleet x: 3 to create
    ! a: checking what can be checked beforehand
    ! a: making the machine
    ! a: boot a machine of size 1
    ! a: waiting for its address
    ! a: bringing the agent to it
    ! error: a: 192.0.2.7 port 22: connection timed out
    ! hint: `wharf create a` again continues, `wharf rm a` removes what there is
    ! not begun: b, c
    [exit 5]
    ");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    MACHINE   DRIVER   CHANGE   WHY
    a         memory   finish   its create was cut off
    b         memory   create
    c         memory   create
    ! fleet x: 2 to create, 1 to finish
    [exit 11]
    ");
    let rest = sandbox.run(&["apply", "--yes", "--parallel", "1", "--keep-going"]);
    assert_eq!(rest.code, 10, "{rest}");
    assert_eq!(sandbox.run(&["ls", "-q"]).stdout, "a\nb\nc\n");
    let gone = sandbox.run(&["destroy", "--yes"]);
    assert_eq!(gone.code, 0, "{gone}");
}

#[test]
fn a_plan_is_held_to_and_a_stale_one_is_refused() {
    let sandbox = with(SHOP);
    let planned = sandbox.run(&["plan", "--out", "today.plan"]);
    assert_eq!(planned.code, 11, "{planned}");
    let ended = sandbox.run(&["apply", "--yes", "--plan", "today.plan"]);
    assert_eq!(ended.code, 0, "{ended}");
    assert_snapshot!(sandbox.run(&["apply", "--yes", "--plan", "today.plan"]), @r"
    $ wharf apply --yes --plan today.plan
    ! error: the plan is stale: since it was made, this changed: web-1, web-2, db
    ! hint: nothing was done; plan again, and look what is different
    [exit 3]
    ");
    sandbox.write("no.plan", "x");
    assert_snapshot!(sandbox.run(&["apply", "--yes", "--plan", "no.plan"]), @r"
    $ wharf apply --yes --plan no.plan
    ! error: `no.plan` is no plan of `wharf plan --out`: expected value at line 1 column 1
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
}

#[test]
fn what_is_wrong_is_shown_where_it_stands() {
    let sandbox = with(
        "\
fleet: shop
defaults:
  driver: memory
machines:
  web-{1..2}:
    options: { sise: 2 }
  db:
    options: { size: big, secret: hunter2 }
  far: { driver: moon }
  there: { cloud: stamp1 }
",
    );
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    ! error: fleet.yaml:6:16: driver `memory` has no option `sise`; did you mean `size`?
    !   6 |     options: { sise: 2 }
    !     |                ^^^^
    ! fleet.yaml:8:27: `secret` is a person's own and no fleet's: set it by MEMORY_SECRET or `wharf cloud add`
    ! fleet.yaml:9:18: there is no driver `moon`: the drivers of this build are memory, none
    !   9 |   far: { driver: moon }
    !     |                  ^^^^
    ! fleet.yaml:10:19: there is no cloud `stamp1`: `wharf cloud add URL` sets one up
    !   10 |   there: { cloud: stamp1 }
    !      |                   ^^^^^^
    ! hint: nothing was done; `wharf schema` prints what a fleet file holds, for editors, too
    [exit 2]
    ");
    sandbox.write("fleet.yaml", "fleet: shop\nmachines:\n  db: { driver: memory, options: { size: big } }\n");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    ! error: fleet.yaml:3:36: `size`: `big` is wrong: invalid digit found in string
    !   3 |   db: { driver: memory, options: { size: big } }
    !     |                                    ^^^^
    ! hint: nothing was done; `wharf schema` prints what a fleet file holds, for editors, too
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["plan", "-f", "none.yaml"]), @r"
    $ wharf plan -f none.yaml
    ! error: the fleet file `none.yaml` cannot be read: No such file or directory (os error 2)
    ! hint: -f FILE names another one; `wharf schema` says what stands in it
    [exit 2]
    ");
}

#[test]
fn programs_read_plans_as_json() {
    let sandbox = applied();
    sandbox.write("fleet.yaml", &SHOP.replace("role: web", "role: front"));
    let ended = sandbox.run(&["plan", "-o", "json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (11, ""));
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let changes = plan["changes"].as_array().unwrap();
    let deeds: Vec<String> = changes.iter().map(|change| change["deeds"].to_string()).collect();
    assert_eq!(deeds, [r#"["configure"]"#, r#"["configure"]"#, "[]"]);
    assert_eq!(changes[0]["because"][0], r#"labels: ["role=web"] → ["role=front"]"#);
    let schema: serde_json::Value = serde_json::from_str(&sandbox.run(&["schema"]).stdout).unwrap();
    let options = &schema["$defs"]["group"]["properties"]["options"]["properties"];
    assert_eq!(options["size"]["description"], "memory: how much of it");
    assert!(options.get("secret").is_none(), "a secret stands in no fleet file");
}

#[test]
fn a_machine_that_is_there_joins() {
    let sandbox = with("fleet: shop\nmachines:\n  web: { options: { allow-from: any } }\n");
    assert_eq!(sandbox.run(&["create", "web"]).code, 0);
    assert_snapshot!(sandbox.run(&["apply", "--yes"]), @r"
    $ wharf apply --yes
    MACHINE   DRIVER   CHANGE   WHY
    web       memory   adopt    it belongs to no fleet
    ! fleet shop: 1 to adopt
    ! web: adopted in N s
    ");
    assert_eq!(sandbox.run(&["plan"]).code, 0);
    sandbox.write("other.yaml", "fleet: other\nmachines:\n  web:\n");
    assert_snapshot!(sandbox.run(&["plan", "-f", "other.yaml"]), @r"
    $ wharf plan -f other.yaml
    ! fleet other: 1 of which nothing can be said
    ! error: web: machine `web` belongs to fleet `shop`
    ! hint: declare another name, or remove that one with `wharf rm web`
    [exit 3]
    ");
}

#[test]
fn authorities_of_registries_are_read_beside_the_file_and_changes_of_them_found() {
    let sandbox =
        with("fleet: x\nmachines:\n  web: { engine: { registry-ca: { \"reg:5000\": certs/reg.pem } } }\n");
    assert_snapshot!(sandbox.run(&["plan"]), @r#"
    $ wharf plan
    ! error: fleet.yaml:3:47: authority of the registry `reg:5000`, certs/reg.pem: No such file or directory (os error 2)
    !   3 |   web: { engine: { registry-ca: { "reg:5000": certs/reg.pem } } }
    !     |                                               ^^^^^^^^^^^^^
    ! hint: nothing was done; `wharf schema` prints what a fleet file holds, for editors, too
    [exit 2]
    "#);
    sandbox.write("certs/reg.pem", "no certificate");
    let said = sandbox.run(&["plan"]);
    assert_eq!(said.code, 2, "{said}");
    assert!(
        said.stderr.contains("fleet.yaml:3:47: ") && said.stderr.contains("there is no certificate in it"),
        "{said}"
    );
    let authority = |name: &str| {
        let now = time::macros::datetime!(2026-03-01 12:00 UTC);
        wharf_pki::Authority::generate(name, now).unwrap().certificate().pem().to_owned()
    };
    sandbox.write("certs/reg.pem", &authority("one"));
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["plan"]).code, 0);
    sandbox.write("certs/reg.pem", &authority("another"));
    let said = sandbox.run(&["plan"]);
    assert_eq!(said.code, 11, "{said}");
    assert!(said.stdout.contains("configure   registry-ca of reg:5000: "), "{said}");
    assert!(!said.stdout.contains("BEGIN CERTIFICATE"), "{said}");
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["plan"]).code, 0);
    let read = sandbox.run(&["inspect", "web"]).stdout;
    let read: serde_json::Value = serde_json::from_str(&read).unwrap();
    assert!(read["options"]["registry_authorities"]["reg:5000"].as_str().unwrap().starts_with("-----BEGIN"));
}
