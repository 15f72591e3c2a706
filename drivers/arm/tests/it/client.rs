//! Versions, registration, tokens and lists.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use wharf_arm::{Call, Method};
use wharf_driver::{Error, Kind};

use crate::service::{Answer, Asked, Service, VM, ok, providers, refused, usual};

const THING: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web";

async fn scripted(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Service {
    Service::start(move |asked, before| usual(asked).unwrap_or_else(|| script(asked, before))).await
}

fn version(asked: &Asked) -> &str {
    asked.query.split("api-version=").nth(1).unwrap()
}

fn unknown(supported: &str) -> Answer {
    let message = format!(
        "No registered resource provider found for location 'here' and API version 'x' for type 'virtualMachines'. \
         The supported api-versions are '{supported}'. The supported locations are 'here'."
    );
    refused(400, "NoRegisteredProviderFound", &message)
}

#[tokio::test]
async fn the_newest_version_of_both_is_used_with_its_own_body() {
    let service = scripted(|_, _| ok(json!({}))).await;
    let connection = service.connect().await;
    let body = |version: &str| json!({"for": version});
    let call = Call::new(Method::PUT, "making it", VM, THING).with(&body);
    connection.arm.carry_out(&call, connection.in_seconds(60)).await.unwrap();
    let asked = service.asked();
    assert_eq!(version(&asked[0]), "2024-07-01");
    assert_eq!(asked[0].json(), json!({"for": "2024-07-01"}));
    let headers = &asked[0].headers;
    assert_eq!(headers["authorization"], "Bearer tok");
    assert_eq!(headers["x-ms-client-request-id"].len(), 36);
}

#[tokio::test]
async fn a_refused_version_is_chosen_again_from_what_the_refusal_lists() {
    let service = scripted(|asked, _| match version(asked) {
        "2017-12-01" => ok(json!({})),
        _ => unknown("2016-03-30, 2017-12-01"),
    })
    .await;
    let connection = service.connect().await;
    let body = |version: &str| json!({"for": version});
    let call = Call::new(Method::PUT, "making it", VM, THING).with(&body);
    connection.arm.carry_out(&call, connection.in_seconds(60)).await.unwrap();
    let asked = service.asked();
    assert_eq!(asked.iter().map(version).collect::<Vec<_>>(), ["2024-07-01", "2017-12-01"]);
    assert_eq!(asked[1].json(), json!({"for": "2017-12-01"}), "the body is of the version");
    connection.arm.find(&Call::get("reading it", VM, THING)).await.unwrap();
    assert_eq!(version(service.asked().last().unwrap()), "2017-12-01", "it is remembered");
}

#[tokio::test]
async fn during_a_rollout_the_same_version_is_asked_once_more() {
    let service =
        scripted(|_, before| if before == 0 { unknown("2024-07-01, 2020-06-01") } else { ok(json!({})) })
            .await;
    let connection = service.connect().await;
    connection.arm.find(&Call::get("reading it", VM, THING)).await.unwrap();
    let asked = service.asked();
    assert_eq!(asked.iter().map(version).collect::<Vec<_>>(), ["2024-07-01", "2024-07-01"]);
}

#[tokio::test]
async fn a_version_that_never_arrives_gives_way_to_the_next_and_then_to_the_refusal() {
    let service = scripted(|_, _| unknown("2024-07-01, 2020-06-01")).await;
    let connection = service.connect().await;
    let trouble = connection.arm.find(&Call::get("reading it", VM, THING)).await.unwrap_err();
    assert!(trouble.fault().unwrap().has("NoRegisteredProviderFound"));
    assert_eq!(Error::from(trouble).kind(), Kind::Refused);
    let asked = service.asked();
    assert_eq!(asked.iter().map(version).collect::<Vec<_>>(), ["2024-07-01", "2024-07-01", "2020-06-01"]);
}

#[tokio::test]
async fn nothing_found_is_none_but_a_missing_subscription_is_an_error() {
    let service = scripted(|asked, _| match asked.path.ends_with("web") {
        true => refused(404, "ResourceNotFound", "none"),
        false => refused(404, "SubscriptionNotFound", "no such subscription"),
    })
    .await;
    let connection = service.connect().await;
    assert_eq!(connection.arm.find(&Call::get("reading it", VM, THING)).await.unwrap(), None);
    let trouble = connection.arm.find(&Call::get("reading it", VM, "/subscriptions/none")).await.unwrap_err();
    assert_eq!(Error::from(trouble).kind(), Kind::NotAllowed);
}

#[tokio::test]
async fn a_missing_provider_is_registered_before_the_first_write_and_never_by_a_read() {
    let service = Service::start(|asked, before| {
        if asked.path.ends_with("/providers") {
            return ok(providers("NotRegistered"));
        }
        if asked.path.ends_with("/providers/Microsoft.Compute") {
            return ok(json!({"registrationState": if before < 3 { "NotRegistered" } else { "Registered" }}));
        }
        usual(asked).unwrap_or_else(|| ok(json!({})))
    })
    .await;
    let connection = service.connect().await;
    connection.arm.find(&Call::get("reading it", VM, THING)).await.unwrap();
    assert_eq!(service.lines(), [format!("GET {THING}")]);
    let body = |_: &str| json!({});
    let call = Call::new(Method::PUT, "making it", VM, THING).with(&body);
    connection.arm.carry_out(&call, connection.in_seconds(60)).await.unwrap();
    connection.arm.carry_out(&call, connection.in_seconds(60)).await.unwrap();
    let lines = service.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("POST")).count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("PUT")).count(), 2);
}

