//! Removes one thing. Being gone already is success; what others still use of what is shared is left. An instance is not
//! waited for, but for its group: that goes when the last instance that was in it has ended.

use std::time::{Duration, UNIX_EPOCH};

use wharf_driver::{Context, Error, Kind, Result};

use crate::address;
use crate::catalog::filter;
use crate::client::Connection;
use crate::instance::{describe, is_there, pause};
use crate::resource::Resource;
use crate::tags;

/// So long after its making, that nobody knows an instance means nothing.
const VISIBLE_AFTER: Duration = Duration::from_secs(30);

pub(crate) async fn destroy(connection: &Connection, resource: &Resource, cx: &Context) -> Result<()> {
    match resource {
        Resource::Group { id, name, shared } => remove_group(connection, id, name, *shared, cx).await,
        Resource::Instance { id, launched, .. } => terminate(connection, id, *launched).await,
        Resource::Address { id, .. } => address::release(connection, id).await,
    }
}

async fn terminate(connection: &Connection, id: &str, launched: u64) -> Result<()> {
    let call = connection.ec2.terminate_instances().instance_ids(id);
    match connection.call("TerminateInstances", call.send()).await {
        Ok(_) => Ok(()),
        Err(trouble) if trouble.is_not_found() => {
            let since = connection.clock.wall().duration_since(UNIX_EPOCH + Duration::from_secs(launched));
            if since.is_ok_and(|since| since > VISIBLE_AFTER) {
                return Ok(());
            }
            let error = Error::from(trouble);
            Err(Error::new(Kind::Transient, error.to_string()).caused_by(error))
        }
        Err(trouble) if trouble.is("OperationNotPermitted") => Err(Error::from(trouble).hint(
            "it is protected: `aws ec2 modify-instance-attribute --no-disable-api-termination` ends that",
        )),
        Err(trouble) => Err(trouble.into()),
    }
}

async fn remove_group(
    connection: &Connection,
    id: &str,
    name: &str,
    shared: bool,
    cx: &Context,
) -> Result<()> {
    // Removed by its id, which nobody ever has again. Nobody is asked first: of what is new, answers may not know yet.
    loop {
        let call = connection.ec2.delete_security_group().group_id(id);
        match connection.call("DeleteSecurityGroup", call.send()).await {
            Ok(_) => return Ok(()),
            Err(trouble) if trouble.is_not_found() => return Ok(()),
            Err(trouble) if trouble.is("DependencyViolation") || trouble.is("InvalidGroup.InUse") => {}
            Err(trouble) => return Err(trouble.into()),
        }
        if let Some(user) = foreign_user(connection, id, cx).await? {
            let kind = if shared { Kind::InUse } else { Kind::Failed };
            return Err(Error::new(kind, format!("the security group {name} is left: {user} uses it"))
                .hint("whoever uses it may remove it later"));
        }
        pause(connection, cx, "waiting until the instances of the security group have ended").await?;
    }
}

/// Who uses the group that will not go by itself.
async fn foreign_user(connection: &Connection, id: &str, cx: &Context) -> Result<Option<String>> {
    let instances = describe(connection, vec![filter("instance.group-id", id)]).await.map_err(Error::from)?;
    if let Some(one) = instances.iter().find(|one| is_there(one)) {
        return Ok(one.instance_id().map(|id| format!("the instance {id}")));
    }
    let call = connection.ec2.describe_network_interfaces().filters(filter("group-id", id));
    let found = connection.call("DescribeNetworkInterfaces", call.send()).await.map_err(Error::from)?;
    let ours = |tags: &[aws_sdk_ec2::types::Tag]| {
        tags::read(tags).is_some_and(|(owner, _)| owner.store == cx.owner.store)
    };
    let of_ending = |one: &aws_sdk_ec2::types::NetworkInterface| {
        let attached = one.attachment().and_then(|attachment| attachment.instance_id());
        attached.is_some_and(|id| instances.iter().any(|instance| instance.instance_id() == Some(id)))
    };
    let foreign = found.network_interfaces().iter().find(|one| !ours(one.tag_set()) && !of_ending(one));
    Ok(foreign.and_then(|one| one.network_interface_id()).map(|id| format!("the network interface {id}")))
}
