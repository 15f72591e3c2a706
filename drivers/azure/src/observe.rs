//! What is there now. Several machines are asked for by one list a subscription; one machine, and what a list that lags
//! does not show, by itself. Addresses are asked for only where they are not known, or may have changed with the state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::try_join_all;
use serde_json::Value;
use wharf_arm::{Arm, Call};
use wharf_driver::{Access, Known, Observation, Reach, Result, Session, State};

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

/// What a list showed, by id in small letters.
type Seen = BTreeMap<String, Value>;

/// What the observations of one command share.
#[derive(Debug, Default)]
struct Looking {
    under_way: AtomicUsize,
    machines: Shared,
    addresses: Shared,
}

/// One list for many: whoever comes while several observations are under way waits for the next one instead of asking by
/// itself. A list is good for those who came before it was begun, and for nobody else.
#[derive(Debug, Default)]
struct Shared(tokio::sync::Mutex<Option<(Instant, Arc<Seen>)>>);

/// One observation under way.
struct UnderWay<'a>(&'a Looking);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    async fn list(&self, arm: &Arm, call: &Call<'_>) -> Result<Arc<Seen>> {
        let came = arm.clock().now();
        let mut last = self.0.lock().await;
        if let Some((begun, seen)) = &*last
            && *begun >= came
        {
            return Ok(Arc::clone(seen));
        }
        let begun = arm.clock().now();
        let listed = arm.list(call).await?.into_iter();
        let by_id = listed.filter_map(|one| Some((one["id"].as_str()?.to_ascii_lowercase(), one)));
        let seen = Arc::new(by_id.collect());
        *last = Some((begun, Arc::clone(&seen)));
        Ok(seen)
    }
}

pub(crate) async fn observe(
    arm: &Arm,
    config: &Config,
    machines: &[Known<'_, Resource>],
    session: &Session,
) -> Result<Vec<Observation>> {
    let looking = session.shared(&format!("azure looking {}", arm.subscription()), Looking::default);
    let others = looking.under_way.fetch_add(1, Ordering::Relaxed);
    let _under_way = UnderWay(&looking);
    let many = machines.len() + others >= MANY && arm.version(MACHINES)? >= LIST_WITH_STATES;
    let [machines_at, addresses_at] =
        [MACHINES, ADDRESSES].map(|kind| format!("/subscriptions/{}/providers/{kind}", arm.subscription()));
    let states = [("statusOnly", "true")];
    let list_machines = Call::get("listing the machines", MACHINES, &machines_at).asking(&states);
    let list_addresses = Call::get("listing the addresses", ADDRESSES, &addresses_at);
    let listed = async |wanted: bool, shared: &Shared, call: &Call<'_>| match many && wanted {
        true => shared.list(arm, call).await,
        false => Ok(Arc::default()),
    };
    // Those of which nothing is known are asked for their addresses, whatever their states are.
    let some_new = machines.iter().any(|known| known.state.is_none());
    let (seen, mut addresses) = tokio::try_join!(
        listed(true, &looking.machines, &list_machines),
        listed(some_new, &looking.addresses, &list_addresses)
    )?;
    let looks = try_join_all(machines.iter().map(|known| look(arm, *known, &seen))).await?;
    let changed = looks.iter().filter(|look| look.has_changed()).count();
    if !some_new && changed >= MANY {
        addresses = listed(true, &looking.addresses, &list_addresses).await?;
    }
    try_join_all(looks.into_iter().map(|look| look.finish(arm, config, &addresses))).await
}

/// What is there of one machine, but for where it is reached.
struct Look<'a> {
    known: Known<'a, Resource>,
    parts: Option<&'a Parts>,
    state: State,
    warnings: Vec<String>,
}

async fn look<'a>(arm: &Arm, known: Known<'a, Resource>, seen: &Seen) -> Result<Look<'a>> {
    let machine = known.made.iter().find_map(|one| Some((one, one.machine.as_ref()?)));
    if let Some((resource, parts)) = machine
        && let Some(there) = machine_at(arm, &resource.id, seen).await?
    {
        let (state, warnings) = judge(&there);
        return Ok(Look { known, parts: Some(parts), state, warnings });
    }
    Ok(Look { known, parts: None, state: rest(arm, known.made).await?, warnings: Vec::new() })
}

impl Look<'_> {
    /// Whether its address may be another than the known one.
    fn has_changed(&self) -> bool {
        self.parts.is_some() && self.known.state != Some(self.state)
    }

    async fn finish(self, arm: &Arm, config: &Config, addresses: &Seen) -> Result<Observation> {
        let reach = match self.parts {
            Some(parts) if self.has_changed() => reach(arm, config, parts, addresses).await?,
            _ => None,
        };
        Ok(Observation { state: self.state, reach, warnings: self.warnings })
    }
}

/// There is no machine: whether there is anything else of its own.
async fn rest(arm: &Arm, made: &[Resource]) -> Result<State> {
    for resource in made.iter().filter(|one| one.ours && !one.shared && one.kind != Kind::Machine) {
        let call = Call::get("looking for what is left", resource.kind.arm(), &resource.id);
        if arm.find(&call).await?.is_some() {
            return Ok(State::Partial);
        }
    }
    Ok(State::Absent)
}

async fn machine_at(arm: &Arm, id: &str, seen: &Seen) -> Result<Option<Value>> {
    let listed = seen.get(&id.to_ascii_lowercase()).filter(|there| power::of(there).is_some());
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

/// How it is reached, when it has an address.
async fn reach(arm: &Arm, config: &Config, parts: &Parts, addresses: &Seen) -> Result<Option<Reach>> {
    let address = address(arm, config, parts, addresses).await?;
    Ok(address.map(|address| Reach {
        ssh_host: address.clone(),
        ssh_port: 22,
        ssh_user: parts.user.clone().unwrap_or_else(|| USER.to_owned()),
        engine_host: address,
        engine_port: parts.engine_port,
        url: None,
        access: Access { jumps: config.jumps.clone(), ..Access::default() },
    }))
}

async fn address(arm: &Arm, config: &Config, parts: &Parts, addresses: &Seen) -> Result<Option<String>> {
    if let (Some(id), false) = (&parts.address, config.use_private) {
        let listed = addresses.get(&id.to_ascii_lowercase()).and_then(public);
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
