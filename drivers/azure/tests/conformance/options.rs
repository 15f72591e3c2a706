//! Every option, proved by what the cloud shows of what it made; and what a stamp lacks, refused before anything is made.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wharf_core::{Call, Sink, What};
use wharf_driver::{Kind, Known, Power};
use wharf_sim::Flavour;
use wharf_testkit::suite::{Bench, Desk};
use wharf_testkit::{Switch, World as _};

use crate::fleet::process;
use crate::operator::{
    ADDRESSES, FIREWALLS, GROUPS, INTERFACES, MACHINES, NETWORKS, Operator, PROXIMITY, SETS,
};
use crate::world::{Cloud, put};

type Options<'a> = &'a [(&'a str, &'a str)];

fn with(options: Options<'_>) -> Cloud {
    options.iter().fold(Cloud::new(Flavour::Public), |cloud, (flag, value)| cloud.with(flag, &[value]))
}

/// Makes everything that these options lead to.
async fn made(options: Options<'_>) -> (Operator, Desk<Cloud>, Vec<Value>) {
    let desk = Desk::new(with(options)).await;
    let made = make(&desk).await;
    (Operator::of(&desk.world).await, desk, made)
}

async fn make(desk: &Desk<Cloud>) -> Vec<Value> {
    let mut made = Vec::new();
    for step in desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap().steps {
        made.push(desk.driver.perform(&step.action, &made, &desk.cx).await.unwrap());
    }
    made
}

#[track_caller]
fn shows(body: &Value, pointer: &str, expected: &Value) {
    assert_eq!(body.pointer(pointer), Some(expected), "{pointer} of {body:#}");
}

#[tokio::test]
async fn where_and_how_it_runs() {
    let (operator, _desk, _) = made(&[
        ("azure-zone", "2"),
        ("azure-spot", "true"),
        ("azure-spot-eviction", "delete"),
        ("azure-size", "Standard_D2s_v5"),
        ("azure-location", "eastus"),
        ("azure-accelerated-networking", "true"),
        ("azure-system-identity", "true"),
        ("azure-tag", "team=blue"),
    ])
    .await;
    let machine = operator.only(MACHINES).await;
    shows(&machine, "/zones", &json!(["2"]));
    shows(&machine, "/location", &json!("eastus"));
    shows(&machine, "/tags/team", &json!("blue"));
    shows(&machine, "/properties/hardwareProfile/vmSize", &json!("Standard_D2s_v5"));
    shows(&machine, "/properties/priority", &json!("Spot"));
    shows(&machine, "/properties/evictionPolicy", &json!("Delete"));
    shows(&machine, "/identity/type", &json!("SystemAssigned"));
    shows(&operator.only(ADDRESSES).await, "/zones", &json!(["2"]));
    let interface = operator.only(INTERFACES).await;
    shows(&interface, "/properties/enableAcceleratedNetworking", &json!(true));
}

#[tokio::test]
async fn its_disk() {
    let (operator, _desk, _) =
        made(&[("azure-disk-size", "64"), ("azure-storage-type", "StandardSSD_LRS")]).await;
    let machine = operator.only(MACHINES).await;
    shows(&machine, "/properties/storageProfile/osDisk/diskSizeGB", &json!(64));
    let kind = "/properties/storageProfile/osDisk/managedDisk/storageAccountType";
    shows(&machine, kind, &json!("StandardSSD_LRS"));

    let set = "/subscriptions/s/resourceGroups/keys/providers/Microsoft.Compute/diskEncryptionSets/ours";
    let (operator, _desk, _) = made(&[("azure-disk-encryption-set", set)]).await;
    let machine = operator.only(MACHINES).await;
    shows(&machine, "/properties/storageProfile/osDisk/managedDisk/diskEncryptionSet/id", &json!(set));
}

