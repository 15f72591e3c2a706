//! The minimal policies on the drivers' pages are what the drivers ask for: AWS's by the list that its own test holds to its
//! calls, Azure's by that list and by what a whole life of machines called at a simulated cloud, which grants nothing else.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use wharf_docs::page::Page;
use wharf_docs::stage::clouds::{azure, user};
use wharf_driver::Right;
use wharf_driver_azure::rights::RIGHTS;
use wharf_sim::{Entry, Flavour};
use wharf_tests::wharf_program;

/// The page's block of JSON that is fenced with this name.
fn policy(page: &str, name: &str) -> Value {
    let page = Page::read(page);
    let block = page.blocks.iter().find(|block| block.says("policy") == Some(name)).expect("a policy");
    serde_json::from_str(&block.text).expect("a policy is JSON")
}

fn words(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().expect("a list");
    list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

#[test]
fn the_policy_for_aws_is_what_the_driver_calls() {
    let policy = policy("docs/src/drivers/aws.md", "aws");
    let listed: BTreeSet<String> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|statement| words(&statement["Action"]))
        .collect();
    let rights: BTreeSet<String> =
        wharf_driver_aws::rights::RIGHTS.iter().map(|right| right.action.to_owned()).collect();
    assert_eq!(listed, rights);
}

#[test]
fn the_role_for_azure_is_what_the_driver_asks_for() {
    let role = policy("docs/src/drivers/azure.md", "azure");
    let rights: BTreeSet<String> = RIGHTS.iter().map(|right| right.action.to_owned()).collect();
    assert_eq!(words(&role["Actions"]), rights);
}

/// The action that Azure asks for a right to, for a call; `None` for what needs none on the subscription.
fn action(call: &Entry) -> Option<String> {
    let path = call.path.trim_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    // Where things are, and signing in, are everybody's; what an operation has come to, whoever began it.
    let everybody = ["locations", "subscriptions"].contains(segments.last()?) && segments.len() <= 3;
    if call.status == 401
        || !path.to_lowercase().starts_with("subscriptions/")
        || everybody
        || call.of == "operations"
    {
        return None;
    }
    let verb = match call.method.as_str() {
        "GET" | "HEAD" => "read",
        "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        _ => "action",
    };
    let kind = match segments.iter().rposition(|segment| segment.eq_ignore_ascii_case("providers")) {
        // Types and names take turns.
        Some(at) if segments.len() > at + 1 => {
            let more = segments[at + 2..].iter().step_by(2).copied();
            std::iter::once(segments[at + 1]).chain(more).collect::<Vec<_>>().join("/")
        }
        Some(_) => "Microsoft.Resources/subscriptions/providers".to_owned(),
        None if segments.len() == 2 => "Microsoft.Resources/subscriptions".to_owned(),
        None => "Microsoft.Resources/subscriptions/resourceGroups".to_owned(),
    };
    Some(format!("{kind}/{verb}"))
}

#[test]
fn a_life_of_machines_in_azure_needs_no_other_right() {
    let mut called = BTreeSet::new();
    for flavour in [Flavour::Public, Flavour::Hub2020] {
        let (simulator, keeps) = azure(flavour, |config| {
            config.account.granted = Some(RIGHTS.iter().map(|right| right.action.to_owned()).collect());
        });
        let home = tempfile::tempdir().unwrap();
        let wharf = |line: &str| {
            let mut command = Command::new(wharf_program());
            command.env_clear().env("HOME", home.path()).env("WHARF_KEYRING", "off").envs(user(&simulator));
            command.env("AZURE_ENDPOINT", simulator.endpoint()).env("AZURE_CA", simulator.ca());
            let output = command.args(line.split(' ')).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "wharf {line}: {said}");
        };
        wharf("create --driver azure --no-bootstrap --azure-allow-from me web1 web2");
        for line in [
            "ls",
            "stop web1",
            "start web1",
            "kill web2",
            "start web2",
            "restart web2",
            "gc --driver azure",
            "allow web1 --from 203.0.113.9",
            "allow web1 --revoke",
        ] {
            wharf(line);
        }
        wharf("rm -y web1 web2");
        called.extend(simulator.cloud().calls().iter().filter_map(action));
        assert_eq!(simulator.cloud().holds(), Vec::<String>::new());
        drop((simulator, keeps));
    }
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let unlisted: Vec<_> =
        called.iter().filter(|call| !RIGHTS.iter().any(|right| same(right.action, call))).collect();
    assert!(unlisted.is_empty(), "called, and in no role: {unlisted:#?}");
    let uncalled = |right: &&Right| right.always && !called.iter().any(|call| same(right.action, call));
    let idle: Vec<_> = RIGHTS.iter().filter(uncalled).map(|right| right.action).collect();
    assert!(idle.is_empty(), "in the role, and never called: {idle:#?}");
}
