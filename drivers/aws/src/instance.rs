//! Instances: made under a token that the journal key gives, in the first zone that has room, and waited for until they
//! run. An attempt in another zone has a token of its own, and is made only when the one before it was refused or is
//! gone; so a repeated call never makes a second instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, Filter, HttpTokensState, IamInstanceProfileSpecification, Instance,
    InstanceMarketOptionsRequest, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceMetadataProtocolState, InstanceNetworkInterfaceSpecification, InstanceStateName, InstanceType,
    MarketType, Placement, ResourceType, ShutdownBehavior, SpotMarketOptions, Tenancy, VolumeType,
};
use wharf_driver::{ActionKey, Context, Error, Kind, Result};

use crate::action::{Action, Machine, Place};
use crate::client::Connection;
use crate::errors::Trouble;
use crate::names;
use crate::resource::Resource;
use crate::seed;
use crate::tags;

/// The most attempts that are ever looked for.
const MOST_TRIES: usize = 32;
/// Between two looks at something that is on its way.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// The instance, made or found, and running.
pub(crate) async fn perform(
    connection: &Connection,
    action: &Action,
    wish: &Machine,
    made: &[Resource],
    cx: &Context,
) -> Result<Resource> {
    // Another call of this command may be further than what a list that lags shows.
    let tries = cx.session.shared(&format!("aws tries {}", cx.key.as_str()), AtomicUsize::default);
    let there = under_tokens(connection, &cx.key).await?;
    if let Some((_, alive)) = there.iter().find(|(_, instance)| is_there(instance)) {
        return until_running(connection, action, wish, alive, cx).await;
    }
    let mut gone = there.iter().map(|(index, _)| index + 1).max().unwrap_or(0);
    let first = tries.load(Ordering::Relaxed).max(gone);
    let groups = groups(wish, made)?;
    let mut full: Vec<(&Place, Error)> = Vec::new();
    // The place follows from the attempt: a repeated call must ask for the same.
    for (index, place) in wish.places.iter().cycle().enumerate().take(MOST_TRIES).skip(first) {
        if full.iter().any(|(asked, _)| std::ptr::eq(*asked, place)) {
            if full.len() == wish.places.len() {
                break;
            }
            continue;
        }
        tries.store(index, Ordering::Relaxed);
        cx.progress.say(&format!("asking for an instance in {}", place.zone));
        match run(connection, action, wish, place, &groups, &token(&cx.key, index), cx).await {
            Ok(instance) => match until_running(connection, action, wish, &instance, cx).await {
                Err(error) if error.kind() == Kind::Quota => full.push((place, error)),
                done => return done,
            },
            Err(Trouble::Said(fault)) if fault.is_capacity() => {
                full.push((place, Trouble::Said(fault).of_making()));
            }
            // Ended so long ago that no list shows it any more; its token stays spent.
            Err(trouble) if trouble.is("IdempotentInstanceTerminated") => gone = index + 1,
            Err(trouble) => return Err(refused(trouble)),
        }
        // What was refused is settled: whoever comes back begins behind it.
        tries.store(index + 1, Ordering::Relaxed);
    }
    if full.is_empty() {
        return Err(Error::new(Kind::Failed, format!("each of {MOST_TRIES} instances ended before it ran"))
            .hint("`rm` the machine, and create it anew"));
    }
    // All zones were asked; next time they all are again.
    tries.store(gone, Ordering::Relaxed);
    Err(no_room(wish, full))
}

/// What is there of a started action; `None` when nothing is yet.
pub(crate) async fn settle(
    connection: &Connection,
    action: &Action,
    wish: &Machine,
    cx: &Context,
) -> Result<Option<Resource>> {
    let there = under_tokens(connection, &cx.key).await?;
    let alive = there.iter().find(|(_, instance)| is_there(instance));
    Ok(alive.map(|(_, instance)| resource(action, wish, instance)))
}

