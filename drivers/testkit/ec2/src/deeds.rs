//! What EC2 does and moto does not: whether a caller may, tokens, states that take time, answers that lag, what is in use.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::bodies;
use crate::identity;
use crate::ipv6;
use crate::proxy::{Answer, Params};
use crate::simulator::Inner;
use crate::state::{Life, Phase};
use crate::xml::{self, Element};

/// What EC2 takes, before base64.
const USER_DATA: usize = 16 * 1024;
/// For so many seconds after an instance was ended, it is still shown.
pub(crate) const MEMORY: f64 = 3600.0;
/// Parameters that publishers keep and moto does not know.
const PARAMETERS: &[(&str, &str)] = &[
    (
        "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
        "ami-0a24040000000a641",
    ),
    (
        "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id",
        "ami-0a2404000000aa641",
    ),
    ("/aws/service/debian/release/12/latest/amd64", "ami-0de12000000000a64"),
];

/// Why a call of somebody who is known is refused before anybody looks at what it wants.
pub(crate) fn admit(inner: &Inner, service: &str, api: &str) -> Option<Answer> {
    if inner.config.denied.iter().any(|denied| denied == api) {
        let message = format!("You are not authorized to perform: {service}:{api}.");
        let (status, code) = match service {
            "ec2" => (403, "UnauthorizedOperation"),
            "ssm" => (400, "AccessDeniedException"),
            _ => (403, "AccessDenied"),
        };
        return Some(Answer::refusal_of(service, status, code, &message));
    }
    let now = inner.now();
    if service == "ec2" && inner.config.throttled && !inner.state().buckets.take(api, now) {
        inner.state().refused.push(api.to_owned());
        return Some(Answer::refusal(503, "RequestLimitExceeded", "Request limit exceeded."));
    }
    None
}

/// Carries a call out.
pub(crate) async fn carry_out(
    inner: &Arc<Inner>,
    service: &str,
    api: &str,
    params: Params,
    headers: &HeaderMap,
    body: String,
    early: Option<String>,
) -> Answer {
    match api {
        "GetParameter" => match known_parameter(&body) {
            Some(answer) => answer,
            None => inner.upstream.send(headers, body).await,
        },
        "AssumeRole" => identity::assumed(&inner.config.role),
        _ if service != "ec2" => inner.upstream.send(headers, body).await,
        "RunInstances" => run(inner, params, headers, early).await,
        "DescribeInstances" => describe(inner, params, headers).await,
        "StopInstances" | "StartInstances" | "TerminateInstances" => {
            change(inner, api, &params, headers, body).await
        }
        "RebootInstances" => match unknown(inner, &params) {
            Some(refusal) => refusal,
            None => inner.upstream.send(headers, body).await,
        },
        "GetConsoleOutput" => console(inner, &params).await,
        "DeleteSecurityGroup" => delete_group(inner, &params, headers, body).await,
        "CreateSecurityGroup" => {
            let answer = inner.upstream.send(headers, body).await;
            let made = Element::parse(&answer.body).unwrap_or_default();
            inner.state().made.insert(made.say("groupId").to_owned(), inner.now());
            answer
        }
        "AuthorizeSecurityGroupIngress" | "RevokeSecurityGroupIngress" => {
            let answer = inner.upstream.send(headers, body).await;
            bodies::heed(inner, params.get("GroupId").map_or("", String::as_str));
            answer
        }
        "AllocateAddress" => allocate(inner, headers, body).await,
        "AssociateAddress" | "ReleaseAddress" => {
            let answer = inner.upstream.send(headers, body).await;
            if answer.is_success() {
                tie(inner, &params);
            }
            answer
        }
        "DescribeSecurityGroups" | "DescribeAddresses" => {
            lagging(inner, api, inner.upstream.send(headers, body).await)
        }
        "DescribeVpcs" if !inner.config.default_vpc => {
            let mut answer = inner.upstream.send(headers, body).await;
            if let Some(mut document) = Element::parse(&answer.body) {
                document.at("vpcSet").children.clear();
                answer.body = document.document();
            }
            answer
        }
        _ => inner.upstream.send(headers, body).await,
    }
}

