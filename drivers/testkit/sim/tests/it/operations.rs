//! Long-running operations, by every header that announces one.

use serde_json::json;
use wharf_sim::{Effect, Fault, Flavour};

use crate::harness::{Client, client, code, header};

fn poll(client: &Client, url: &str) -> (u16, String) {
    let answer = client.ask("GET", url, None);
    let status = answer.body.as_ref().and_then(|b| b["status"].as_str()).unwrap_or_default().to_owned();
    (answer.status, status)
}

#[test]
fn writes_announce_what_the_recordings_show() {
    let client = client(Flavour::Public);
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    let answer = client.put(&client.id("virtualNetworks", "net"), &client.net());
    assert_eq!((answer.status, header(&answer, "location")), (201, None));
    assert_eq!(answer.body.as_ref().expect("a body")["properties"]["provisioningState"], "Updating");
    let url = header(&answer, "azure-asyncoperation").expect("a header").to_owned();
    assert!(header(&answer, "retry-after").is_some());
    assert_eq!(poll(&client, &url), (200, "InProgress".to_owned()));
    client.wait(10);
    assert_eq!(poll(&client, &url), (200, "Succeeded".to_owned()));

    let empty = json!({"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 8}});
    let answer = client.put(&client.id("disks", "data"), &empty);
    assert_eq!(answer.status, 202);
    let result = header(&answer, "location").expect("a location").to_owned();
    assert!(header(&answer, "azure-asyncoperation").is_some());
    assert_eq!(poll(&client, &result).0, 202);
    client.wait(10);
    let answer = client.ask("GET", &result, None);
    assert_eq!((answer.status, &answer.body.expect("a body")["name"]), (200, &json!("data")));
}

#[test]
fn an_interface_is_mostly_ready_at_once() {
    let client = client(Flavour::Public);
    client.make_network();
    let mut ready = 0;
    for number in 0..100 {
        let mut nic = client.nic("ip");
        nic["properties"]["ipConfigurations"][0]["properties"]
            .as_object_mut()
            .expect("an object")
            .remove("publicIPAddress");
        let answer = client.put(&client.id("networkInterfaces", &format!("n{number}")), &nic);
        assert!(header(&answer, "azure-asyncoperation").is_some());
        ready += u32::from(answer.body.expect("a body")["properties"]["provisioningState"] == "Succeeded");
        client.wait(3);
    }
    assert!((80..100).contains(&ready), "{ready} of 100");
}

#[test]
fn a_group_goes_with_everything_in_it() {
    for flavour in Flavour::all() {
        let client = client(flavour);
        client.make_network();
        client.make(&client.id("virtualMachines", "vm"), &client.vm("nic"));
        let answer = client.delete(&client.group("rg"));
        assert_eq!(answer.status, 202);
        assert!(header(&answer, "azure-asyncoperation").is_none(), "a group's delete has a Location alone");
        let location = header(&answer, "location").expect("a location").to_owned();
        assert_eq!(poll(&client, &location).0, 202);
        assert_eq!(
            client.get(&client.group("rg")).body.expect("a body")["properties"]["provisioningState"],
            "Deleting"
        );
        assert_eq!(
            code(&client.put(&client.id("virtualNetworks", "late"), &client.net())),
            "ResourceGroupBeingDeleted"
        );
        client.wait(150);
        assert_eq!(poll(&client, &location).0, 200);
        assert!(client.cloud.holds().is_empty(), "{:?}", client.cloud.holds());
        assert_eq!(code(&client.get(&client.group("rg"))), "ResourceGroupNotFound");
        assert_eq!(code(&client.get(&client.id("virtualMachines", "vm"))), "ResourceGroupNotFound");
    }
}

#[test]
fn a_group_whose_resources_are_used_elsewhere_stays() {
    let client = client(Flavour::Public);
    client.make_network();
    client.make(&client.group("other"), &json!({"location": "eastus"}));
    let mut nic = client.nic("ip");
    nic["properties"]["ipConfigurations"][0]["properties"]
        .as_object_mut()
        .expect("an object")
        .remove("publicIPAddress");
    client.make(&client.id("networkInterfaces", "nic").replace("/rg/", "/other/"), &nic);
    let answer = client.delete(&client.group("rg"));
    let location = header(&answer, "location").expect("a location").to_owned();
    client.wait(100);
    let answer = client.ask("GET", &location, None);
    assert_eq!((answer.status, code(&answer)), (409, "ResourceGroupDeletionBlocked"));
    assert_eq!(client.get(&client.id("virtualNetworks", "net")).status, 200);
    assert_eq!(client.get(&client.id("networkInterfaces", "nic")).status, 404, "what could go has gone");
}

#[test]
fn an_operation_can_fail_be_canceled_or_never_end() {
    let client = client(Flavour::Public);
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    let begin = |effect: Effect, name: &str| {
        client.cloud.add_fault(Fault::new("PUT", name, effect).times(1));
        let answer = client.put(&client.id("virtualNetworks", name), &client.net());
        assert_eq!(answer.status, 201);
        header(&answer, "azure-asyncoperation").expect("a header").to_owned()
    };
    let failing = begin(
        Effect::FailLater {
            code: "InternalServerError".to_owned(),
            message: "An error occurred.".to_owned(),
        },
        "fails",
    );
    let canceled = begin(Effect::Cancel, "canceled");
    let endless = begin(Effect::NeverEnds, "endless");
    client.wait(10);
    let answer = client.ask("GET", &failing, None).body.expect("a body");
    assert_eq!(
        (&answer["status"], &answer["error"]["code"]),
        (&json!("Failed"), &json!("InternalServerError"))
    );
    assert_eq!(
        client.get(&client.id("virtualNetworks", "fails")).body.expect("a body")["properties"]["provisioningState"],
        "Failed"
    );
    assert_eq!(poll(&client, &canceled).1, "Canceled");
    client.wait(100_000);
    let fresh =
        Client::sign_in(&client).body.expect("a body")["access_token"].as_str().expect("a token").to_owned();
    let answer =
        Client { token: fresh, cloud: client.cloud.clone(), config: client.config.clone(), ..client };
    assert_eq!(poll(&answer, &endless).1, "InProgress");
}
