//! Operations by each of their headers, to their real end.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_arm::{Call, Method};
use wharf_driver::{Error, Kind};

use crate::service::{Answer, Asked, NIC, Service, VM, ok, refused, usual};

const THING: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web";
const BODY: fn(&str) -> Value = |_| json!({"location": "here"});

fn thing(state: &str) -> Value {
    json!({"id": THING, "properties": {"provisioningState": state}})
}

fn header(asked: &Asked, name: &'static str, path: &str) -> (&'static str, String) {
    (name, format!("http://{}{path}", asked.headers["host"]))
}

async fn scripted(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Service {
    Service::start(move |asked, before| usual(asked).unwrap_or_else(|| script(asked, before))).await
}

fn put() -> Call<'static> {
    Call::new(Method::PUT, "making the machine", VM, THING).with(&BODY)
}

#[tokio::test]
async fn a_status_address_is_asked_until_it_succeeds_and_then_the_thing_is_read() {
    let service = scripted(|asked, before| match (asked.method.as_str(), asked.path.as_str()) {
        ("PUT", _) => (
            200,
            vec![header(asked, "Azure-AsyncOperation", "/op?api-version=2099-01-01")],
            thing("Updating"),
        ),
        (_, "/op") => ok(json!({"status": if before < 3 { "InProgress" } else { "Succeeded" }})),
        _ => ok(thing("Succeeded")),
    })
    .await;
    let connection = service.connect().await;
    let reply = connection.arm.carry_out(&put(), connection.in_seconds(60)).await.unwrap();
    assert_eq!(reply.body, thing("Succeeded"));
    let lines = service.lines();
    assert_eq!(lines.iter().filter(|line| *line == "GET /op").count(), 4);
    assert_eq!(lines.last(), Some(&format!("GET {THING}")));
    assert!(connection.clock.passed() <= Duration::from_secs(8), "a second or two between polls");
    let polled = service.asked().into_iter().find(|asked| asked.path == "/op").unwrap();
    assert_eq!(polled.query, "api-version=2099-01-01", "the address is taken as it is");
}

#[tokio::test]
async fn what_is_being_made_and_its_operation_are_asked_by_turns() {
    let service = scripted(|asked, before| match (asked.method.as_str(), asked.path.as_str()) {
        ("PUT", _) => (201, vec![header(asked, "Azure-AsyncOperation", "/op")], thing("Creating")),
        (_, "/op") => ok(json!({"status": "InProgress"})),
        _ => match before {
            0 => refused(404, "ResourceNotFound", "a copy that lags"),
            1 => ok(thing("Creating")),
            _ => ok(thing("Succeeded")),
        },
    })
    .await;
    let connection = service.connect().await;
    let reply = connection.arm.carry_out(&put(), connection.in_seconds(60)).await.unwrap();
    assert_eq!(reply.body, thing("Succeeded"));
    let (own, operation) = (format!("GET {THING}"), "GET /op".to_owned());
    let turns = [&own, &operation, &own, &operation, &own].map(String::clone);
    assert_eq!(service.lines()[1..], turns);
}

#[tokio::test]
async fn what_is_there_at_once_is_not_waited_for() {
    let service =
        scripted(|asked, _| (201, vec![header(asked, "Azure-AsyncOperation", "/op")], thing("Succeeded")))
            .await;
    let connection = service.connect().await;
    let call = Call { kind: NIC, ..put() };
    connection.arm.carry_out(&call, connection.in_seconds(60)).await.unwrap();
    assert_eq!(service.lines().len(), 1);
}

#[tokio::test]
async fn a_location_counts_by_its_status() {
    let service = scripted(|asked, before| match (asked.method.as_str(), before) {
        ("DELETE", _) => (202, vec![header(asked, "Location", "/later")], Value::Null),
        (_, 0..=1) => (202, Vec::new(), Value::Null),
        _ => (204, Vec::new(), Value::Null),
    })
    .await;
    let connection = service.connect().await;
    let call = Call::new(Method::DELETE, "removing the group", VM, THING);
    connection.arm.carry_out(&call, connection.in_seconds(60)).await.unwrap();
    assert_eq!(service.lines().iter().filter(|line| *line == "GET /later").count(), 3);
}

#[tokio::test]
async fn without_any_header_the_thing_itself_tells() {
    let service = scripted(|asked, before| match (asked.method.as_str(), before) {
        ("PUT", _) => (200, Vec::new(), thing("Updating")),
        (_, 0) => refused(404, "ResourceNotFound", "a copy that lags"),
        (_, 1) => ok(thing("Updating")),
        _ => ok(thing("Succeeded")),
    })
    .await;
    let connection = service.connect().await;
    let reply = connection.arm.carry_out(&put(), connection.in_seconds(60)).await.unwrap();
    assert_eq!(reply.body, thing("Succeeded"));
    assert_eq!(service.lines().len(), 4);
}