/// An elastic address, one at which something real can be reached where that matters.
async fn allocate(inner: &Inner, headers: &HeaderMap, body: String) -> Answer {
    let mut answer = inner.upstream.send(headers, body).await;
    let Some(mut made) = Element::parse(&answer.body).filter(|_| answer.is_success()) else { return answer };
    if let Some(address) = inner.bodies.next_address() {
        made.at("publicIp").text = address.to_string();
    }
    let id = made.say("allocationId").to_owned();
    let mut state = inner.state();
    state.elastic.insert(id.clone(), made.say("publicIp").to_owned());
    state.made.insert(id, inner.now());
    drop(state);
    answer.body = made.document();
    answer
}

/// Whose an elastic address is from now on.
fn tie(inner: &Arc<Inner>, params: &Params) {
    let (address, instance) = (params.get("AllocationId"), params.get("InstanceId"));
    let mut moved = Vec::new();
    for (id, life) in &mut inner.state().instances {
        let before = life.elastic.clone();
        if Some(id) == instance {
            life.elastic = address.cloned();
        } else if life.elastic.as_ref() == address {
            life.elastic = None;
        }
        moved.extend((life.elastic != before).then(|| id.clone()));
    }
    for id in moved {
        bodies::move_there(inner, &id);
    }
}

fn known_parameter(body: &str) -> Option<Answer> {
    let asked: Value = serde_json::from_str(body).ok()?;
    let name = asked["Name"].as_str()?;
    let (_, value) = PARAMETERS.iter().find(|(known, _)| *known == name)?;
    let body = json!({ "Parameter": { "Name": name, "Type": "String", "Value": value, "Version": 1 } });
    Some(Answer { status: 200, body: body.to_string() })
}

async fn run(inner: &Arc<Inner>, params: Params, headers: &HeaderMap, early: Option<String>) -> Answer {
    let user_data = params.get("UserData").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    if user_data.len() > USER_DATA {
        return Answer::refusal(400, "InvalidParameterValue", "User data is limited to 16384 bytes");
    }
    let Some(token) = params.get("ClientToken").cloned() else {
        return Answer::refusal(
            400,
            "MissingParameter",
            "this simulator takes no call without a ClientToken",
        );
    };
    let mut digest = DefaultHasher::new();
    params.hash(&mut digest);
    let digest = digest.finish();
    let _one = inner.making.lock().await;
    let before = inner.state().tokens.get(&token).cloned();
    if let Some((asked, id)) = before {
        if asked != digest {
            let message = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).";
            return Answer::refusal(400, "IdempotentParameterMismatch", message);
        }
        return again(inner, &id, headers).await;
    }
    if let Some(refusal) = full(inner, &params).await {
        return refusal;
    }
    let ipv6 = match ipv6::addresses(inner, &params).await {
        Ok(addresses) => addresses,
        Err(refusal) => return refusal,
    };
    let body = serde_urlencoded::to_string(&params).unwrap_or_default();
    let answer = inner.upstream.send(headers, body).await;
    let Some(mut document) = Element::parse(&answer.body).filter(|_| answer.is_success()) else {
        return answer;
    };
    let mut items = Vec::new();
    document.at("instancesSet").children.iter().for_each(|item| items.push(item.clone()));
    let Some(item) = items.first() else { return answer };
    let id = item.say("instanceId").to_owned();
    let now = inner.now();
    let is_public = !item.say("ipAddress").is_empty();
    let fixed = inner.bodies.next_address().filter(|_| is_public).map(|address| address.to_string());
    let private = item.say("privateIpAddress").to_owned();
    let mut state = inner.state();
    let group = |number: usize| params.get(&format!("NetworkInterface.1.SecurityGroupId.{number}")).cloned();
    let life = Life {
        born: now,
        phase: Phase::Running,
        since: now,
        groups: (1..=5).filter_map(group).collect(),
        spot: params.get("InstanceMarketOptions.MarketType").is_some_and(|kind| kind == "spot"),
        public: is_public,
        elastic: None,
        ipv6,
        starts: 0,
        number: state.instances.len(),
        early,
        body: None,
        asked: usize::from(inner.bodies.real()),
        fixed: fixed.clone(),
    };
    state.tokens.insert(token, (digest, id.clone()));
    state.instances.insert(id.clone(), life);
    drop(state);
    bodies::make(inner, &id, user_data, private, fixed);
    for item in &mut document.at("instancesSet").children {
        mend(inner, item);
        // It is known a moment later.
        item.at("ipAddress").text.clear();
    }
    Answer { status: 200, body: document.document() }
}

