//! Which versions a cloud has, and how it refuses the others and what is not in them.

use serde_json::json;
use wharf_sim::{Effect, Fault, Flavour};

use crate::harness::{client, code, message, rule};

#[test]
fn a_cloud_answers_to_exactly_what_it_advertises() {
    for flavour in Flavour::all() {
        let client = client(flavour);
        client.make_network();
        let providers =
            client.ask("GET", &format!("{}/providers?api-version=2016-09-01", client.subscription()), None);
        let list = providers.body.expect("a body");
        let namespaces = list["value"].as_array().expect("a list");
        for (namespace, kind, name) in [
            ("Microsoft.Network", "networkInterfaces", "nic"),
            ("Microsoft.Network", "virtualNetworks", "net"),
            ("Microsoft.Compute", "virtualMachines", "none"),
        ] {
            let found = namespaces.iter().find(|n| n["namespace"] == namespace).expect("the namespace");
            let types = found["resourceTypes"].as_array().expect("types");
            let found = types.iter().find(|t| t["resourceType"] == kind).expect("the type");
            let versions: Vec<_> = found["apiVersions"]
                .as_array()
                .expect("versions")
                .iter()
                .map(|v| v.as_str().expect("text"))
                .collect();
            for version in &versions {
                let answer =
                    client.ask("GET", &format!("{}?api-version={version}", client.id(kind, name)), None);
                assert!([200, 404].contains(&answer.status), "{flavour} {kind} {version}: {answer:#?}");
            }
            for version in ["2014-04-01", "2031-01-01"] {
                let answer =
                    client.ask("GET", &format!("{}?api-version={version}", client.id(kind, name)), None);
                assert_eq!((answer.status, code(&answer)), (400, "NoRegisteredProviderFound"));
                let supported = format!("The supported api-versions are '{}'.", versions.join(", "));
                assert!(message(&answer).contains(&supported), "{}", message(&answer));
            }
        }
    }
}

#[test]
fn a_hub_has_what_its_profile_and_those_before_it_name() {
    for (flavour, compute, network, disk) in [
        (
            Flavour::Hub2020,
            &["2020-06-01", "2017-12-01", "2017-03-30"][..],
            &["2018-11-01", "2017-10-01", "2015-06-15"][..],
            &["2019-07-01", "2017-03-30"][..],
        ),
        (Flavour::Hub2019, &["2017-12-01", "2017-03-30"], &["2017-10-01", "2015-06-15"], &["2017-03-30"]),
        (Flavour::Hub2018, &["2017-03-30"], &["2017-10-01", "2015-06-15"], &["2017-03-30"]),
    ] {
        let client = client(flavour);
        let provider = |name: &str| {
            client
                .ask(
                    "GET",
                    &format!("{}/providers/{name}?api-version=2016-09-01", client.subscription()),
                    None,
                )
                .body
                .expect("a body")
        };
        let versions = |provider: &serde_json::Value, kind: &str| {
            let types = provider["resourceTypes"].as_array().expect("types").clone();
            types.into_iter().find(|t| t["resourceType"] == kind).expect("the type")["apiVersions"].clone()
        };
        let (computing, networking) = (provider("Microsoft.Compute"), provider("Microsoft.Network"));
        assert_eq!(versions(&computing, "virtualMachines"), json!(compute));
        assert_eq!(versions(&computing, "disks"), json!(disk));
        assert_eq!(versions(&networking, "publicIPAddresses"), json!(network));
    }
}

#[test]
fn a_version_must_be_named_and_be_a_date() {
    let client = client(Flavour::Public);
    let group = client.group("rg");
    assert_eq!(code(&client.ask("GET", &group, None)), "MissingApiVersionParameter");
    assert_eq!(
        code(&client.ask("GET", &format!("{group}?api-version=newest"), None)),
        "InvalidApiVersionParameter"
    );
    let unknown =
        format!("{}/providers/Microsoft.Nothing/things?api-version=2020-01-01", client.subscription());
    assert_eq!(code(&client.ask("GET", &unknown, None)), "InvalidResourceNamespace");
    let odd =
        format!("{}/providers/Microsoft.Network/wormholes?api-version=2020-01-01", client.subscription());
    assert_eq!(code(&client.ask("GET", &odd, None)), "InvalidResourceType");
}

