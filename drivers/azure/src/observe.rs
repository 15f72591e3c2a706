//! What is there now. Several machines are asked for by one list a subscription; one machine, and what a list that lags
//! does not show, by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::try_join_all;
use serde_json::Value;
use wharf_arm::{Arm, Call};
use wharf_driver::{Access, Observation, Reach, Result, Session, State};

use crate::config::Config;
use crate::kind::{ADDRESSES, INTERFACES, Kind, MACHINES};
use crate::power;
use crate::resource::{Parts, Resource};

/// From so many on a list is less than asking one by one.
const MANY: usize = 2;
/// A list that shows what each machine does is known from here on.
const LIST_WITH_STATES: &str = "2020-06-01";
/// Who signs in to every machine that does not say otherwise.
const USER: &str = "wharf";

/// What lists showed, by id in small letters.
#[derive(Debug, Default)]
struct Seen {
    machines: BTreeMap<String, Value>,
    addresses: BTreeMap<String, Value>,
}

/// What the observations of one command share: whoever comes while several are under way waits for the next list
/// instead of asking by itself. A list is good for those who came before it was begun, and for nobody else.
#[derive(Debug, Default)]
struct Looking {
    under_way: AtomicUsize,
    last: tokio::sync::Mutex<Option<(Instant, Arc<Seen>)>>,
}

/// One observation under way.
struct Look<'a>(&'a Looking);

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Looking {
    async fn list(&self, arm: &Arm) -> Result<Arc<Seen>> {
        let came = arm.clock().now();
        let mut last = self.last.lock().await;
        if let Some((begun, seen)) = &*last
            && *begun >= came
        {
            return Ok(Arc::clone(seen));
        }
        let begun = arm.clock().now();
        let seen = Arc::new(list(arm).await?);
        *last = Some((begun, Arc::clone(&seen)));
        Ok(seen)
    }
}

pub(crate) async fn observe(
    arm: &Arm,
    config: &Config,
    machines: &[&[Resource]],
    session: &Session,
) -> Result<Vec<Observation>> {
    let looking = session.shared(&format!("azure looking {}", arm.subscription()), Looking::default);
    let others = looking.under_way.fetch_add(1, Ordering::Relaxed);
    let _look = Look(&looking);
    let seen = if machines.len() + others >= MANY && arm.version(MACHINES)? >= LIST_WITH_STATES {
        looking.list(arm).await?
    } else {
        Arc::default()
    };
    try_join_all(machines.iter().map(|made| one(arm, config, made, &seen))).await
}

async fn list(arm: &Arm) -> Result<Seen> {
    let path = |kind: &str| format!("/subscriptions/{}/providers/{kind}", arm.subscription());
    let (machines, addresses) = (path(MACHINES), path(ADDRESSES));
    let states = [("statusOnly", "true")];
    let machines = Call::get("listing the machines", MACHINES, &machines).asking(&states);
    let addresses = Call::get("listing the addresses", ADDRESSES, &addresses);
    let (machines, addresses) = tokio::try_join!(arm.list(&machines), arm.list(&addresses))?;
    let by_id = |list: Vec<Value>| {
        list.into_iter().filter_map(|one| Some((one["id"].as_str()?.to_ascii_lowercase(), one))).collect()
    };
    Ok(Seen { machines: by_id(machines), addresses: by_id(addresses) })
}

async fn one(arm: &Arm, config: &Config, made: &[Resource], seen: &Seen) -> Result<Observation> {
    let machine = made.iter().find_map(|one| Some((one, one.machine.as_ref()?)));
    let Some((resource, parts)) = machine else { return rest(arm, made).await };
    let Some(there) = machine_at(arm, &resource.id, seen).await? else { return rest(arm, made).await };
    let (state, warnings) = judge(&there);
    let address = address(arm, config, parts, seen).await?;
    let reach = address.map(|address| Reach {
        ssh_host: address.clone(),
        ssh_port: 22,
        ssh_user: parts.user.clone().unwrap_or_else(|| USER.to_owned()),
        engine_host: address,
        engine_port: parts.engine_port,
        url: None,
        access: Access { jumps: config.jumps.clone(), ..Access::default() },
    });
    Ok(Observation { state, reach, warnings })
}

/// There is no machine: whether there is anything else of its own.
async fn rest(arm: &Arm, made: &[Resource]) -> Result<Observation> {
    for resource in made.iter().filter(|one| one.ours && !one.shared && one.kind != Kind::Machine) {
        let call = Call::get("looking for what is left", resource.kind.arm(), &resource.id);
        if arm.find(&call).await?.is_some() {
            return Ok(Observation { state: State::Partial, reach: None, warnings: Vec::new() });
        }
    }
    Ok(Observation { state: State::Absent, reach: None, warnings: Vec::new() })
}

async fn machine_at(arm: &Arm, id: &str, seen: &Seen) -> Result<Option<Value>> {
    let listed = seen.machines.get(&id.to_ascii_lowercase()).filter(|there| power::of(there).is_some());
    if let Some(there) = listed {
        return Ok(Some(there.clone()));
    }
    let query = [("$expand", "instanceView")];
    Ok(arm.find(&Call::get("looking at the machine", MACHINES, id).asking(&query)).await?)
}

fn judge(there: &Value) -> (State, Vec<String>) {
    let provisioning = there["properties"]["provisioningState"].as_str().unwrap_or_default();
    let mut warnings = Vec::new();
    let state = match (power::of(there), provisioning) {
        (_, "Creating") => State::Starting,
        (_, "Deleting") | (Some("stopping" | "deallocating"), _) => State::Stopping,
        (Some("running"), _) => State::Running,
        (Some("starting"), _) => State::Starting,
        (Some("deallocated"), _) => State::Stopped,
        (Some("stopped"), _) => {
            warnings.push("it is off and still paid for: `wharf stop` gives its place back".to_owned());
            State::Stopped
        }
        (None, "Failed") => State::Partial,
        _ => State::Unknown,
    };
    if provisioning == "Failed" {
        warnings.push("the cloud says that making or changing it failed".to_owned());
    }
    (state, warnings)
}

/// Where it is reached.
async fn address(arm: &Arm, config: &Config, parts: &Parts, seen: &Seen) -> Result<Option<String>> {
    if let (Some(id), false) = (&parts.address, config.use_private) {
        let listed = seen.addresses.get(&id.to_ascii_lowercase()).and_then(public);
        if listed.is_some() {
            return Ok(listed);
        }
        let there = arm.find(&Call::get("looking for the address", ADDRESSES, id)).await?;
        return Ok(there.as_ref().and_then(public));
    }
    let call = Call::get("looking for the address", INTERFACES, &parts.interface);
    let there = arm.find(&call).await?;
    let configurations = there.as_ref().and_then(|there| there["properties"]["ipConfigurations"].as_array());
    let first = configurations.and_then(|all| all.first()?["properties"]["privateIPAddress"].as_str());
    Ok(first.map(str::to_owned))
}

fn public(address: &Value) -> Option<String> {
    address["properties"]["ipAddress"].as_str().map(str::to_owned)
}
