//! What is there now. All machines of a region are asked for by one list, also by those that wait for theirs to run; one
//! machine, and what a list that lags does not show, by itself.

use std::sync::Arc;
use std::time::Instant;

use aws_sdk_ec2::types::{Instance, InstanceNetworkInterface, InstanceStateName};
use futures_util::future::try_join_all;
use wharf_driver::{Access, Context, Error, Known, Observation, Reach, Result, State, StoreId};

use crate::address;
use crate::catalog::filter;
use crate::client::Connection;
use crate::config::Config;
use crate::group;
use crate::instance::{self, Seen, by_id, describe};
use crate::resource::Resource;
use crate::tags;

/// Who signs in to every machine that does not say otherwise.
const USER: &str = "wharf";

/// What the observations of one command share: whoever comes while a list is under way waits for the next one instead
/// of asking by itself. A list is good for those who came before it was begun, and for nobody else.
#[derive(Debug, Default)]
pub(crate) struct Looking {
    last: tokio::sync::Mutex<Option<(Instant, StoreId, Seen)>>,
}

impl Looking {
    /// The instances of the store, by id.
    pub(crate) async fn list(&self, connection: &Connection, store: &StoreId) -> Result<Seen> {
        let came = connection.clock.now();
        let mut last = self.last.lock().await;
        if let Some((begun, of, seen)) = &*last
            && *begun >= came
            && of == store
        {
            return Ok(Arc::clone(seen));
        }
        let begun = connection.clock.now();
        let ours = vec![filter(&format!("tag:{}", tags::STORE), &store.0)];
        let found = describe(connection, ours).await.map_err(Error::from)?;
        let by_id = found.into_iter().filter_map(|one| Some((one.instance_id()?.to_owned(), one)));
        let seen: Seen = Arc::new(by_id.collect());
        *last = Some((begun, store.clone(), Arc::clone(&seen)));
        Ok(seen)
    }
}

pub(crate) async fn observe(
    connection: &Connection,
    config: &Config,
    machines: &[Known<'_, Resource>],
    cx: &Context,
) -> Result<Vec<Observation>> {
    let seen = match machines {
        [] | [_] => Seen::default(),
        _ => connection.looking.list(connection, &cx.owner.store).await?,
    };
    try_join_all(machines.iter().map(|known| one(connection, config, known.made, &seen))).await
}

async fn one(
    connection: &Connection,
    config: &Config,
    made: &[Resource],
    seen: &Seen,
) -> Result<Observation> {
    let Some(id) = Resource::instance(made) else { return rest(connection, made).await };
    let there = match seen.get(id) {
        Some(there) => Some(there.clone()),
        None => by_id(connection, id).await?,
    };
    let Some(there) = there.filter(instance::is_there) else { return rest(connection, made).await };
    let state = match instance::state(&there) {
        InstanceStateName::Pending => State::Starting,
        InstanceStateName::Running => State::Running,
        InstanceStateName::Stopping => State::Stopping,
        InstanceStateName::Stopped => State::Stopped,
        _ => State::Unknown,
    };
    Ok(Observation { state, reach: reach(config, made, &there), warnings: Vec::new() })
}

/// There is no instance: whether there is anything else of its own.
async fn rest(connection: &Connection, made: &[Resource]) -> Result<Observation> {
    let mut left = false;
    for resource in made {
        left |= match resource {
            Resource::Group { id, shared: false, .. } => group::by_id(connection, id).await?.is_some(),
            Resource::Address { id, .. } => address::by_id(connection, id).await?.is_some(),
            _ => false,
        };
    }
    let state = if left { State::Partial } else { State::Absent };
    Ok(Observation { state, reach: None, warnings: Vec::new() })
}

fn reach(config: &Config, made: &[Resource], there: &Instance) -> Option<Reach> {
    let (user, ssh_port, engine_port) = made.iter().find_map(|one| match one {
        Resource::Instance { user, ssh_port, engine_port, .. } => Some((user, *ssh_port, *engine_port)),
        _ => None,
    })?;
    let address = address_of(config, there)?;
    Some(Reach {
        ssh_host: address.clone(),
        ssh_port,
        ssh_user: user.clone().unwrap_or_else(|| USER.to_owned()),
        engine_host: address,
        engine_port,
        url: None,
        access: Access { jumps: config.jumps.clone(), ..Access::default() },
    })
}

fn address_of(config: &Config, there: &Instance) -> Option<String> {
    let some = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    if config.ipv6_only {
        let interfaces = there.network_interfaces().iter();
        let first = interfaces
            .flat_map(InstanceNetworkInterface::ipv6_addresses)
            .find_map(|one| some(one.ipv6_address()));
        return some(there.ipv6_address()).or(first);
    }
    let address = if config.use_private { there.private_ip_address() } else { there.public_ip_address() };
    some(address)
}