/// The zone has no room.
async fn full(inner: &Inner, params: &Params) -> Option<Answer> {
    if inner.config.full.is_empty() {
        return None;
    }
    let subnet = params.get("NetworkInterface.1.SubnetId")?;
    let asked = [("Action", "DescribeSubnets"), ("Version", "2016-11-15"), ("SubnetId.1", subnet.as_str())];
    let answer = inner.upstream.ask("ec2", &asked).await;
    let document = Element::parse(&answer.body)?;
    let zone = document.child("subnetSet")?.children.first()?.say("availabilityZone").to_owned();
    let is_full = zone.chars().next_back().is_some_and(|letter| inner.config.full.contains(&letter));
    let message = format!(
        "We currently do not have sufficient capacity in the Availability Zone you requested ({zone})."
    );
    is_full.then(|| Answer::refusal(500, "InsufficientInstanceCapacity", &message))
}

/// What a repeated call is told: the instance as it is now.
async fn again(inner: &Inner, id: &str, headers: &HeaderMap) -> Answer {
    let ended = |life: &Life| life.state(inner.now(), &inner.config.durations).0 == "terminated";
    if inner.state().instances.get(id).is_none_or(ended) {
        let message = "The client token was used for an instance that has been terminated.";
        return Answer::refusal(400, "IdempotentInstanceTerminated", message);
    }
    let asked = [("Action", "DescribeInstances"), ("Version", "2016-11-15"), ("InstanceId.1", id)];
    let body = serde_urlencoded::to_string(asked).unwrap_or_default();
    let answer = inner.upstream.send(headers, body).await;
    let Some(mut document) = Element::parse(&answer.body) else { return answer };
    let Some(mut reservation) = document.at("reservationSet").children.first().cloned() else {
        return answer;
    };
    reservation.at("instancesSet").children.iter_mut().for_each(|item| mend(inner, item));
    let mut made = Element { name: "RunInstancesResponse".to_owned(), ..Element::default() };
    made.children = reservation.children;
    Answer { status: 200, body: made.document() }
}

/// States and addresses as they are at this moment.
fn mend(inner: &Inner, item: &mut Element) {
    let id = item.say("instanceId").to_owned();
    let (now, state) = (inner.now(), inner.state());
    let Some(life) = state.instances.get(&id) else { return };
    let (name, code) = life.state(now, &inner.config.durations);
    let shown = item.at("instanceState");
    shown.at("name").text = name.to_owned();
    shown.at("code").text = code.to_string();
    if let Some(reason) = life.early.as_ref().filter(|_| name == "terminated") {
        let (code, why) = reason.split_once(": ").unwrap_or((reason, "it ended"));
        item.at("stateReason").at("code").text = xml::escaped(code);
        item.at("stateReason").at("message").text = xml::escaped(&format!("{code}: {why}"));
    }
    let up = !matches!(name, "terminated" | "shutting-down");
    item.at("ipAddress").text = state.address(life).filter(|_| up).unwrap_or_default();
    ipv6::show(item, &life.ipv6);
}

