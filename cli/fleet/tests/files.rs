//! Fleet files as people write them, right and wrong.
#![expect(clippy::unwrap_used, reason = "all of this is a test")]

use wharf_fleet::{Fleet, Mistakes, Source, read};

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn variable(name: &str) -> Option<String> {
    match name {
        "SIZE" => Some("Standard_B4ms".to_owned()),
        "EMPTY" => Some(String::new()),
        "SECRET" => Some("hunter2".to_owned()),
        _ => None,
    }
}

fn fleet(files: &[&str]) -> Result<Fleet, Mistakes> {
    let name = |index: usize| if index == 0 { "fleet.yaml".to_owned() } else { format!("over{index}.yaml") };
    read(files.iter().enumerate().map(|(index, text)| source(&name(index), text)).collect(), &variable)
}

fn wrong(files: &[&str]) -> String {
    fleet(files).unwrap_err().to_string()
}

fn options(fleet: &Fleet, machine: &str) -> Vec<String> {
    let declared = fleet.machines.iter().find(|declared| declared.name.as_str() == machine).unwrap();
    let values =
        declared.wish.options.iter().flat_map(|(key, values)| {
            values.iter().map(move |value| format!("{}={}", key.value, value.value))
        });
    values.collect()
}

const SHOP: &str = "\
fleet: shop
env: [SIZE, EMPTY]
defaults:
  driver: azure
  options:
    size: ${SIZE:-Standard_B2s}
    open-port: [80, 443]
  labels: { team: shop }
machines:
  web-{1..2}:
    labels: { role: web, version: 1.10 }
    engine: { environment: { NO_PROXY: localhost } }
  db:
    options:
      disk-size: 0100
      size: ${EMPTY:-big}
  plain:
";

#[test]
fn groups_are_laid_over_the_defaults() {
    let fleet = fleet(&[SHOP]).unwrap();
    assert_eq!(fleet.name.value, "shop");
    let names: Vec<&str> = fleet.machines.iter().map(|declared| declared.name.as_str()).collect();
    assert_eq!(names, ["web-1", "web-2", "db", "plain"]);
    assert_eq!(options(&fleet, "web-2"), ["size=Standard_B4ms", "open-port=80", "open-port=443"]);
    assert_eq!(options(&fleet, "db"), ["size=big", "open-port=80", "open-port=443", "disk-size=0100"]);
    let labels: Vec<&str> = fleet.machines[0].wish.labels.iter().map(|label| label.value.as_str()).collect();
    assert_eq!(labels, ["team=shop", "role=web", "version=1.10"]);
    assert_eq!(fleet.machines[0].wish.environment[0].value, "NO_PROXY=localhost");
    assert_eq!(fleet.machines[3].wish.driver.as_ref().unwrap().value, "azure");
}

#[test]
fn a_further_file_changes_adds_and_takes_away() {
    let stamp = "\
defaults:
  cloud: stamp1
  driver: null
  options: { open-port: 22 }
machines:
  db: null
  web-{1..2}: { bootstrap: false }
";
    let fleet = fleet(&[SHOP, stamp]).unwrap();
    let names: Vec<&str> = fleet.machines.iter().map(|declared| declared.name.as_str()).collect();
    assert_eq!(names, ["web-1", "web-2", "plain"]);
    assert_eq!(options(&fleet, "web-1"), ["size=Standard_B4ms", "open-port=22"]);
    let web = &fleet.machines[0].wish;
    assert!(web.bare && web.driver.is_none());
    assert_eq!(web.cloud.as_ref().unwrap().value, "stamp1");
}