/// Whether it is there: what is on its way out is not.
pub(crate) fn is_there(instance: &Instance) -> bool {
    !matches!(state(instance), InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
}

/// What it does.
pub(crate) fn state(instance: &Instance) -> InstanceStateName {
    let name = instance.state().and_then(|state| state.name()).cloned();
    name.unwrap_or(InstanceStateName::Pending)
}

/// Every instance of a request.
pub(crate) async fn describe(
    connection: &Connection,
    filters: Vec<Filter>,
) -> Result<Vec<Instance>, Trouble> {
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let call = connection.ec2.describe_instances().set_filters(Some(filters.clone()));
        let call = call.max_results(PAGE).set_next_token(next);
        let page = connection.call("DescribeInstances", call.send()).await?;
        let reservations = page.reservations.unwrap_or_default();
        found.extend(reservations.into_iter().flat_map(|one| one.instances.unwrap_or_default()));
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(found);
        }
    }
}

const PAGE: i32 = 1000;

/// The instance of this id; `None` where nobody knows it (yet).
pub(crate) async fn by_id(connection: &Connection, id: &str) -> Result<Option<Instance>> {
    let call = connection.ec2.describe_instances().instance_ids(id);
    match connection.call("DescribeInstances", call.send()).await {
        Ok(page) => {
            let reservations = page.reservations.unwrap_or_default();
            Ok(reservations.into_iter().flat_map(|one| one.instances.unwrap_or_default()).next())
        }
        Err(trouble) if trouble.is_not_found() => Ok(None),
        Err(trouble) => Err(trouble.into()),
    }
}

/// Pauses before the next look, unless the time is over or the person had enough.
pub(crate) async fn pause(connection: &Connection, cx: &Context, what: &str) -> Result<()> {
    if cx.cancel.is_cancelled() {
        return Err(Error::new(Kind::Cancelled, format!("interrupted while {what}")));
    }
    if connection.clock.now() + PAUSE >= cx.deadline {
        return Err(Error::new(Kind::TimedOut, format!("{what} did not end before the deadline"))
            .hint("run the command again to go on, or give it more time with --timeout"));
    }
    connection.clock.sleep(PAUSE).await;
    Ok(())
}

/// What was made under the tokens of this key, with the attempts.
async fn under_tokens(connection: &Connection, key: &ActionKey) -> Result<Vec<(usize, Instance)>> {
    let tokens: Vec<String> = (0..MOST_TRIES).map(|index| token(key, index)).collect();
    let filter = Filter::builder().name("client-token").set_values(Some(tokens.clone())).build();
    let found = describe(connection, vec![filter]).await.map_err(Error::from)?;
    let index = |one: &Instance| tokens.iter().position(|token| Some(token.as_str()) == one.client_token());
    Ok(found.into_iter().filter_map(|one| Some((index(&one)?, one))).collect())
}

/// The token of one attempt: sixty-four characters are what EC2 takes.
fn token(key: &ActionKey, index: usize) -> String {
    if index == 0 { key.as_str().to_owned() } else { names::digest(format!("{} {index}", key.as_str()), 64) }
}

fn groups(wish: &Machine, made: &[Resource]) -> Result<Vec<String>> {
    let own = wish.group.as_ref().map(|wanted| {
        made.iter().find_map(|one| match one {
            Resource::Group { id, name, .. } if name == wanted => Some(id.clone()),
            _ => None,
        })
    });
    match own {
        Some(None) => {
            Err(Error::new(Kind::Failed, "the security group of the machine was not made before it"))
        }
        own => Ok(own.flatten().into_iter().chain(wish.groups.clone()).collect()),
    }
}

