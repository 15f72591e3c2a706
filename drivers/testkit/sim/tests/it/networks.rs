//! Networks know what uses them.

use serde_json::json;
use wharf_sim::Flavour;

use crate::harness::{client, code, header, message, rule};

#[test]
fn what_is_used_stays() {
    for flavour in Flavour::all() {
        let client = client(flavour);
        client.make_network();
        let delete = |kind: &str, name: &str| {
            let answer = client.delete(&client.id(kind, name));
            (answer.status, code(&answer).to_owned())
        };
        assert_eq!(delete("virtualNetworks", "net"), (400, "InUseSubnetCannotBeDeleted".to_owned()));
        assert_eq!(
            delete("networkSecurityGroups", "nsg"),
            (400, "InUseNetworkSecurityGroupCannotBeDeleted".to_owned())
        );
        assert_eq!(delete("publicIPAddresses", "ip"), (400, "PublicIPAddressCannotBeDeleted".to_owned()));
        assert_eq!(delete("networkInterfaces", "nic").0, 202);
        client.wait(30);
        for (kind, name) in
            [("publicIPAddresses", "ip"), ("networkSecurityGroups", "nsg"), ("virtualNetworks", "net")]
        {
            assert_eq!(delete(kind, name).0, 202);
            client.wait(30);
            assert_eq!(client.get(&client.id(kind, name)).status, 404);
            assert_eq!(delete(kind, name).0, 204, "a delete of nothing is done");
        }
    }
}

#[test]
fn references_must_be_there_and_ready() {
    let client = client(Flavour::Public);
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    let nic = client.id("networkInterfaces", "nic");
    assert_eq!(code(&client.put(&nic, &client.nic("ip"))), "InvalidResourceReference");
    client.make(&client.id("networkSecurityGroups", "nsg"), &client.security());
    client.make(&client.id("publicIPAddresses", "ip"), &client.address());
    assert_eq!(client.put(&client.id("virtualNetworks", "net"), &client.net()).status, 201);
    let answer = client.put(&nic, &client.nic("ip"));
    assert_eq!((answer.status, code(&answer)), (400, "ReferencedResourceNotProvisioned"));
    assert!(message(&answer).contains("PutVirtualNetworkOperation"));
    let again = client.put(&client.id("virtualNetworks", "net"), &client.net());
    assert_eq!((again.status, code(&again)), (429, "AnotherOperationInProgress"));
    assert!(header(&again, "retry-after").is_some());
    client.wait(10);
    assert_eq!(client.put(&nic, &client.nic("ip")).status, 201);
    let answer = client.put(&client.id("networkInterfaces", "other"), &client.nic("ip"));
    assert_eq!(code(&answer), "PublicIPAddressInUse");
}

#[test]
fn another_regions_network_is_not_found() {
    let client = client(Flavour::Public);
    client.make_network();
    let mut nic = client.nic("ip");
    nic["location"] = json!("West US");
    assert_eq!(code(&client.put(&client.id("networkInterfaces", "far"), &nic)), "InvalidResourceReference");
    nic["location"] = json!("atlantis");
    assert_eq!(
        code(&client.put(&client.id("networkInterfaces", "far"), &nic)),
        "LocationNotAvailableForResourceType"
    );
    let mut security = client.security();
    security["location"] = json!("westus");
    assert_eq!(
        code(&client.put(&client.id("networkSecurityGroups", "nsg"), &security)),
        "InvalidResourceLocation"
    );
}

#[test]
fn a_hub_has_basic_addresses_and_no_icmp() {
    let hub = client(Flavour::Hub2020);
    hub.make(&hub.group("rg"), &json!({"location": "stamp1"}));
    let mut address = hub.address();
    address["sku"]["name"] = json!("Standard");
    assert_eq!(hub.put(&hub.id("publicIPAddresses", "ip"), &address).status, 400);
    let mut icmp = rule("ping", 110, "*");
    icmp["properties"]["protocol"] = json!("Icmp");
    let security = json!({"location": "stamp1", "properties": {"securityRules": [icmp]}});
    assert_eq!(hub.put(&hub.id("networkSecurityGroups", "nsg"), &security).status, 400);

    let public = client(Flavour::Public);
    public.make(&public.group("rg"), &json!({"location": "eastus"}));
    assert_eq!(
        public
            .put(
                &public.id("networkSecurityGroups", "nsg"),
                &json!({"location": "eastus", "properties": {"securityRules": [icmp]}})
            )
            .status,
        201
    );
    let mut address = public.address();
    address["sku"]["name"] = json!("Basic");
    let answer = public.put(&public.id("publicIPAddresses", "ip"), &address);
    assert_eq!(code(&answer), "IPv4BasicSkuPublicIpCountLimitReached");
    address["sku"]["name"] = json!("Standard");
    address["properties"]["publicIPAllocationMethod"] = json!("Dynamic");
    let answer = public.put(&public.id("publicIPAddresses", "ip"), &address);
    assert_eq!(code(&answer), "StandardSkuPublicIPAddressesMustBeStatic");
}

#[test]
fn a_rule_can_be_written_alone() {
    let client = client(Flavour::Public);
    client.make_network();
    let group = client.id("networkSecurityGroups", "nsg");
    let one = format!("{group}/securityRules/agent");
    let answer = client.put(&one, &json!({"properties": rule("agent", 110, "2376")["properties"]}));
    assert_eq!(answer.status, 201, "{answer:#?}");
    assert_eq!(
        client.put(&one, &json!({"properties": rule("agent", 110, "2376")["properties"]})).status,
        429
    );
    client.wait(10);
    let shown = client.get(&group).body.expect("a body");
    assert_eq!(shown["properties"]["securityRules"].as_array().expect("rules").len(), 2);
    assert_eq!(
        code(&client.put(
            &format!("{group}/securityRules/clash"),
            &json!({"properties": rule("clash", 110, "1")["properties"]})
        )),
        "SecurityRuleConflict"
    );
    assert_eq!(client.delete(&one).status, 202);
    client.wait(10);
    assert_eq!(client.get(&one).status, 404);
    assert_eq!(client.delete(&one).status, 204);
}

#[test]
fn preconditions_hold() {
    let client = client(Flavour::Public);
    client.make_network();
    let id = client.at(&client.id("networkSecurityGroups", "nsg"));
    let etag = client.get(&client.id("networkSecurityGroups", "nsg")).body.expect("a body")["etag"]
        .as_str()
        .expect("text")
        .to_owned();
    let put = |name: &'static str, value: &str| {
        client.ask_with("PUT", &id, Some(&client.security()), &[(name, value)]).status
    };
    assert_eq!(put("if-none-match", "*"), 412);
    assert_eq!(put("if-match", "W/\"other\""), 412);
    assert_eq!(put("if-match", &etag), 200);
}

#[test]
fn tags_have_limits() {
    let client = client(Flavour::Public);
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    let with = |tags: serde_json::Value| {
        let mut body = client.security();
        body["tags"] = tags;
        code(&client.put(&client.id("networkSecurityGroups", "nsg"), &body)).to_owned()
    };
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("t{n}"), json!("v"))).collect();
    assert_eq!(with(json!(many)), "InvalidTags");
    assert_eq!(with(json!({"a<b": "v"})), "InvalidTagNameCharacters");
    assert_eq!(with(json!({"a": "v".repeat(257)})), "TagValueTooLong");
}