#[tokio::test]
async fn a_deletion_without_a_header_ends_when_the_thing_is_gone() {
    let service = scripted(|asked, before| match (asked.method.as_str(), before) {
        ("DELETE", _) => (202, Vec::new(), Value::Null),
        (_, 0) => ok(thing("Succeeded")),
        _ => refused(404, "ResourceNotFound", "gone"),
    })
    .await;
    let connection = service.connect().await;
    let call = Call::new(Method::DELETE, "removing it", VM, THING);
    connection.arm.carry_out(&call, connection.in_seconds(60)).await.unwrap();
    assert_eq!(service.lines().len(), 3);
}

#[tokio::test]
async fn a_late_failure_is_a_failure_with_its_words() {
    let service = scripted(|asked, before| match (asked.method.as_str(), before) {
        ("PUT", _) => (201, vec![header(asked, "Azure-AsyncOperation", "/op")], thing("Creating")),
        (_, 0) => ok(json!({"status": "InProgress"})),
        _ => {
            ok(json!({"status": "Failed", "error": {"code": "AllocationFailed", "message": "no room here"}}))
        }
    })
    .await;
    let connection = service.connect().await;
    let trouble = connection.arm.carry_out(&put(), connection.in_seconds(60)).await.unwrap_err();
    assert!(trouble.fault().unwrap().has("AllocationFailed"));
    let error = Error::from(trouble);
    assert_eq!(error.kind(), Kind::Quota);
    assert_eq!(error.to_string(), "making the machine was refused: no room here");
}

#[tokio::test]
async fn a_thing_that_failed_after_a_good_status_failed() {
    let service = scripted(|asked, _| match (asked.method.as_str(), asked.path.as_str()) {
        ("PUT", _) => (201, vec![header(asked, "Azure-AsyncOperation", "/op")], thing("Creating")),
        (_, "/op") => ok(json!({"status": "Succeeded"})),
        _ => ok(thing("Failed")),
    })
    .await;
    let connection = service.connect().await;
    let trouble = connection.arm.carry_out(&put(), connection.in_seconds(60)).await.unwrap_err();
    assert_eq!(Error::from(trouble).kind(), Kind::Failed);
}

#[tokio::test]
async fn polls_outlast_passing_faults_and_keep_an_order_to_wait() {
    let service = scripted(|asked, before| match (asked.method.as_str(), asked.path.as_str(), before) {
        ("PUT", ..) => (202, vec![header(asked, "Operation-Location", "/op")], Value::Null),
        (_, "/op", 0..=9) => refused(503, "ServiceUnavailable", "later"),
        (_, "/op", 10) => (429, vec![("retry-after", "20".to_owned())], Value::Null),
        (_, "/op", _) => ok(json!({"status": "Succeeded"})),
        _ => ok(thing("Succeeded")),
    })
    .await;
    let connection = service.connect().await;
    connection.arm.carry_out(&put(), connection.in_seconds(600)).await.unwrap();
    assert_eq!(service.lines().iter().filter(|line| line.starts_with("PUT")).count(), 1, "written once");
    assert!(connection.clock.passed() > Duration::from_secs(20));
}

#[tokio::test]
async fn an_operation_that_never_ends_is_left_at_the_deadline() {
    let service = scripted(|asked, _| match asked.method.as_str() {
        "PUT" => (201, vec![header(asked, "Azure-AsyncOperation", "/op")], thing("Creating")),
        _ => ok(json!({"status": "InProgress"})),
    })
    .await;
    let connection = service.connect().await;
    let trouble = connection.arm.carry_out(&put(), connection.in_seconds(30)).await.unwrap_err();
    let error = Error::from(trouble);
    assert_eq!(error.kind(), Kind::TimedOut);
    assert!(error.to_string().contains("did not end before the deadline"), "{error}");
    assert!(connection.clock.passed() <= Duration::from_secs(30));
}

#[tokio::test]
async fn a_header_that_points_elsewhere_is_not_followed() {
    let elsewhere = Service::start(|_, _| ok(json!({"status": "Succeeded"}))).await;
    let address = format!("{}/op", elsewhere.url);
    let service = scripted(move |asked, before| match (asked.method.as_str(), before) {
        ("PUT", _) => (201, vec![("azure-asyncoperation", address.clone())], thing("Creating")),
        (_, 0) => ok(thing("Creating")),
        _ => ok(thing("Succeeded")),
    })
    .await;
    let connection = service.connect().await;
    connection.arm.carry_out(&put(), connection.in_seconds(60)).await.unwrap();
    assert_eq!(elsewhere.everything().len(), 0, "the token went to another host");
}

#[tokio::test]
async fn an_operation_that_was_forgotten_is_known_by_the_thing() {
    let service = scripted(|asked, _| match (asked.method.as_str(), asked.path.as_str()) {
        ("PUT", _) => (201, vec![header(asked, "Azure-AsyncOperation", "/op")], thing("Creating")),
        (_, "/op") => refused(404, "OperationNotFound", "too old"),
        _ => ok(thing("Succeeded")),
    })
    .await;
    let connection = service.connect().await;
    assert!(connection.arm.carry_out(&put(), connection.in_seconds(60)).await.is_ok());
}