#[test]
fn fields_that_a_version_lacks_are_refused_in_the_providers_words() {
    let client = client(Flavour::Hub2020);
    client.make_network();
    let mut vm = client.vm("nic");
    vm["properties"]["userData"] = json!("aGk=");
    let answer = client.put(&client.id("virtualMachines", "vm"), &vm);
    assert_eq!((answer.status, code(&answer)), (400, "BadRequest"));
    assert!(message(&answer).starts_with("Could not find member 'userData' on object of type 'Properties'. Path 'properties.userData', line 1, position "));
    let mut net = client.net();
    net["properties"]["subnets"][0]["properties"]["defaultOutboundAccess"] = json!(false);
    let answer = client.put(&client.id("virtualNetworks", "other"), &net);
    assert_eq!(code(&answer), "InvalidRequestFormat");
    let detail = &answer.body.expect("a body")["error"]["details"][0];
    assert_eq!(detail["code"], "InvalidJson");
    assert!(detail["message"].as_str().expect("text").contains("defaultOutboundAccess"));
    let answer =
        client.put(&client.id("virtualNetworks", "other"), &json!({"location": "stamp1", "oddity": 1}));
    assert_eq!(code(&answer), "InvalidRequestContent");
    assert!(
        message(&answer).contains("Could not find member 'oddity' on object of type 'ResourceDefinition'")
    );
}

#[test]
fn types_values_and_required_fields_are_checked() {
    let client = client(Flavour::Public);
    client.make_network();
    let vm = |path: &str, value: serde_json::Value| {
        let mut vm = client.vm("nic");
        *vm.pointer_mut(path).expect("a place") = value;
        client.put(&client.id("virtualMachines", "vm"), &vm)
    };
    let answer = vm("/properties/storageProfile/osDisk/createOption", json!("Conjure"));
    assert!(message(&answer).starts_with("Error converting value \"Conjure\""), "{answer:#?}");
    let answer = vm("/properties/storageProfile/osDisk/createOption", json!(null));
    assert_eq!(code(&answer), "InvalidParameter", "{answer:#?}");
    let answer =
        vm("/properties/osProfile/linuxConfiguration/disablePasswordAuthentication", json!("perhaps"));
    assert!(message(&answer).contains("System.Boolean"), "{answer:#?}");
    let mut security = client.security();
    security["properties"]["securityRules"] = json!([rule("a", 100, "22"), rule("b", 100, "23")]);
    assert_eq!(
        code(&client.put(&client.id("networkSecurityGroups", "two"), &security)),
        "SecurityRuleConflict"
    );
    assert_eq!(
        code(&client.put(&client.id("networkSecurityGroups", "two"), &json!({"properties": {}}))),
        "LocationRequired"
    );
}

#[test]
fn a_rollout_can_refuse_the_very_version_it_names() {
    let client = client(Flavour::Public);
    let words = "No registered resource provider found for location 'eastus' and API version '2024-05-01' for type \
                 'virtualNetworks'. The supported api-versions are '2024-05-01, 2023-11-01'. The supported locations are 'eastus'.";
    let refuse = Effect::Refuse {
        status: 400,
        code: "NoRegisteredProviderFound".to_owned(),
        message: words.to_owned(),
        retry_after: None,
    };
    client.cloud.add_fault(Fault::new("PUT", "virtualNetworks", refuse).times(1));
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    let net = client.id("virtualNetworks", "net");
    assert_eq!(code(&client.put(&net, &client.net())), "NoRegisteredProviderFound");
    assert_eq!(client.put(&net, &client.net()).status, 201);
}

#[test]
fn read_only_fields_are_ignored_and_an_updates_body_may_be_what_get_showed() {
    for flavour in Flavour::all() {
        let client = client(flavour);
        client.make_network();
        for (kind, name) in
            [("virtualNetworks", "net"), ("networkInterfaces", "nic"), ("networkSecurityGroups", "nsg")]
        {
            let shown = client.get(&client.id(kind, name)).body.expect("a body");
            let again = client.put(&client.id(kind, name), &shown);
            assert_eq!(again.status, 200, "{flavour} {kind}: {again:#?}");
            client.wait(10);
        }
    }
}
