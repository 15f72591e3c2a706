//! Templates, deployed: the order of things, what is said of them, and what goes wrong.

use serde_json::{Value, json};
use wharf_sim::{Effect, Fault, Flavour};

use crate::harness::{Client, client, code, header, message};

impl Client {
    fn deployment(&self, name: &str) -> String {
        format!("{}/providers/Microsoft.Resources/deployments/{name}", self.group("rg"))
    }

    fn deploy(&self, name: &str, template: &Value) -> wharf_sim::http::Answer {
        self.put(&self.deployment(name), &sent(template))
    }

    /// Lets as much time pass as any deployment takes, bit by bit: each part begins when those before it have ended.
    fn settle(&self) {
        (0..8).for_each(|_| self.wait(90));
    }

    /// Deployed, and what is said of it at the end.
    fn deployed(&self, name: &str, template: &Value) -> Value {
        let answer = self.deploy(name, template);
        assert_eq!(answer.status, 201, "{answer:#?}");
        self.settle();
        self.get(&self.deployment(name)).body.expect("a body")["properties"].clone()
    }
}

fn sent(template: &Value) -> Value {
    json!({"properties": {"mode": "Incremental", "template": template, "parameters": {}}})
}

fn template(resources: &[Value], outputs: &Value) -> Value {
    json!({"$schema": "x", "contentVersion": "1.0.0.0", "resources": resources, "outputs": outputs})
}

fn resource(client: &Client, kind: &str, name: &str, body: &Value, after: &[&str]) -> Value {
    let version = if kind.contains("Compute") { client.compute } else { client.network };
    let mut whole = body.clone();
    whole["type"] = json!(kind);
    whole["name"] = json!(name);
    whole["apiVersion"] = json!(version);
    whole["dependsOn"] = json!(after);
    whole["location"] = json!("[resourceGroup().location]");
    whole
}

/// Everything that a machine needs, the machine first.
fn machine(client: &Client) -> Value {
    let of = |kind: &str, name: &str, body: &Value, after: &[&str]| resource(client, kind, name, body, after);
    template(
        &[
            of(
                "Microsoft.Compute/virtualMachines",
                "vm",
                &client.vm("nic"),
                &["Microsoft.Network/networkInterfaces/nic"],
            ),
            of("Microsoft.Network/networkInterfaces", "nic", &client.nic("ip"), &["net", "nsg", "ip"]),
            of("Microsoft.Network/networkSecurityGroups", "nsg", &client.security(), &[]),
            of("Microsoft.Network/publicIPAddresses", "ip", &client.address(), &[]),
            of("Microsoft.Network/virtualNetworks", "net", &client.net(), &[]),
        ],
        &json!({"address": {"type": "string", "value": "[reference('ip').ipAddress]"}}),
    )
}

fn in_group(flavour: Flavour) -> Client {
    let client = client(flavour);
    client.make(&client.group("rg"), &json!({"location": client.location()}));
    client
}

#[test]
fn a_machine_is_made_in_the_order_that_its_template_says() {
    for flavour in [Flavour::Public, Flavour::UsGov, Flavour::Hub2020, Flavour::Hub2019] {
        let client = in_group(flavour);
        let answer = client.deploy("d", &machine(&client));
        assert_eq!(answer.status, 201, "{flavour}: {answer:#?}");
        let status = header(&answer, "azure-asyncoperation").expect("where its status is").to_owned();
        let at = |wanted: &str| {
            let found = client.ask("GET", &status, None);
            assert_eq!(found.body.expect("a body")["status"], wanted, "{flavour}");
        };
        at("Accepted");
        client.wait(5);
        at("Running");
        let operations = client.get(&format!("{}/operations", client.deployment("d")));
        let operations = operations.body.expect("a body")["value"].as_array().expect("a list").clone();
        let begun: Vec<_> =
            operations.iter().map(|o| o["properties"]["targetResource"]["resourceName"].clone()).collect();
        assert!(!begun.contains(&json!("vm")), "{flavour}: {begun:?}");
        client.settle();
        at("Succeeded");
        let said = client.get(&client.deployment("d")).body.expect("a body")["properties"].clone();
        let address = client.get(&client.id("publicIPAddresses", "ip")).body.expect("a body");
        assert_eq!(said["outputs"]["address"]["value"], address["properties"]["ipAddress"], "{flavour}");
        assert_eq!(said["outputResources"].as_array().map(Vec::len), Some(5));
        let vm = client.get(&client.id("virtualMachines", "vm")).body.expect("a body");
        assert_eq!(vm["properties"]["provisioningState"], "Succeeded", "{flavour}");
        client.delete(&client.group("rg"));
        client.settle();
        assert_eq!(client.get(&client.deployment("d")).status, 404);
    }
}