async fn run(
    connection: &Connection,
    action: &Action,
    wish: &Machine,
    place: &Place,
    groups: &[String],
    token: &str,
    cx: &Context,
) -> Result<Instance, Trouble> {
    let user_data = seed::birth(cx, wish.user.as_deref(), wish.user_data.as_ref());
    let user_data = user_data.map_err(Trouble::Lost)?;
    let tagged = |kind| tags::in_call(kind, &action.name, &cx.owner, &action.tags, false);
    let mut call = connection
        .ec2
        .run_instances()
        .client_token(token)
        .image_id(&wish.image)
        .instance_type(InstanceType::from(wish.instance_type.as_str()))
        .min_count(1)
        .max_count(1)
        .user_data(user_data)
        .block_device_mappings(disk(wish))
        .network_interfaces(interface(wish, place, groups))
        .metadata_options(metadata(wish))
        .ebs_optimized(wish.ebs_optimized)
        // Who powers off from within because the time is over pays for nothing any more.
        .set_instance_initiated_shutdown_behavior(cx.owner.expires.map(|_| ShutdownBehavior::Terminate))
        .set_key_name(wish.key_pair.clone())
        .set_placement(placement(wish))
        .set_instance_market_options(market(wish))
        .set_iam_instance_profile(wish.profile.as_deref().map(profile))
        .tag_specifications(tagged(ResourceType::Instance))
        .tag_specifications(tagged(ResourceType::Volume))
        .tag_specifications(tagged(ResourceType::NetworkInterface));
    if wish.spot.is_some() {
        call = call.tag_specifications(tagged(ResourceType::SpotInstancesRequest));
    }
    if wish.monitoring {
        let on = aws_sdk_ec2::types::RunInstancesMonitoringEnabled::builder().enabled(true).build();
        call = call.monitoring(on);
    }
    let made = connection.call("RunInstances", call.send()).await?;
    made.instances.unwrap_or_default().into_iter().next().ok_or_else(|| {
        Trouble::Lost(Error::new(Kind::Transient, "RunInstances answered without an instance"))
    })
}

fn disk(wish: &Machine) -> BlockDeviceMapping {
    let ebs = EbsBlockDevice::builder()
        .delete_on_termination(true)
        .encrypted(wish.disk.encrypted)
        .set_kms_key_id(wish.disk.key.clone())
        .set_volume_size(wish.disk.size_gib)
        .set_iops(wish.disk.iops)
        .volume_type(VolumeType::from(wish.disk.kind.as_str()))
        .build();
    BlockDeviceMapping::builder().device_name(&wish.root_device).ebs(ebs).build()
}

fn interface(wish: &Machine, place: &Place, groups: &[String]) -> InstanceNetworkInterfaceSpecification {
    let interface = InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .subnet_id(&place.subnet)
        .set_groups(Some(groups.to_vec()))
        .associate_public_ip_address(wish.public)
        .delete_on_termination(true);
    if wish.ipv6 == 0 {
        return interface.build();
    }
    interface.ipv6_address_count(wish.ipv6).primary_ipv6(wish.primary_ipv6).build()
}

fn metadata(wish: &Machine) -> InstanceMetadataOptionsRequest {
    use InstanceMetadataEndpointState as Endpoint;
    use InstanceMetadataProtocolState as Protocol;
    let wish = &wish.metadata;
    InstanceMetadataOptionsRequest::builder()
        .http_endpoint(if wish.enabled { Endpoint::Enabled } else { Endpoint::Disabled })
        .http_tokens(if wish.tokens_required { HttpTokensState::Required } else { HttpTokensState::Optional })
        .http_put_response_hop_limit(wish.hops)
        .http_protocol_ipv6(if wish.ipv6 { Protocol::Enabled } else { Protocol::Disabled })
        .build()
}

fn placement(wish: &Machine) -> Option<Placement> {
    if wish.placement_group.is_none() && wish.tenancy.is_none() {
        return None;
    }
    let placement = Placement::builder().set_group_name(wish.placement_group.clone());
    Some(placement.set_tenancy(wish.tenancy.as_deref().map(Tenancy::from)).build())
}

fn market(wish: &Machine) -> Option<InstanceMarketOptionsRequest> {
    let spot = wish.spot.as_ref()?;
    let options = SpotMarketOptions::builder().set_max_price(spot.most.clone()).build();
    Some(InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(options).build())
}

