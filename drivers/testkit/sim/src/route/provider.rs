//! Resource providers: what each advertises, and whether the subscription is registered for it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Request, Version};
use crate::cloud::{Cloud, State};
use crate::error::ArmError;
use crate::http::Answer;
use crate::resource::view;

/// How long a registration takes, in the real cloud's time.
const REGISTERING: Duration = Duration::from_secs(40);

/// All of them.
pub(super) fn list(cloud: &Cloud, version: &Version) -> Answer {
    let state = cloud.state();
    let all = Answer::list(cloud.advertised.keys().map(|namespace| show(cloud, &state, namespace)));
    let body = all.body.map(|body| view::show_route("resources", &version.version, "/providers", &body));
    Answer { body, ..all }
}

/// One of them.
pub(super) fn one(cloud: &Cloud, namespace: &str) -> Result<Answer, ArmError> {
    let namespace = find(cloud, namespace)?;
    Ok(Answer::json(200, show(cloud, &cloud.state(), namespace)))
}

/// Registers the subscription; it is registered a while later.
pub(super) fn register(request: &Request<'_>, namespace: &str) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    let namespace = find(cloud, namespace)?;
    let scope = format!("/subscriptions/{}", cloud.config.account.subscription);
    request.allowed(&format!("{namespace}/register/action"), &scope)?;
    let done = cloud.clock().now() + cloud.clock().scaled(REGISTERING);
    let mut state = cloud.state();
    state.registered.entry(namespace.to_ascii_lowercase()).or_insert(done);
    Ok(Answer::json(200, show(cloud, &state, namespace)))
}

fn find<'c>(cloud: &'c Cloud, namespace: &str) -> Result<&'c str, ArmError> {
    let found = cloud.advertised.keys().find(|known| known.eq_ignore_ascii_case(namespace));
    found.map(String::as_str).ok_or_else(|| {
        ArmError::new(
            404,
            "InvalidResourceNamespace",
            format!("The resource namespace '{namespace}' is invalid."),
        )
    })
}

fn show(cloud: &Cloud, state: &State, namespace: &str) -> Value {
    let locations: Vec<_> = cloud.flavour().locations().iter().map(|(_, shown)| *shown).collect();
    let zones = !cloud.flavour().is_hub();
    let types = cloud.advertised.get(namespace).into_iter().flatten().map(|(kind, versions)| {
        let mut shown = json!({
            "resourceType": kind, "locations": locations, "apiVersions": versions,
            "capabilities": "CrossResourceGroupResourceMove, CrossSubscriptionResourceMove, SupportsTags, SupportsLocation",
        });
        if zones && ["virtualMachines", "disks", "publicIPAddresses"].contains(&kind.as_str()) {
            let places = cloud.flavour().locations().iter();
            let mappings: Vec<_> = places.map(|(_, place)| json!({"location": place, "zones": ["1", "2", "3"]})).collect();
            shown["zoneMappings"] = json!(mappings);
        }
        shown
    });
    let subscription = &cloud.config.account.subscription;
    json!({
        "id": format!("/subscriptions/{subscription}/providers/{namespace}"),
        "namespace": namespace,
        "resourceTypes": types.collect::<Vec<_>>(),
        "registrationState": registration(cloud, state, namespace),
        "registrationPolicy": "RegistrationRequired",
    })
}

fn registration(cloud: &Cloud, state: &State, namespace: &str) -> &'static str {
    match state.registered.get(&namespace.to_ascii_lowercase()) {
        Some(done) if *done <= cloud.clock().now() => "Registered",
        Some(_) => "Registering",
        None => "NotRegistered",
    }
}

/// Refuses a write to a namespace that the subscription isn't registered for.
pub(super) fn check(cloud: &Cloud, state: &State, namespace: &str) -> Result<(), ArmError> {
    if registration(cloud, state, namespace) == "Registered" {
        return Ok(());
    }
    Err(ArmError::conflict(
        "MissingSubscriptionRegistration",
        format!(
            "The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how \
             to register subscriptions."
        ),
    )
    .detail("MissingSubscriptionRegistration", format!("The subscription is not registered to use namespace '{namespace}'.")))
}