#[tokio::test]
async fn who_may_not_register_is_told_whom_to_ask() {
    let service = scripted(|asked, _| match asked.method.as_str() {
        "PUT" => refused(409, "MissingSubscriptionRegistration", "not registered"),
        "POST" => refused(403, "AuthorizationFailed", "you may not"),
        _ => ok(json!({"registrationState": "NotRegistered"})),
    })
    .await;
    let connection = service.connect().await;
    let body = |_: &str| json!({});
    let call = Call::new(Method::PUT, "making it", VM, THING).with(&body);
    let error = Error::from(connection.arm.carry_out(&call, connection.in_seconds(60)).await.unwrap_err());
    assert_eq!(error.kind(), Kind::NotAllowed);
    assert!(error.advice().unwrap().contains("az provider register --namespace Microsoft.Compute"));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let tokens = AtomicUsize::new(0);
    let service = Service::start(move |asked, _| {
        if asked.path.starts_with("/login/") {
            let number = tokens.fetch_add(1, Ordering::Relaxed);
            return ok(json!({"access_token": format!("tok{number}"), "expires_in": "3600"}));
        }
        match asked.headers.get("authorization").map(String::as_str) {
            Some("Bearer tok0") if !asked.path.ends_with("/providers") => {
                refused(401, "ExpiredAuthenticationToken", "expired")
            }
            _ => usual(asked).unwrap_or_else(|| ok(json!({}))),
        }
    })
    .await;
    let connection = service.connect().await;
    connection.arm.find(&Call::get("reading it", VM, THING)).await.unwrap();
    assert_eq!(service.lines().len(), 2);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_only_here() {
    let service = scripted(|asked, _| {
        let host = &asked.headers["host"];
        match asked.query.contains("page=2") {
            false => ok(json!({"value": [1, 2], "nextLink": format!("http://{host}{THING}?page=2")})),
            true => ok(json!({"value": [3], "nextLink": "https://elsewhere.example/?page=3"})),
        }
    })
    .await;
    let connection = service.connect().await;
    let found = connection.arm.list(&Call::get("listing", VM, THING)).await.unwrap();
    assert_eq!(found, [json!(1), json!(2), json!(3)]);
}

#[tokio::test]
async fn what_the_service_wants_is_kept_below_before_it_says_429() {
    let left = |left: usize| vec![("x-ms-ratelimit-remaining-subscription-reads", left.to_string())];
    let service = scripted(move |_, before| (200, left(3_usize.saturating_sub(before)), Value::Null)).await;
    let connection = service.connect().await;
    for _ in 0..10 {
        connection.arm.find(&Call::get("reading it", VM, THING)).await.unwrap();
    }
    assert!(
        connection.clock.passed() >= std::time::Duration::from_millis(200),
        "{:?}",
        connection.clock.passed()
    );
}