async fn describe(inner: &Inner, mut params: Params, headers: &HeaderMap) -> Answer {
    if let Some(refusal) = unknown(inner, &params) {
        return refusal;
    }
    if !by_token(inner, &mut params) {
        let nothing = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
        return Answer { status: 200, body: nothing.to_owned() };
    }
    let by_group = group_filter(&mut params);
    let body = serde_urlencoded::to_string(&params).unwrap_or_default();
    let answer = inner.upstream.send(headers, body).await;
    let Some(mut document) = Element::parse(&answer.body).filter(|_| answer.is_success()) else {
        return answer;
    };
    let visible = |item: &Element| {
        let mut ids = Vec::new();
        item.all("instanceId", &mut ids);
        let state = inner.state();
        let life = ids.first().and_then(|id| state.instances.get(&id.text));
        life.is_some_and(|life| {
            inner.now() - life.born >= inner.config.durations.lag.as_secs_f64()
                && by_group.as_ref().is_none_or(|group| life.groups.contains(group))
                && !is_gone(life, inner)
        })
    };
    let reservations = &mut document.at("reservationSet").children;
    reservations.retain(visible);
    for reservation in reservations {
        reservation.at("instancesSet").children.iter_mut().for_each(|item| mend(inner, item));
    }
    Answer { status: 200, body: document.document() }
}

/// Whether it ended so long ago that nobody knows it any more.
fn is_gone(life: &Life, inner: &Inner) -> bool {
    let now = inner.now();
    life.state(now, &inner.config.durations).0 == "terminated" && now - life.since > MEMORY
}

/// Turns a filter by tokens into one by ids; `false` where nothing has such a token.
fn by_token(inner: &Inner, params: &mut Params) -> bool {
    let Some(number) = filter_number(params, "client-token") else { return true };
    let prefix = format!("Filter.{number}.Value.");
    let tokens: Vec<String> =
        params.iter().filter(|(name, _)| name.starts_with(&prefix)).map(|(_, value)| value.clone()).collect();
    params.retain(|name, _| !name.starts_with(&format!("Filter.{number}.")));
    let state = inner.state();
    let ids: Vec<&String> = tokens.iter().filter_map(|token| Some(&state.tokens.get(token)?.1)).collect();
    if ids.is_empty() {
        return false;
    }
    params.insert(format!("Filter.{number}.Name"), "instance-id".to_owned());
    for (index, id) in ids.into_iter().enumerate() {
        params.insert(format!("Filter.{number}.Value.{}", index + 1), id.clone());
    }
    true
}

/// moto forgets the groups of an instance; they are known here.
fn group_filter(params: &mut Params) -> Option<String> {
    let number = filter_number(params, "instance.group-id")?;
    let group = params.get(&format!("Filter.{number}.Value.1")).cloned();
    params.retain(|name, _| !name.starts_with(&format!("Filter.{number}.")));
    group
}

fn filter_number(params: &Params, wanted: &str) -> Option<usize> {
    (1..10).find(|number| params.get(&format!("Filter.{number}.Name")).is_some_and(|name| name == wanted))
}

/// What the console of what stands behind an instance shows.
async fn console(inner: &Inner, params: &Params) -> Answer {
    let id = params.get("InstanceId").cloned().unwrap_or_default();
    let body = inner.state().instances.get(&id).and_then(|life| life.body.clone());
    let text = match body {
        Some(body) => body.console().await.unwrap_or_default(),
        None => String::new(),
    };
    let output = STANDARD.encode(text);
    let body = format!(
        "<GetConsoleOutputResponse><instanceId>{id}</instanceId><output>{output}</output></GetConsoleOutputResponse>"
    );
    Answer { status: 200, body }
}

