//! What jobs read: events, log groups and reports.

use insta::assert_snapshot;
use serde_json::Value;

use crate::sandbox::Sandbox;

const FLEET: &str = "\
fleet: shop
machines:
  web-1: { driver: memory }
  web-2: { driver: memory, options: { fails: boot } }
";

fn fleet() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("fleet.yaml", FLEET);
    sandbox
}

#[test]
fn events_are_one_object_a_line() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["create", "--events", "json", "web"]);
    let events: Vec<Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<String> = events
        .iter()
        .map(|event| {
            assert!(event["at"].as_u64().unwrap() > 1_700_000_000_000, "{event}");
            let detail = ["phase", "state"].iter().find_map(|key| event[key].as_str()).unwrap_or_default();
            format!("{} {detail}", event["event"].as_str().unwrap()).trim_end().to_owned()
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "phase checking",
            "phase making",
            "step started",
            "step done",
            "phase addressing",
            "phase bootstrapping",
            "doing",
            "end",
            "note",
            "note",
            "note"
        ],
        "{ended}"
    );
    assert!(events[..8].iter().all(|event| event["machine"] == "web"), "{ended}");
    let failed = sandbox.run(&["create", "--events", "json", "--memory-fails", "quota", "db"]);
    let last: Value = serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["code"]), (&"error".into(), &8.into()), "{failed}");
    assert_eq!(failed.code, 8);
}

#[test]
fn what_is_said_of_a_machine_folds_in_a_job() {
    let github = Sandbox::new().env("GITHUB_ACTIONS", "true");
    assert_snapshot!(github.run(&["create", "web"]), @r#"
    $ wharf create web
    ! ::group::web
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 1
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! web: uploading the agent
    ! ::endgroup::
    ! web: ready in N s
    !
    ! Use it from any terminal:  docker --context web run --rm hello-world
    ! or make this one's default: eval "$(wharf env web)"
    "#);
    let gitlab = Sandbox::new().env("GITLAB_CI", "true");
    let said = gitlab.run(&["create", "web"]).stderr;
    assert!(said.contains(":wharf_web\r\x1b[0Kweb\n"), "{said:?}");
    assert_eq!(said.matches("section_end:").count(), 1, "{said:?}");
    let quiet = github.run(&["create", "-o", "json", "web2"]);
    assert!(!quiet.stderr.contains("::group::"), "{quiet}");
}

#[test]
fn a_report_says_what_became_of_each_machine_in_the_files_order() {
    let sandbox = fleet();
    let ended = sandbox.run(&["apply", "--yes", "--keep-going", "--report", "out/wharf.xml"]);
    assert_eq!(ended.code, 10, "{ended}");
    let times = regex_lite::Regex::new("time=\"[0-9.]+\"").unwrap();
    let report = std::fs::read_to_string(sandbox.home().join("out/wharf.xml")).unwrap();
    assert_snapshot!(times.replace_all(&report, "time=\"N\""), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="wharf apply" tests="2" failures="1" errors="0" skipped="0" time="N">
      <testsuite name="shop" tests="2" failures="1" errors="0" skipped="0" time="N">
        <testcase classname="shop" name="web-1" time="N"/>
        <testcase classname="shop" name="web-2" time="N">
          <failure type="Failed" message="boot a machine of size 1: the machine does not boot">`wharf create web-2` again continues, `wharf rm web-2` removes what there is</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
    sandbox.run(&["apply", "--yes", "--report", "wharf.json"]);
    let report = std::fs::read_to_string(sandbox.home().join("wharf.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let outcomes: Vec<&Value> =
        report["machines"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["good", "failed"], "{report}");
    assert_eq!(report["machines"][1]["error"]["code"], 1);
    sandbox.write(
        "fleet.yaml",
        &FLEET.replace("web-1: { driver: memory }", "web-1: { driver: memory, options: { size: 3 } }"),
    );
    let refused = sandbox.run(&["apply", "--yes", "--report", "refused.json"]);
    assert_eq!(refused.code, 3, "{refused}");
    let report = std::fs::read_to_string(sandbox.home().join("refused.json")).unwrap();
    assert_eq!(report.matches("\"skipped\"").count(), 2, "{report}");
    assert_snapshot!(sandbox.run(&["apply", "--yes", "--report", "report.txt"]), @r"
    $ wharf apply --yes --report report.txt
    ! error: `report.txt` does not say what kind of report it is
    ! hint: name it .xml for JUnit, or .json
    [exit 2]
    ");
}
