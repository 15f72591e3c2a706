//! Bad weather: cut connections, lagging lists, refusals on demand, policies, and namespaces that are not registered.

use std::time::Duration;

use serde_json::json;
use wharf_sim::{Effect, Fault, Flavour, Policy};

use crate::harness::{Client, client, code, config, header};

#[test]
fn a_cut_request_is_done_not_done_or_done_later() {
    let client = client(Flavour::Public);
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    let put = |name: &str, effect: Effect| {
        client.cloud.add_fault(Fault::new("PUT", name, effect).times(1));
        let answer = client.put(&client.id("virtualNetworks", name), &client.net());
        assert_eq!(answer.status, 0, "the connection was cut");
    };
    let there = |name: &str| client.get(&client.id("virtualNetworks", name)).status == 200;
    put("before", Effect::CutBefore);
    put("after", Effect::CutAfter);
    put("late", Effect::CutLate { seconds: 10.0 });
    assert!(!there("before") && there("after") && !there("late"));
    client.wait(9);
    assert!(!there("late"));
    client.wait(2);
    assert!(!there("before") && there("late"));
}

#[test]
fn lists_lag_and_a_get_by_name_does_not() {
    let mut config = config(Flavour::Public);
    config.list_lag = Duration::from_secs(10);
    let client = Client::new(config);
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    assert_eq!(client.put(&client.id("virtualNetworks", "net"), &client.net()).status, 201);
    let listed = || {
        client.get(&format!("{}/resources", client.subscription())).body.expect("a body")["value"]
            .as_array()
            .expect("a list")
            .len()
    };
    assert_eq!((listed(), client.get(&client.id("virtualNetworks", "net")).status), (0, 200));
    client.wait(11);
    assert_eq!(listed(), 1);
    client.delete(&client.id("virtualNetworks", "net"));
    client.wait(5);
    assert_eq!((listed(), client.get(&client.id("virtualNetworks", "net")).status), (1, 404));
    client.wait(11);
    assert_eq!(listed(), 0);
}

#[test]
fn a_refusal_comes_with_its_headers_and_is_counted() {
    let client = client(Flavour::Public);
    let refuse = Effect::Refuse {
        status: 503,
        code: "ServerBusy".to_owned(),
        message: "Busy.".to_owned(),
        retry_after: Some(7),
    };
    client.cloud.add_fault(Fault::new("PUT", "/resourceGroups/", refuse).times(2));
    let body = json!({"location": "eastus"});
    for _ in 0..2 {
        let answer = client.put(&client.group("rg"), &body);
        assert_eq!(
            (answer.status, code(&answer), header(&answer, "retry-after")),
            (503, "ServerBusy", Some("7"))
        );
    }
    assert_eq!(client.put(&client.group("rg"), &body).status, 201);
    assert_eq!(client.cloud.counts()["PUT resourceGroups"], 3);
    let statuses: Vec<_> =
        client.cloud.calls().iter().filter(|c| c.of == "resourceGroups").map(|c| c.status).collect();
    assert_eq!(statuses, [503, 503, 201]);
}

#[test]
fn chance_is_decided_by_the_seed() {
    let run = |seed: u64| {
        let mut config = config(Flavour::Public);
        config.seed = seed;
        config.throttled = false;
        let client = Client::new(config);
        let cut = Fault { probability: 0.2, ..Fault::new("GET", "/resourceGroups/", Effect::CutBefore) };
        client.cloud.add_fault(cut);
        (0..200).map(|_| client.get(&client.group("rg")).status == 0).collect::<Vec<_>>()
    };
    let (one, two, other) = (run(7), run(7), run(8));
    assert_eq!(one, two);
    assert_ne!(one, other);
    let cut = one.iter().filter(|cut| **cut).count();
    assert!((20..=60).contains(&cut), "{cut} of 200");
}

#[test]
fn a_policy_denies() {
    let client = client(Flavour::Public);
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    client.cloud.add_policy(Policy {
        name: "no-addresses".to_owned(),
        resource_type: "Microsoft.Network/publicIPAddresses".to_owned(),
        unless_tag: Some("approved".to_owned()),
    });
    let answer = client.put(&client.id("publicIPAddresses", "ip"), &client.address());
    assert_eq!((answer.status, code(&answer)), (403, "RequestDisallowedByPolicy"));
    let mut approved = client.address();
    approved["tags"] = json!({"approved": "yes"});
    assert_eq!(client.put(&client.id("publicIPAddresses", "ip"), &approved).status, 201);
}

#[test]
fn a_namespace_must_be_registered_and_one_may_not_be_allowed_to() {
    let mut settings = config(Flavour::Public);
    settings.registered.retain(|namespace| namespace != "Microsoft.Network");
    let client = Client::new(settings.clone());
    client.make(&client.group("rg"), &json!({"location": "eastus"}));
    let net = client.id("virtualNetworks", "net");
    let answer = client.put(&net, &client.net());
    assert_eq!((answer.status, code(&answer)), (409, "MissingSubscriptionRegistration"));
    let register = format!("{}/providers/Microsoft.Network/register", client.subscription());
    let answer = client.ask("POST", &client.at(&register).replace(client.network, client.resources), None);
    assert_eq!(
        (answer.status, &answer.body.expect("a body")["registrationState"]),
        (200, &json!("Registering"))
    );
    assert_eq!(code(&client.put(&net, &client.net())), "MissingSubscriptionRegistration");
    client.wait(60);
    assert_eq!(client.put(&net, &client.net()).status, 201);

    settings.account.denied = vec!["Microsoft.Network/register/*".to_owned()];
    let client = Client::new(settings);
    let answer = client.ask("POST", &client.at(&register).replace(client.network, client.resources), None);
    assert_eq!((answer.status, code(&answer)), (403, "AuthorizationFailed"));
}
