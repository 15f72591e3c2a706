//! Whole templates, read and ordered.

use serde_json::{Value, json};

use super::*;

fn place() -> Place {
    let text = |t: &str| t.to_owned();
    Place {
        subscription: text("s"),
        tenant: text("t"),
        group: text("rg"),
        location: text("west"),
        deployment: text("d1"),
        endpoint: text("https://arm"),
    }
}

fn fresh() -> Fresh {
    Fresh { guid: "11111111-2222-3333-4444-555555555555".to_owned(), now: "20260101T000000Z".to_owned() }
}

/// What one expression says, as a string.
pub(super) fn said(expression: &str) -> Result<String, String> {
    let template = read(&json!({"outputs": {"o": {"type": "string", "value": expression}}}), &json!({}))?;
    let outputs = template.outputs(&|id, _| Err(format!("no {id}")))?;
    Ok(plain(&outputs["o"]["value"]))
}

fn read(more: &Value, parameters: &Value) -> Result<Template, String> {
    let mut whole = json!({"$schema": "x", "contentVersion": "1.0.0.0", "resources": []});
    for (name, value) in more.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    Template::read(&whole, parameters, place(), &fresh())
}

fn resource(kind: &str, name: &str, more: &Value) -> Value {
    let mut whole = json!({"type": kind, "name": name, "apiVersion": "2020-01-01", "location": "west"});
    for (name, value) in more.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    whole
}

#[test]
fn resources_wait_for_what_they_name_and_what_they_refer_to() {
    let template = json!({
        "parameters": {"count": {"type": "int", "defaultValue": 2}, "prefix": {"type": "string"}},
        "variables": {"b": "[concat(variables('a'), '-b')]", "a": "[parameters('prefix')]"},
        "resources": [
            resource("N.W/nics", "[concat(variables('b'), copyIndex(1))]", &json!({
                "copy": {"name": "nics", "count": "[parameters('count')]"},
                "dependsOn": ["[resourceId('N.W/nets', 'net')]"],
                "properties": {"turn": "[copyIndex()]", "copy": [{"name": "list", "count": 2, "input": "[copyIndex('list', 5)]"}]},
            })),
            resource("N.W/nets", "net", &json!({"resources": [
                resource("subnets", "one", &json!({"dependsOn": ["net"]})),
            ]})),
            resource("C.P/vms", "vm", &json!({"dependsOn": ["nics"], "properties": {
                "address": "[reference('ip').address]", "none": "[[plain]", "absent": null, "list": [{"gone": "[null()]"}],
            }})),
            resource("N.W/ips", "ip", &json!({})),
            resource("N.W/ips", "unwanted", &json!({"condition": "[equals(1, 2)]"})),
        ],
    });
    let read = read(&template, &json!({"prefix": {"value": "p"}})).unwrap();
    let shown: Vec<_> =
        read.resources.iter().map(|r| format!("{} {:?} {}", r.name, r.after, r.skipped)).collect();
    assert_eq!(
        shown,
        [
            "p-b1 [2] false",
            "p-b2 [2] false",
            "net [] false",
            "net/one [2] false",
            "vm [0, 1, 5] false",
            "ip [] false",
            "unwanted [] true",
        ]
    );
    assert!(read.resources[3].id.ends_with("/providers/N.W/nets/net/subnets/one"), "{:?}", read.resources[3]);
    let nic = read.body(1, None).unwrap();
    assert_eq!(nic["properties"], json!({"turn": 1, "list": [5, 6]}));
    assert_eq!(read.body(4, None).unwrap_err(), Trouble::Later);
    let fetched =
        read.body(4, Some(&|id, version| Ok(json!({"properties": {"address": format!("{id}@{version}")}}))));
    assert_eq!(
        fetched.unwrap()["properties"],
        json!({"address": "/subscriptions/s/resourceGroups/rg/providers/N.W/ips/ip@2020-01-01", "none": "[plain]", "list": [{}]})
    );
}

#[test]
fn symbolic_names_and_what_is_there_already() {
    let template = json!({"languageVersion": "2.0", "resources": {
        "net": {"type": "N.W/nets", "name": "there", "apiVersion": "1", "existing": true},
        "nic": resource("N.W/nics", "nic", &json!({"dependsOn": ["net"], "properties": {"of": "[reference('net').x]"}})),
    }});
    let read = read(&template, &json!({})).unwrap();
    assert!(read.resources[0].skipped && read.resources[1].after == [0]);
    let body = read.body(1, Some(&|_, _| Ok(json!({"properties": {"x": 7}})))).unwrap();
    assert_eq!(body["properties"]["of"], 7);
}

#[test]
fn parameters_are_checked_and_secrets_are_not_shown() {
    let declared = json!({"parameters": {
        "key": {"type": "secureString"}, "size": {"type": "string", "allowedValues": ["s", "m"], "defaultValue": "s"},
        "id": {"type": "string", "defaultValue": "[newGuid()]"}, "few": {"type": "int", "maxValue": 3, "defaultValue": 1},
    }});
    let good = read(&declared, &json!({"key": {"value": "x"}})).unwrap();
    assert_eq!(good.shown["key"], json!({"type": "SecureString"}));
    assert_eq!(good.shown["id"]["value"], fresh().guid);
    for (sent, why) in [
        (json!({}), "'key' at line '1' and column '1' is not provided"),
        (json!({"key": {"value": "x"}, "nothing": {"value": 1}}), "'nothing' in the parameters file"),
        (json!({"key": {"value": 1}}), "Expected 'String, Uri'"),
        (json!({"key": {"value": "x"}, "size": {"value": "xl"}}), "allowed value(s): 's,m'"),
        (json!({"key": {"value": "x"}, "few": {"value": 4}}), "is not between"),
        (json!({"key": {"reference": {"secretName": "s"}}}), "no key vault"),
    ] {
        let error = read(&declared, &sent).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_template_that_cannot_be_is_refused() {
    let one = |more: Value| json!({"resources": [resource("N.W/nets", "a", &more)]});
    for (template, why) in [
        (json!({"$schema": null}), "Required property '$schema'"),
        (one(json!({"dependsOn": ["nowhere"]})), "'nowhere' is not defined in the template"),
        (one(json!({"name": "a/b"})), "incorrect segment lengths"),
        (one(json!({"apiVersion": null})), "'apiVersion' not found"),
        (one(json!({"resourceGroup": "other"})), "one resource group only"),
        (
            json!({"resources": [resource("N.W/nets", "a", &json!({})), resource("n.w/NETS", "A", &json!({}))]}),
            "defined multiple times",
        ),
        (
            json!({"resources": [
                resource("N.W/nets", "a", &json!({"dependsOn": ["b"]})), resource("N.W/nets", "b", &json!({"dependsOn": ["a"]})),
            ]}),
            "Circular dependency",
        ),
        (json!({"variables": {"a": "[variables('b')]", "b": "[variables('a')]"}}), "is not found"),
    ] {
        let error = read(&template, &json!({})).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
