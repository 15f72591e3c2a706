//! Every answer is one that the official description of its version allows, in every flavour.

use serde_json::{Value, json};
use wharf_sim::Flavour;
use wharf_sim::description::{Description, Kind, Role};

use crate::harness::{Client, client};

/// Judges an answer against what the description of `version` says a route answers.
fn judge(provider: &str, version: &str, route: &str, method: &str, body: &Value) {
    let kind = route.trim_start_matches('/').split('/').next().expect("a kind");
    let Some(description) = Description::find(provider, kind, version).filter(|d| d.version == version)
    else {
        return;
    };
    let Some(said) = description.route(route, method) else { return };
    let kind = Kind::parse(said["answer"].as_str().unwrap_or("any"));
    // The real service leaves the link to a next page out where there is none, whatever the description requires.
    let wrong = description.check_kind(&kind, body, Role::Answer).err().filter(|w| w.member != "nextLink");
    if let Some(wrong) = wrong {
        panic!("{provider} {version} {method} {route}: {wrong:#?} in {body:#}");
    }
}

/// Judges a resource against its own body's description.
fn judge_body(provider: &str, version: &str, kind: &str, body: &Value) {
    let description = Description::find(provider, kind, version).expect("a description");
    let model = description.body(kind).expect("a body");
    if let Err(wrong) = description.check(model, body, Role::Answer) {
        panic!("{provider} {version} {kind}: {wrong:#?} in {body:#}");
    }
}

fn body(client: &Client, target: &str) -> Value {
    let answer = client.get(target);
    assert_eq!(answer.status, 200, "{target}: {answer:#?}");
    answer.body.expect("a body")
}

#[test]
fn resources_are_what_their_version_describes() {
    for flavour in Flavour::all() {
        let client = client(flavour);
        client.make_network();
        client.make(&client.id("virtualMachines", "vm"), &client.vm("nic"));
        let empty = json!({"location": client.location(), "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 8}});
        client.make(&client.id("disks", "data"), &empty);
        judge_body("resources", client.resources, "resourceGroups", &body(&client, &client.group("rg")));
        for (kind, name) in [
            ("networkSecurityGroups", "nsg"),
            ("virtualNetworks", "net"),
            ("publicIPAddresses", "ip"),
            ("networkInterfaces", "nic"),
        ] {
            judge_body("network", client.network, kind, &body(&client, &client.id(kind, name)));
        }
        for view in ["", "?$expand=instanceView"] {
            let shown = body(&client, &format!("{}{view}", client.id("virtualMachines", "vm")));
            judge_body("compute", client.compute, "virtualMachines", &shown);
            assert!(shown["properties"]["osProfile"]["customData"].is_null(), "custom data is never shown");
        }
        for name in ["disk", "data"] {
            judge_body("compute", client.disk, "disks", &body(&client, &client.id("disks", name)));
        }
        let subnet = format!("{}/subnets/default", client.id("virtualNetworks", "net"));
        judge_body("network", client.network, "virtualNetworks/subnets", &body(&client, &subnet));
        let rule = format!("{}/securityRules/ssh", client.id("networkSecurityGroups", "nsg"));
        judge_body("network", client.network, "networkSecurityGroups/securityRules", &body(&client, &rule));
    }
}

#[test]
fn lists_and_catalogues_are_what_their_version_describes() {
    for flavour in Flavour::all() {
        let client = client(flavour);
        client.make_network();
        client.make(&client.id("virtualMachines", "vm"), &client.vm("nic"));
        // The newest that has routes described, where the client's own has none.
        let compute = if client.hub() { client.compute } else { "2021-03-01" };
        let network = if client.hub() { client.network } else { "2021-02-01" };
        let resources = if client.hub() { client.resources } else { "2021-04-01" };
        let (subscription, place) = (client.subscription(), client.location());
        let ask = |target: &str, version: &str| {
            let mark = if target.contains('?') { '&' } else { '?' };
            let answer = client.ask("GET", &format!("{target}{mark}api-version={version}"), None);
            assert_eq!(answer.status, 200, "{flavour} {target}: {answer:#?}");
            answer.body.expect("a body")
        };
        let at = format!("{subscription}/providers/Microsoft.Compute/locations/{place}");
        let offers = format!("{at}/publishers/Canonical/artifacttypes/vmimage/offers");
        let sku = format!("{offers}/0001-com-ubuntu-server-jammy/skus/22_04-lts");
        let latest = "/locations/{location}/publishers/{publisherName}/artifacttypes/vmimage/offers/{offer}/skus/{skus}/versions";
        for (target, route) in [
            (format!("{at}/usages"), "/locations/{location}/usages"),
            (format!("{at}/vmSizes"), "/locations/{location}/vmSizes"),
            (format!("{at}/publishers"), "/locations/{location}/publishers"),
            (format!("{sku}/versions"), latest),
            (format!("{sku}/versions/latest"), &format!("{latest}/{{version}}")),
            (
                format!("{}/instanceView", client.id("virtualMachines", "vm")),
                "/virtualMachines/{vmName}/instanceView",
            ),
            (format!("{subscription}/providers/Microsoft.Compute/virtualMachines"), "/virtualMachines"),
        ] {
            let shown = ask(&target, compute);
            judge("compute", compute, route, "GET", &shown);
        }
        for kind in ["virtualNetworks", "networkInterfaces", "publicIPAddresses", "networkSecurityGroups"] {
            let target = format!("{subscription}/providers/Microsoft.Network/{kind}");
            judge("network", network, &format!("/{kind}"), "GET", &ask(&target, network));
        }
        judge(
            "resources",
            resources,
            "/providers",
            "GET",
            &ask(&format!("{subscription}/providers"), resources),
        );
        judge(
            "resources",
            resources,
            "/resources",
            "GET",
            &ask(&format!("{subscription}/resources"), resources),
        );
        judge(
            "resources",
            resources,
            "/resourcegroups",
            "GET",
            &ask(&format!("{subscription}/resourcegroups"), resources),
        );
        judge(
            "resources",
            "2016-06-01",
            "/locations",
            "GET",
            &ask(&format!("{subscription}/locations"), "2016-06-01"),
        );
        judge("resources", "2016-06-01", "/subscriptions", "GET", &ask("/subscriptions", "2016-06-01"));
    }
}

#[test]
fn every_described_version_was_read() {
    for (provider, kind, least) in [
        ("compute", "virtualMachines", 7),
        ("compute", "disks", 2),
        ("network", "networkInterfaces", 5),
        ("resources", "resourceGroups", 6),
    ] {
        let versions = Description::versions(provider, kind);
        assert!(versions.len() >= least, "{provider} {kind}: {versions:?}");
        for version in versions {
            let description = Description::find(provider, kind, version).expect("a description");
            let model = description.body(kind).expect("a body");
            assert!(description.knows(model, &["location"]), "{provider} {kind} {version} has no location");
        }
    }
}

#[test]
fn what_came_later_is_not_known_earlier() {
    let knows = |version: &str, path: &[&str]| {
        let description = Description::find("compute", "virtualMachines", version).expect("a description");
        description.knows(description.body("virtualMachines").expect("a body"), path)
    };
    assert!(!knows("2020-06-01", &["properties", "userData"]));
    assert!(knows("2021-03-01", &["properties", "userData"]));
    assert!(!knows("2017-03-30", &["properties", "priority"]));
    assert!(knows("2020-06-01", &["properties", "priority"]));
    assert!(!knows("2020-06-01", &["properties", "storageProfile", "osDisk", "deleteOption"]));
    assert!(knows("2024-11-01", &["properties", "storageProfile", "osDisk", "deleteOption"]));
}
