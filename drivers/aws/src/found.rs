//! Everything in the region that says whose it is. Volumes and interfaces go with their instance and are not looked for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_ec2::types::{Address, Instance, SecurityGroup, Tag};
use wharf_driver::{Error, Found, Owned, Result, Strange};

use crate::address;
use crate::catalog::filter;
use crate::client::Connection;
use crate::config::Config;
use crate::instance;
use crate::resource::Resource;
use crate::tags;

/// The group that docker-machine makes, and what it says of itself.
const DOCKER_MACHINE: &str = "docker-machine";

pub(crate) async fn find_owned(connection: &Connection, config: &Config) -> Result<Found<Resource>> {
    let marked = || filter("tag-key", tags::STORE);
    let (instances, groups, addresses, left) = tokio::join!(
        instance::describe(connection, vec![marked()]),
        groups(connection, marked()),
        address::those(connection, marked()),
        strange(connection),
    );
    let mut owned = Vec::new();
    let instances = instances.map_err(Error::from)?;
    owned.extend(
        instances
            .iter()
            .filter(|one| instance::is_there(one))
            .filter_map(|one| Some((of_instance(one)?, one.tags()))),
    );
    let (addresses, groups) = (addresses?, groups?);
    owned.extend(addresses.iter().filter_map(|one| Some((of_address(one)?, one.tags()))));
    owned.extend(groups.iter().filter_map(|one| Some((of_group(one)?, one.tags()))));
    let own = owned.iter_mut().filter(|(one, _): &&mut (Owned<Resource>, _)| !one.shared);
    own.for_each(|(one, tags)| one.lacks = tags::lacking(tags, &config.tags));
    let owned = owned.into_iter().map(|(one, _)| one).collect();
    Ok(Found { now: connection.today(), owned, strange: left? })
}

async fn groups(connection: &Connection, filter: aws_sdk_ec2::types::Filter) -> Result<Vec<SecurityGroup>> {
    let call = connection.ec2.describe_security_groups().filters(filter);
    let found = connection.call("DescribeSecurityGroups", call.send()).await.map_err(Error::from)?;
    Ok(found.security_groups.unwrap_or_default())
}

fn of_instance(one: &Instance) -> Option<Owned<Resource>> {
    let launched = one.launch_time().and_then(|time| u64::try_from(time.secs()).ok());
    let name = tags::shown(one.tags()).to_owned();
    let resource = Resource::Instance {
        id: one.instance_id()?.to_owned(),
        name: name.clone(),
        launched: launched.unwrap_or(0),
        user: None,
        ssh_port: 22,
        engine_port: 2376,
    };
    let since = launched.map(|launched| UNIX_EPOCH + Duration::from_secs(launched));
    owned(resource, "instance", name, 0, one.tags(), since)
}

fn of_address(one: &Address) -> Option<Owned<Resource>> {
    let name = tags::shown(one.tags()).to_owned();
    let resource = Resource::Address { id: one.allocation_id()?.to_owned(), name: name.clone() };
    owned(resource, "elastic address", name, 1, one.tags(), None)
}

fn of_group(one: &SecurityGroup) -> Option<Owned<Resource>> {
    let name = one.group_name()?.to_owned();
    let shared = tags::says_shared(one.tags());
    let resource = Resource::Group { id: one.group_id()?.to_owned(), name: name.clone(), shared };
    owned(resource, "security group", name, 2, one.tags(), None)
}

fn owned(
    resource: Resource,
    kind: &'static str,
    name: String,
    stage: u8,
    tags: &[Tag],
    since: Option<SystemTime>,
) -> Option<Owned<Resource>> {
    let (tag, said) = tags::read(tags)?;
    let shared = tags::says_shared(tags);
    let since = since.unwrap_or(said);
    Some(Owned { resource, kind, step: name.clone(), name, shared, stage, tag, lacks: Vec::new(), since })
}

/// What docker-machine leaves: its group, and the instances in it. It marks nothing, so that only names say so.
async fn strange(connection: &Connection) -> Result<Vec<Strange>> {
    let (groups, instances) = tokio::join!(
        groups(connection, filter("group-name", DOCKER_MACHINE)),
        instance::describe(connection, vec![filter("instance.group-name", DOCKER_MACHINE)]),
    );
    let (groups, instances) = (groups?, instances.map_err(Error::from)?);
    let group = |one: &SecurityGroup| Strange {
        kind: "security group".to_owned(),
        name: one.group_id().unwrap_or_default().to_owned(),
        because: "docker-machine calls its group so".to_owned(),
    };
    let instance = |one: &Instance| {
        let id = one.instance_id().unwrap_or_default();
        let name = match tags::shown(one.tags()) {
            "" => id.to_owned(),
            shown => format!("{shown} ({id})"),
        };
        let because = format!("it is in the security group {DOCKER_MACHINE}");
        Strange { kind: "instance".to_owned(), name, because }
    };
    let foreign = |one: &&Instance| instance::is_there(one) && tags::read(one.tags()).is_none();
    let groups = groups.iter().filter(|one| tags::read(one.tags()).is_none()).map(group);
    Ok(instances.iter().filter(foreign).map(instance).chain(groups).collect())
}