#[test]
fn what_fails_is_told_and_the_rest_goes_on() {
    let client = in_group(Flavour::Public);
    let refusal = Effect::FailLater { code: "AllocationFailed".to_owned(), message: "No room.".to_owned() };
    client.cloud.add_fault(Fault::new("PUT", "virtualMachines", refusal));
    let said = client.deployed("d", &machine(&client));
    assert_eq!(said["provisioningState"], "Failed");
    assert_eq!(said["error"]["code"], "DeploymentFailed");
    let nested: Value =
        serde_json::from_str(said["error"]["details"][0]["message"].as_str().expect("text")).expect("JSON");
    assert_eq!(nested["error"]["code"], "AllocationFailed");
    assert_eq!(client.get(&client.id("networkInterfaces", "nic")).status, 200);
    let operations = client.get(&format!("{}/operations", client.deployment("d"))).body.expect("a body");
    let failed = operations["value"].as_array().expect("a list").iter();
    let failed: Vec<_> = failed
        .filter(|o| o["properties"]["provisioningState"] == "Failed")
        .map(|o| o["properties"]["statusMessage"]["error"]["code"].clone())
        .collect();
    assert_eq!(failed, [json!("AllocationFailed"), Value::Null]);
    // Once the machine that failed and its disk are gone, the same template goes right.
    client.cloud.clear_faults();
    for (kind, name) in [("virtualMachines", "vm"), ("disks", "disk")] {
        client.delete(&client.id(kind, name));
        client.wait(120);
    }
    assert_eq!(client.deploy("d", &machine(&client)).status, 200);
    client.settle();
    assert_eq!(
        client.get(&client.deployment("d")).body.expect("a body")["properties"]["provisioningState"],
        "Succeeded"
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let client = in_group(Flavour::Public);
    let address = "Microsoft.Network/publicIPAddresses";
    let good = resource(&client, address, "ip", &client.address(), &[]);
    let change = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        match pointer.rsplit_once('/') {
            Some((above, name)) => changed.pointer_mut(above).expect("a place")[name] = value,
            None => changed = value,
        }
        template(&[changed], &json!({}))
    };
    let deep = |answer: &wharf_sim::http::Answer| {
        answer.body.as_ref().expect("a body")["error"]["details"][0]["code"].as_str().map(str::to_owned)
    };
    for (template, own, nested) in [
        (change("/apiVersion", json!("2031-01-01")), "NoRegisteredProviderFound", None),
        (change("/location", json!("nowhere")), "LocationNotAvailableForResourceType", None),
        (change("/type", json!("Microsoft.Network/nothings")), "InvalidResourceType", None),
        (
            change("/properties/colour", json!("red")),
            "InvalidTemplateDeployment",
            Some("InvalidRequestFormat"),
        ),
        (change("/dependsOn", json!(["nothing"])), "InvalidTemplate", None),
        (change("/name", json!("[concat(]")), "InvalidTemplate", None),
    ] {
        for path in [client.deployment("d"), format!("{}/validate", client.deployment("d"))] {
            let method = if path.ends_with("validate") { "POST" } else { "PUT" };
            let answer = client.ask(method, &client.at(&path), Some(&sent(&template)));
            assert_eq!((answer.status, code(&answer)), (400, own), "{answer:#?}");
            assert_eq!(deep(&answer).as_deref(), nested, "{answer:#?}");
        }
    }
    let validated = client.ask(
        "POST",
        &client.at(&format!("{}/validate", client.deployment("d"))),
        Some(&sent(&change("/location", json!("westus")))),
    );
    assert_eq!(validated.status, 200, "{validated:#?}");
    let complete = json!({"properties": {"mode": "Complete", "template": template(&[], &json!({}))}});
    assert_eq!(code(&client.put(&client.deployment("d"), &complete)), "InvalidDeployment");
    assert_eq!(client.get(&client.deployment("d")).status, 404);
    assert_eq!(client.get(&client.id("publicIPAddresses", "ip")).status, 404);
}

