//! What a region offers: instance types and where they are. What is not offered is refused with the nearest that is.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{ArchitectureType, Filter, InstanceType, LocationType, Subnet, Vpc};
use wharf_driver::{Error, Kind, Result};

use crate::action::Place;
use crate::client::Connection;
use crate::config::Config;

/// An instance type that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) name: String,
    /// `x86_64` or `arm64`.
    pub(crate) architecture: String,
    /// Where it is offered.
    pub(crate) zones: BTreeSet<String>,
}

pub(crate) fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// The first type of the wish that the region offers.
pub(crate) async fn choose_type(connection: &Connection, config: &Config) -> Result<Type> {
    let wished = Filter::builder().name("instance-type").set_values(Some(config.types.clone())).build();
    let call = connection.ec2.describe_instance_type_offerings();
    let call = call.location_type(LocationType::AvailabilityZone).filters(wished);
    let offers = connection.call("DescribeInstanceTypeOfferings", call.send()).await.map_err(Error::from)?;
    let offers = offers.instance_type_offerings.unwrap_or_default();
    let zones = |name: &str| {
        let of = offers.iter().filter(|offer| offer.instance_type().is_some_and(|one| one.as_str() == name));
        of.filter_map(|offer| offer.location().map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let Some(name) = config.types.iter().find(|name| !zones(name).is_empty()) else {
        return Err(no_type(connection, &config.types).await);
    };
    let call = connection.ec2.describe_instance_types().instance_types(InstanceType::from(name.as_str()));
    let known = connection.call("DescribeInstanceTypes", call.send()).await.map_err(Error::from)?;
    let architecture = known.instance_types().first().and_then(|one| {
        let all = one.processor_info()?.supported_architectures();
        // Some of the oldest also run 32 bits.
        all.iter().map(ArchitectureType::as_str).find(|one| matches!(*one, "x86_64" | "arm64"))
    });
    let architecture = architecture.unwrap_or("x86_64").to_owned();
    Ok(Type { name: name.clone(), architecture, zones: zones(name) })
}

async fn no_type(connection: &Connection, wished: &[String]) -> Error {
    let mut offered = BTreeSet::new();
    let call = connection.ec2.describe_instance_type_offerings().location_type(LocationType::Region);
    let mut pages = call.into_paginator().items().send();
    while let Some(Ok(offer)) = pages.next().await {
        offered.extend(offer.instance_type().map(|one| one.as_str().to_owned()));
    }
    let first = wished.first().map_or("", String::as_str);
    let message = format!("no instance type of {} is offered in {}", wished.join(", "), connection.region);
    Error::new(Kind::Refused, message)
        .hint(format!("the nearest that are offered: {}", nearest(first, &offered)))
}

/// The three that are spelled most like it.
fn nearest(wished: &str, offered: &BTreeSet<String>) -> String {
    let mut near: Vec<&String> = offered.iter().collect();
    near.sort_by_key(|name| strsim::damerau_levenshtein(wished, name));
    let names: Vec<&str> = near.into_iter().take(3).map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The VPC, and the subnets that may hold the machine, the best one first.
pub(crate) async fn places(
    connection: &Connection,
    config: &Config,
    wished: &Type,
) -> Result<(String, Vec<Place>)> {
    let mut subnets = match &config.subnet {
        Some(subnet) => vec![subnet_of(connection, subnet).await?],
        None => {
            let vpc = match &config.vpc {
                Some(vpc) => vpc.clone(),
                None => default_vpc(connection).await?,
            };
            subnets_of(connection, &vpc).await?
        }
    };
    let vpc = subnets.first().and_then(Subnet::vpc_id).unwrap_or_default().to_owned();
    if let Some(wished) = config.vpc.as_ref().filter(|wished| **wished != vpc) {
        let message = format!("the subnet is in the VPC {vpc}, and not in {wished}");
        return Err(Error::new(Kind::Refused, message).hint("leave --aws-vpc-id out: the subnet says it"));
    }
    let all: BTreeSet<String> =
        subnets.iter().filter_map(|one| one.availability_zone().map(str::to_owned)).collect();
    if let Some(zone) = &config.zone {
        let zone = zone_name(zone, &connection.region);
        subnets.retain(|one| one.availability_zone() == Some(&zone));
        if subnets.is_empty() {
            let message = format!("there is no subnet in the zone `{zone}`");
            return Err(Error::new(Kind::Refused, message).hint(format!("there are some in {}", list(&all))));
        }
    }
    if config.ipv6 > 0 {
        subnets.retain(|one| !one.ipv6_cidr_block_association_set().is_empty());
        if subnets.is_empty() {
            return Err(Error::new(Kind::Refused, "no subnet that may hold the machine has an IPv6 network")
                .hint("give one a network, or name another with --aws-subnet-id"));
        }
    }
    let zones: BTreeSet<String> =
        subnets.iter().filter_map(|one| one.availability_zone().map(str::to_owned)).collect();
    subnets.retain(|one| one.availability_zone().is_some_and(|zone| wished.zones.contains(zone)));
    if subnets.is_empty() {
        let message = format!("{} is not offered in {}", wished.name, list(&zones));
        return Err(
            Error::new(Kind::Refused, message).hint(format!("it is offered in {}", list(&wished.zones)))
        );
    }
    Ok((vpc, order(&subnets)))
}

/// One subnet a zone, in the order of the zones, so that two plans are the same.
fn order(subnets: &[Subnet]) -> Vec<Place> {
    let place = |one: &Subnet| {
        Some(Place { subnet: one.subnet_id()?.to_owned(), zone: one.availability_zone()?.to_owned() })
    };
    let mut places: Vec<Place> = subnets.iter().filter_map(place).collect();
    places.sort_by(|a, b| (&a.zone, &a.subnet).cmp(&(&b.zone, &b.subnet)));
    places.dedup_by(|a, b| a.zone == b.zone);
    places
}

async fn subnet_of(connection: &Connection, id: &str) -> Result<Subnet> {
    let found =
        connection.call("DescribeSubnets", connection.ec2.describe_subnets().subnet_ids(id).send()).await;
    let found = match found {
        Ok(found) => found.subnets.unwrap_or_default(),
        Err(trouble) if trouble.is_not_found() => Vec::new(),
        Err(trouble) => return Err(trouble.into()),
    };
    found.into_iter().next().ok_or_else(|| {
        Error::new(Kind::Refused, format!("there is no subnet `{id}` in {}", connection.region))
            .hint("subnets are each region's and account's own: check both")
    })
}

async fn subnets_of(connection: &Connection, vpc: &str) -> Result<Vec<Subnet>> {
    let call = connection.ec2.describe_subnets().filters(filter("vpc-id", vpc));
    let found = connection.call("DescribeSubnets", call.send()).await.map_err(Error::from)?;
    let found = found.subnets.unwrap_or_default();
    if found.is_empty() {
        let message = format!("there is no VPC `{vpc}` with a subnet in {}", connection.region);
        return Err(Error::new(Kind::Refused, message).hint("name another one, or make a subnet in it"));
    }
    Ok(found)
}

async fn default_vpc(connection: &Connection) -> Result<String> {
    let call = connection.ec2.describe_vpcs().filters(filter("is-default", "true"));
    let found = connection.call("DescribeVpcs", call.send()).await.map_err(Error::from)?;
    found.vpcs().first().and_then(Vpc::vpc_id).map(str::to_owned).ok_or_else(|| {
        Error::new(Kind::Refused, format!("the account has no default VPC in {}", connection.region)).hint(
            "name a network with --aws-vpc-id or --aws-subnet-id, or have one made by `aws ec2 create-default-vpc`",
        )
    })
}

/// The ids of groups that a person named by id or by name.
pub(crate) async fn groups(connection: &Connection, wished: &[String], vpc: &str) -> Result<Vec<String>> {
    if wished.is_empty() {
        return Ok(Vec::new());
    }
    let call = connection.ec2.describe_security_groups().filters(filter("vpc-id", vpc));
    let found = connection.call("DescribeSecurityGroups", call.send()).await.map_err(Error::from)?;
    let one = |wished: &String| {
        let is = |given: Option<&str>| given == Some(wished.as_str());
        let found = found.security_groups().iter().find(|one| is(one.group_id()) || is(one.group_name()));
        found.and_then(|one| one.group_id()).map(str::to_owned).ok_or_else(|| {
            Error::new(Kind::Refused, format!("there is no security group `{wished}` in the VPC {vpc}"))
                .hint("leave --aws-security-group out, and one is made and removed as needed")
        })
    };
    wished.iter().map(one).collect()
}

/// docker-machine names a zone by its letter.
fn zone_name(zone: &str, region: &str) -> String {
    if zone.len() == 1 { format!("{region}{zone}") } else { zone.to_owned() }
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_those_spelled_alike() {
        let offered = ["t3.micro", "t3.small", "t2.small", "m5.large"].map(str::to_owned).into();
        assert_eq!(nearest("t3.smal", &offered), "t3.small, t2.small, t3.micro");
        assert_eq!(nearest("x", &BTreeSet::new()), "none");
    }

    #[test]
    fn a_zone_has_one_place() {
        let subnet = |id: &str, zone: &str| Subnet::builder().subnet_id(id).availability_zone(zone).build();
        let places = order(&[subnet("s-3", "b"), subnet("s-2", "a"), subnet("s-1", "a")]);
        let places: Vec<_> = places.iter().map(|place| place.subnet.as_str()).collect();
        assert_eq!(places, ["s-1", "s-3"]);
        assert_eq!(zone_name("a", "eu-west-1"), "eu-west-1a");
    }
}