/// Why a call that names instances by id is refused: nobody knows one of them, or not yet.
fn unknown(inner: &Inner, params: &Params) -> Option<Answer> {
    let state = inner.state();
    let known = |id: &String| {
        let life = state.instances.get(id);
        life.is_some_and(|life| {
            inner.now() - life.born >= inner.config.durations.lag.as_secs_f64() && !is_gone(life, inner)
        })
    };
    let ids = params.iter().filter(|(name, _)| name.starts_with("InstanceId.")).map(|(_, id)| id);
    let missing = ids.into_iter().find(|id| !known(id))?;
    let message = format!("The instance ID '{missing}' does not exist");
    Some(Answer::refusal(400, "InvalidInstanceID.NotFound", &message))
}

async fn change(inner: &Arc<Inner>, api: &str, params: &Params, headers: &HeaderMap, body: String) -> Answer {
    if let Some(refusal) = unknown(inner, params) {
        return refusal;
    }
    let phase = match api {
        "StartInstances" => Phase::Running,
        "StopInstances" => Phase::Stopped,
        _ => Phase::Terminated,
    };
    let now = inner.now();
    let id = params.get("InstanceId.1").cloned().unwrap_or_default();
    let changed;
    {
        let mut state = inner.state();
        let Some(life) = state.instances.get_mut(&id) else {
            return Answer::refusal(400, "MissingParameter", "no instance is named");
        };
        let (before, _) = life.state(now, &inner.config.durations);
        let fits = matches!(
            (phase, before),
            (Phase::Running, "stopped" | "running" | "pending")
                | (Phase::Stopped, "running" | "stopped" | "stopping")
                | (Phase::Terminated, _)
        );
        if !fits {
            let message =
                format!("The instance '{id}' is not in a state from which it can be changed: {before}.");
            return Answer::refusal(400, "IncorrectInstanceState", &message);
        }
        if phase == Phase::Stopped && life.spot {
            let message =
                "You can't stop the Spot Instance because it is associated with a one-time request.";
            return Answer::refusal(400, "UnsupportedOperation", message);
        }
        changed = life.phase != phase;
        if changed {
            if phase == Phase::Running {
                life.starts += 1;
                life.fixed = inner.bodies.next_address().map(|address| address.to_string());
            }
            (life.phase, life.since) = (phase, now);
        }
    }
    if changed {
        bodies::follow(inner, &id, phase);
    }
    inner.upstream.send(headers, body).await
}

async fn delete_group(inner: &Inner, params: &Params, headers: &HeaderMap, body: String) -> Answer {
    let id = params.get("GroupId").cloned().unwrap_or_default();
    let now = inner.now();
    let used =
        inner.state().instances.values().any(|life| {
            life.groups.contains(&id) && life.state(now, &inner.config.durations).0 != "terminated"
        });
    if used {
        let message = format!("resource {id} has a dependent object");
        return Answer::refusal(400, "DependencyViolation", &message);
    }
    inner.upstream.send(headers, body).await
}

/// What was made a moment ago is not shown yet.
fn lagging(inner: &Inner, api: &str, mut answer: Answer) -> Answer {
    let (set, id) = match api {
        "DescribeAddresses" => ("addressesSet", "allocationId"),
        _ => ("securityGroupInfo", "groupId"),
    };
    let Some(mut document) = Element::parse(&answer.body).filter(|_| answer.is_success()) else {
        return answer;
    };
    let state = inner.state();
    for item in document.at(set).children.iter_mut().filter(|item| item.child("publicIp").is_some()) {
        let known = state.elastic.get(item.say(id)).cloned();
        item.at("publicIp").text = known.unwrap_or_else(|| item.say("publicIp").to_owned());
    }
    let young = |item: &Element| {
        let made = state.made.get(item.say(id));
        made.is_some_and(|made| inner.now() - made < inner.config.durations.lag.as_secs_f64())
    };
    document.at(set).children.retain(|item| !young(item));
    answer.body = document.document();
    answer
}