#[test]
fn one_at_a_time_canceled_and_forgotten() {
    let client = in_group(Flavour::Public);
    assert_eq!(client.deploy("d", &machine(&client)).status, 201);
    client.wait(10);
    assert_eq!(code(&client.deploy("d", &machine(&client))), "DeploymentActive");
    let cancel = client.at(&format!("{}/cancel", client.deployment("d")));
    assert_eq!(client.ask("POST", &cancel, None).status, 204);
    client.settle();
    let said = client.get(&client.deployment("d")).body.expect("a body");
    assert_eq!(said["properties"]["provisioningState"], "Canceled");
    assert_eq!(client.get(&client.id("virtualMachines", "vm")).status, 404);
    let again = client.ask("POST", &cancel, None);
    assert_eq!((again.status, code(&again)), (409, "DeploymentCannotBeCancelled"), "{}", message(&again));
    assert_eq!(client.delete(&client.deployment("d")).status, 202);
    client.wait(10);
    assert_eq!(client.get(&client.deployment("d")).status, 404);
    assert_eq!(client.delete(&client.deployment("d")).status, 204);
}

#[test]
fn a_deployment_inside_another() {
    let client = in_group(Flavour::Public);
    let inner = template(
        &[resource(&client, "Microsoft.Network/publicIPAddresses", "inner", &client.address(), &[])],
        &json!({"id": {"type": "string", "value": "[resourceId('Microsoft.Network/publicIPAddresses', 'inner')]"}}),
    );
    let nested = json!({
        "type": "Microsoft.Resources/deployments", "apiVersion": client.resources, "name": "nested",
        "properties": {"mode": "Incremental", "template": inner, "expressionEvaluationOptions": {"scope": "inner"}},
    });
    let outer = template(
        &[nested],
        &json!({"id": {"type": "string", "value": "[reference('nested').outputs.id.value]"}}),
    );
    let said = client.deployed("outer", &outer);
    assert_eq!(said["outputs"]["id"]["value"], client.id("publicIPAddresses", "inner"), "{said:#?}");
    assert_eq!(client.get(&client.deployment("nested")).status, 200);
}

/// Comments, names without quotes, and a path without the provider: what clients of the first years send.
#[test]
fn old_manners_are_understood() {
    let client = in_group(Flavour::Public);
    let bearer = format!("Bearer {}", client.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = "{\"properties\": {\"mode\": \"Incremental\", template: {$schema: 'x', /* none */ contentVersion: '1.0.0.0', resources: [],}}}";
    let path = client.at(&format!("{}/deployments/d", client.group("rg")));
    assert_eq!(client.send("PUT", "management.x", &path, &headers, body).status, 201);
    client.wait(10);
    let operations = client.get(&format!("{}/deployments/d/operations", client.group("rg")));
    assert_eq!(operations.body.expect("a body")["value"].as_array().map(Vec::len), Some(1));
}

/// What this cloud makes none of is there to be listed, and refused without pretence.
#[test]
fn barren_kinds_are_empty_lists() {
    let client = in_group(Flavour::Public);
    for below in [client.subscription(), client.group("rg")] {
        let answer = client.get(&format!("{below}/providers/Microsoft.Compute/images"));
        assert_eq!(answer.body.expect("a body"), json!({"value": []}));
    }
    let image = format!("{}/providers/Microsoft.Compute/images/i", client.group("rg"));
    assert_eq!(code(&client.get(&image)), "ResourceNotFound");
    assert_eq!(code(&client.put(&image, &json!({"location": client.location()}))), "NotSimulated");
    assert_eq!(code(&client.get(&image.replace("/rg/", "/none/"))), "ResourceGroupNotFound");
}