#[test]
fn only_variables_on_the_files_own_list_are_read() {
    let sneaky = "fleet: x\nenv: [SIZE]\nmachines:\n  a: { labels: { stolen: \"${SECRET}\" } }\n";
    insta::assert_snapshot!(wrong(&[sneaky]), @r#"
    fleet.yaml:4:26: the variable `SECRET` is not on this file's `env` list
      4 |   a: { labels: { stolen: "${SECRET}" } }
        |                          ^^^^^^^^^^^
    "#);
    // Another file's list opens nothing.
    let over = "env: [SECRET]\n";
    assert!(wrong(&[sneaky, over]).contains("not on this file's `env` list"));
    let dollars = "fleet: x\nmachines:\n  a: { labels: { price: \"$$5 and $6\" } }\n";
    assert_eq!(fleet(&[dollars]).unwrap().machines[0].wish.labels[0].value, "price=$5 and $6");
}

const HOOKS: &str = "\
fleet: shop
env: [SIZE, SECRET]
defaults:
  join:
    register: { on: here, run: 'echo ${SIZE} $SECRET $$', env: [SECRET], timeout: \"${SIZE:-5m}\" }
machines:
  web:
    join:
      warm: { on: machine, run: warm.sh }
      register: { timeout: 90s }
  plain:
    join: null
";

#[test]
fn hooks_are_laid_over_each_other_and_nothing_is_put_into_what_they_run() {
    let fleet = fleet(&[HOOKS]).unwrap();
    let hooks = &fleet.machines[0].wish.hooks;
    let names: Vec<&str> = hooks.iter().map(|hook| hook.name.value.as_str()).collect();
    assert_eq!(names, ["register", "warm"]);
    assert_eq!(hooks[0].run.value, "echo ${SIZE} $SECRET $$");
    assert_eq!(hooks[0].timeout.as_ref().unwrap().value, "90s");
    assert_eq!(hooks[0].env[0].value, "SECRET");
    assert_eq!((hooks[0].on, hooks[1].on), (wharf_fleet::On::Here, wharf_fleet::On::Machine));
    assert!(fleet.machines[1].wish.hooks.is_empty());
}

#[test]
fn a_hook_gets_only_what_the_files_own_list_names_and_says_where_it_runs() {
    let text = "\
fleet: x
env: [SIZE]
machines:
  a:
    join:
      stolen: { on: here, run: env, env: [SIZE, SECRET] }
      nowhere: { run: x }
      wrong: { on: moon, run: [x], evn: SIZE }
      \"a b\": { on: machine }
      empty:
";
    insta::assert_snapshot!(wrong(&[text]), @r#"
    fleet.yaml:6:49: the variable `SECRET` is not on this file's `env` list
      6 |       stolen: { on: here, run: env, env: [SIZE, SECRET] }
        |                                                 ^^^^^^
    fleet.yaml:7:7: say where `nowhere` runs: `on: here` or `on: machine`
      7 |       nowhere: { run: x }
        |       ^^^^^^^
    fleet.yaml:8:7: say what `wrong` runs: `run: COMMAND`
      8 |       wrong: { on: moon, run: [x], evn: SIZE }
        |       ^^^^^
    fleet.yaml:8:20: say where `wrong` runs: `on: here` or `on: machine`
      8 |       wrong: { on: moon, run: [x], evn: SIZE }
        |                    ^^^^
    fleet.yaml:8:31: `run` should be one value, and is a list
      8 |       wrong: { on: moon, run: [x], evn: SIZE }
        |                               ^
    fleet.yaml:8:36: there is no key `evn` here; did you mean `env`?
      8 |       wrong: { on: moon, run: [x], evn: SIZE }
        |                                    ^^^
    fleet.yaml:9:7: `a b` is no name for a hook: letters, digits, `-`, `_`, `.`
      9 |       "a b": { on: machine }
        |       ^^^^^
    fleet.yaml:9:7: say what `a b` runs: `run: COMMAND`
      9 |       "a b": { on: machine }
        |       ^^^^^
    fleet.yaml:10:12: a hook should be a map of keys and values, and is nothing
      10 |       empty:
         |            ^
    "#);
    assert!(wrong(&[text, "env: [SECRET]\n"]).contains("`SECRET` is not on this file's `env` list"));
}

#[test]
fn every_mistake_is_shown_with_its_place() {
    let text = "\
flet: shop
env: [SIZE, \"A B\"]
defaults:
  drivr: azure
  bootstrap: maybe
machines:
  web-{1..}:
    options: [a]
  web:
    engine: { mirrors: [x], options: }
    labels: [role]
    cloud: ${MISSING}
  web: {}
";
    insta::assert_snapshot!(wrong(&[&text.replace("  web: {}\n", "")]));
    insta::assert_snapshot!(wrong(&[text]), @r#"
    fleet.yaml:13:3: duplicate mapping key: web
      13 |   web: {}
         |   ^^^
    "#);
}

#[test]
fn what_is_no_yaml_or_nothing_is_said_so() {
    insta::assert_snapshot!(wrong(&["fleet: [x\nmachines:\n"]), @r#"
    fleet.yaml:2:9: illegal placement of ':' indicator
      2 | machines:
        |         ^
    "#);
    insta::assert_snapshot!(wrong(&["# nothing\n"]), @"fleet.yaml: there is nothing in it");
    insta::assert_snapshot!(wrong(&["- a\n"]), @r#"
    fleet.yaml:1:1: the file should be a map of keys and values, and is a list
      1 | - a
        | ^
    "#);
    insta::assert_snapshot!(wrong(&["fleet: x\nmachines:\n  a: {}\n  \"{a,b}\": {}\n"]), @r#"
    fleet.yaml:4:3: `a` is declared in line 3 already
      4 |   "{a,b}": {}
        |   ^^^^^^^
    "#);
    insta::assert_snapshot!(wrong(&["fleet: x\nmachines:\n  a b: {}\n"]), @r#"
    fleet.yaml:3:3: machine name "a b" contains ' ' at position 2
      3 |   a b: {}
        |   ^^^
    "#);
    let unset = "\
fleet: x
env: [GONE, EMPTY]
machines:
  a: { cloud: \"${GONE:?name the stamp}\" }
  b: { cloud: \"${EMPTY}\" }
";
    insta::assert_snapshot!(wrong(&[unset]), @r#"
    fleet.yaml:4:15: `GONE` is not set: name the stamp
      4 |   a: { cloud: "${GONE:?name the stamp}" }
        |               ^^^^^^^^^^^^^^^^^^^^^^^^^
    fleet.yaml:5:15: the variable `EMPTY` is not set
      5 |   b: { cloud: "${EMPTY}" }
        |               ^^^^^^^^^^
    "#);
}

#[test]
fn the_schema_names_every_key() {
    let option = wharf_fleet::SchemaOption {
        name: "size".to_owned(),
        driver: "azure".to_owned(),
        help: "the size".to_owned(),
        many: false,
        switch: false,
    };
    let schema = wharf_fleet::schema(&["azure".to_owned()], &[option]);
    let group = &schema["$defs"]["group"]["properties"];
    assert_eq!(group["options"]["properties"]["size"]["description"], "azure: the size");
    assert_eq!(group.as_object().unwrap().len(), 9);
    let hook = &group["join"]["additionalProperties"];
    assert_eq!(hook["properties"]["on"]["enum"][1], "machine");
    assert!(group["engine"]["properties"]["registry-ca"]["description"].is_string());
    assert_eq!(schema["properties"].as_object().unwrap().len(), 5);
}