#[tokio::test]
async fn an_ephemeral_disk_cannot_be_stopped_and_says_so() {
    let bench = Bench::new(with(&[("azure-ephemeral-disk", "true"), ("azure-size", "Standard_D2s_v3")]));
    bench.ready("ephemeral").await;
    let machine = Operator::of(&bench.world).await.only(MACHINES).await;
    shows(&machine, "/properties/storageProfile/osDisk/diffDiskSettings/option", &json!("Local"));
    let error = bench.power(Power::Off, &Switch::default()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), wharf_core::Kind::Refused, "{error:?}");
    assert!(error.advice().unwrap_or_default().contains("wharf kill"), "{:?}", error.advice());
    bench.gone("ephemeral").await;
}

#[tokio::test]
async fn identities_that_are_there() {
    let id =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller";
    let (operator, _desk, _) = made(&[("azure-identity", id), ("azure-system-identity", "true")]).await;
    let machine = operator.only(MACHINES).await;
    shows(&machine, "/identity/type", &json!("SystemAssigned, UserAssigned"));
    assert!(machine["identity"]["userAssignedIdentities"].get(id).is_some(), "{machine:#}");
}

#[tokio::test]
async fn custom_data_is_merged_with_ours() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data");
    put(&file, "#cloud-config\npackages: [htop]\n");
    let (operator, desk, _) = made(&[("azure-custom-data", &file.display().to_string())]).await;
    // A machine does not show what it was born with; that it came whole stands in the cloud's own tests.
    assert!(operator.only(MACHINES).await["properties"]["osProfile"]["customData"].is_null());
    put(&file, "#cloud-config\npackages: [tree]\n");
    let plan = desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap();
    put(&file, "changed meanwhile");
    let other = Desk::new(with(&[])).await;
    let (mut made, mut refused) = (Vec::new(), None);
    for step in plan.steps {
        match other.driver.perform(&step.action, &made, &other.cx).await {
            Ok(one) => made.push(one),
            Err(error) => refused = Some(error),
        }
    }
    assert_eq!(refused.unwrap().kind(), Kind::Refused, "the file is not what was planned with");
}

#[tokio::test]
async fn what_is_there_is_joined_and_never_removed() {
    let bench = Bench::new(with(&[
        ("azure-resource-group", "theirs"),
        ("azure-vnet", "net:theirs"),
        ("azure-subnet", "hosts"),
        ("azure-nsg", "closed"),
        ("azure-proximity-placement-group", "near"),
        ("azure-availability-set", "apart"),
    ]));
    let operator = Operator::of(&bench.world).await;
    let place = json!({"location": "westus"});
    for group in ["theirs", "net"] {
        operator.make(group, GROUPS, "", place.clone()).await;
    }
    let prefixes = json!({"addressPrefixes": ["10.9.0.0/16"]});
    let subnets = json!([{"name": "hosts", "properties": {"addressPrefix": "10.9.1.0/24"}}]);
    let network = json!({"location": "westus", "properties": {"addressSpace": prefixes, "subnets": subnets}});
    operator.make("net", NETWORKS, "theirs", network).await;
    operator.make("theirs", FIREWALLS, "closed", place.clone()).await;
    operator.make("theirs", PROXIMITY, "near", place.clone()).await;
    let near = operator.id("theirs", PROXIMITY, "near");
    let set = json!({
        "location": "westus", "sku": {"name": "Aligned"},
        "properties": {
            "platformFaultDomainCount": 2, "platformUpdateDomainCount": 5, "proximityPlacementGroup": {"id": near},
        },
    });
    operator.make("theirs", SETS, "apart", set).await;
    let before = bench.world.remains().await;

    let created = bench.create(&Switch::default()).await.unwrap();
    created.unwrap();
    let machine = operator.only(MACHINES).await;
    let same = |pointer: &str, id: &str| {
        let shown = machine.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        assert!(shown.eq_ignore_ascii_case(id), "{pointer}: {shown} is not {id}");
    };
    same("/properties/proximityPlacementGroup/id", &near);
    same("/properties/availabilitySet/id", &operator.id("theirs", SETS, "apart"));
    let interface = operator.only(INTERFACES).await;
    let subnet =
        interface["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"].as_str().unwrap();
    assert!(
        subnet.ends_with(
            "/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/theirs/subnets/hosts"
        )
    );
    let closed = operator.read(FIREWALLS, &operator.id("theirs", FIREWALLS, "closed")).await;
    let rules = closed["properties"]["securityRules"].as_array().cloned().unwrap_or_default();
    assert!(rules.is_empty(), "it stays as it is: {rules:?}");

    let removed = bench.remove(&Switch::default()).await.unwrap();
    removed.unwrap();
    assert_eq!(bench.world.remains().await, before, "all of it is still there, and nothing else");
}