fn profile(name: &str) -> IamInstanceProfileSpecification {
    let profile = IamInstanceProfileSpecification::builder();
    if name.starts_with("arn:") { profile.arn(name).build() } else { profile.name(name).build() }
}

/// Waits until it runs: only then is it known that there was room for it.
async fn until_running(
    connection: &Connection,
    action: &Action,
    wish: &Machine,
    instance: &Instance,
    cx: &Context,
) -> Result<Resource> {
    let resource = resource(action, wish, instance);
    let id = instance.instance_id().unwrap_or_default();
    loop {
        // One list for all that wait; what it does not show yet was made a moment ago.
        let seen = connection.looking.list(connection, &cx.owner.store).await?;
        match seen.get(id).map(|there| (state(there), there)) {
            Some((InstanceStateName::Pending, _)) | None => {}
            Some((InstanceStateName::ShuttingDown | InstanceStateName::Terminated, there)) => {
                return Err(ended(id, there));
            }
            Some(_) => return Ok(resource),
        }
        pause(connection, cx, "waiting for the instance to run").await?;
    }
}

fn resource(action: &Action, wish: &Machine, instance: &Instance) -> Resource {
    Resource::Instance {
        id: instance.instance_id().unwrap_or_default().to_owned(),
        name: action.name.clone(),
        launched: instance.launch_time().and_then(|time| u64::try_from(time.secs()).ok()).unwrap_or(0),
        user: wish.user.clone(),
        ssh_port: wish.ssh_port,
        engine_port: wish.engine_port,
    }
}

/// It was taken away again before it ran.
fn ended(id: &str, instance: &Instance) -> Error {
    let reason = instance.state_reason();
    let code = reason.and_then(|reason| reason.code()).unwrap_or_default();
    let message = reason.and_then(|reason| reason.message()).unwrap_or("EC2 does not say why");
    let kind = if code.contains("Insufficient") || code.contains("LimitExceeded") || code.contains("Spot") {
        Kind::Quota
    } else {
        Kind::Failed
    };
    let hint = match code {
        "Client.InternalError" => "the key of --aws-kms-key may be one that this account may not use",
        _ if kind == Kind::Quota => "try another --aws-instance-type or --aws-zone, or later",
        _ => "create the machine again, or `rm` to remove what is left",
    };
    Error::new(kind, format!("the instance {id} ended before it ran: {message} ({code})")).hint(hint)
}

fn refused(trouble: Trouble) -> Error {
    let passing = ["InvalidGroup.NotFound", "InvalidGroupId.NotFound", "InvalidSecurityGroupID.NotFound"];
    if passing.iter().any(|code| trouble.is(code)) {
        // Made a moment ago; not every server knows it yet.
        let error = Error::from(trouble);
        return Error::new(Kind::Transient, error.to_string()).leaving_nothing().caused_by(error);
    }
    if trouble.is("IdempotentParameterMismatch") {
        return Error::from(trouble)
            .leaving_something()
            .hint("the machine was begun with another wish: `rm` it, and create it anew");
    }
    trouble.of_making()
}

/// No zone had room; what the last one said, and which were asked.
fn no_room(wish: &Machine, full: Vec<(&Place, Error)>) -> Error {
    let zones: Vec<&str> = full.iter().map(|(place, _)| place.zone.as_str()).collect();
    let message = format!("no room for {} in {}", wish.instance_type, zones.join(", "));
    let error = Error::new(Kind::Quota, message)
        .hint("try another --aws-instance-type, or leave --aws-zone and --aws-subnet-id open, or try later")
        .leaving_nothing();
    match full.into_iter().next_back() {
        Some((_, cause)) => error.caused_by(cause),
        None => error,
    }
}

/// What an observation shares with everybody who waits.
pub(crate) type Seen = Arc<std::collections::BTreeMap<String, Instance>>;