#[tokio::test]
async fn stop_gives_the_place_back_and_kill_keeps_it() {
    let (operator, desk, made) = made(&[]).await;
    let power = async || {
        let machine = operator.only(MACHINES).await;
        let id = format!("{}/instanceView", machine["id"].as_str().unwrap());
        let view = operator.read(MACHINES, &id).await;
        let statuses = view["statuses"].as_array().cloned().unwrap_or_default();
        let code = |status: &Value| status["code"].as_str()?.strip_prefix("PowerState/").map(str::to_owned);
        statuses.iter().find_map(code).unwrap_or_default()
    };
    desk.driver.power(&made, Power::Kill, &desk.cx).await.unwrap();
    assert_eq!(power().await, "stopped");
    let seen = desk.driver.observe(&[Known::of(&made)], &desk.cx).await.unwrap();
    assert!(seen[0].warnings[0].contains("still paid for"), "{seen:?}");
    desk.driver.power(&made, Power::Off, &desk.cx).await.unwrap();
    assert_eq!(power().await, "deallocated");
    desk.driver.power(&made, Power::On, &desk.cx).await.unwrap();
    assert_eq!(power().await, "running");
    assert!(desk.driver.console(&made, &desk.cx).await.unwrap().is_some());
}

#[tokio::test]
async fn stop_and_kill_say_what_still_costs() {
    let bench = Bench::new(with(&[]));
    bench.ready("costs").await;
    let said = Arc::new(Mutex::new(Vec::new()));
    for (to, expected) in [(Power::Kill, "still paid for"), (Power::Off, "its disk and its public address")] {
        let sink = Arc::clone(&said);
        let events = Sink::new(move |event| {
            if let What::Warning(what) = event.what {
                sink.lock().unwrap().push(what);
            }
        });
        let call = Call { events, ..bench.call("stop") };
        process(&bench).power(&"trial".parse().unwrap(), to, &call).await.unwrap();
        let last = said.lock().unwrap().pop().unwrap_or_default();
        assert!(last.contains(expected), "{to:?}: {last}");
    }
    bench.gone("costs").await;
}

#[tokio::test]
async fn a_stamp_refuses_what_it_lacks_before_anything_is_made() {
    for (flag, value) in [
        ("azure-zone", "1"),
        ("azure-accelerated-networking", "true"),
        ("azure-spot", "true"),
        ("azure-ephemeral-disk", "true"),
        ("azure-trusted-launch", "yes"),
        ("azure-system-identity", "true"),
        ("azure-proximity-placement-group", "near"),
        (
            "azure-disk-encryption-set",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/diskEncryptionSets/x",
        ),
        ("azure-storage-type", "UltraSSD_LRS"),
    ] {
        let desk = Desk::new(Cloud::new(Flavour::Hub2020).with(flag, &[value])).await;
        let error = desk.driver.plan(&desk.spec, None, &desk.cx).await.expect_err(flag);
        assert_eq!(error.kind(), Kind::Refused, "{flag}: {error:?}");
        assert!(
            error.advice().unwrap_or_default().contains(&format!("--{flag}")),
            "{flag}: {:?}",
            error.advice()
        );
        assert_eq!(desk.world.remains().await, [""; 0], "{flag}");
    }
}
