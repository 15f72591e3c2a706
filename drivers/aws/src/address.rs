//! An elastic address of the machine: taken, and tied to its instance. Taking one knows no token, so an answer that was
//! lost is waited for by the address's tags before anybody takes another one.

use aws_sdk_ec2::types::{Address, DomainType, Filter, ResourceType};
use wharf_driver::{Context, Error, Kind, Result};

use crate::action::Action;
use crate::catalog::filter;
use crate::client::Connection;
use crate::errors::{Fault, Trouble};
use crate::instance::pause;
use crate::resource::Resource;
use crate::tags;

/// So many looks after a lost answer, a second between two.
const LOOKS: u32 = 20;

/// The address, taken and tied.
pub(crate) async fn perform(
    connection: &Connection,
    action: &Action,
    made: &[Resource],
    cx: &Context,
) -> Result<Resource> {
    let Some(instance) = Resource::instance(made) else {
        return Err(Error::new(Kind::Failed, "the instance of the address was not made before it"));
    };
    let there = match own(connection, cx).await?.into_iter().next() {
        Some(there) => there,
        None => take(connection, action, cx).await?,
    };
    let id = there.allocation_id().unwrap_or_default().to_owned();
    if there.instance_id() != Some(instance) {
        let call = connection.ec2.associate_address().allocation_id(&id).instance_id(instance);
        match connection.call("AssociateAddress", call.send()).await {
            Ok(_) => {}
            Err(trouble) if trouble.is_not_found() || trouble.is("Resource.AlreadyAssociated") => {
                // Taken a moment ago, or tied by a call of ours whose answer was lost.
                let error = Error::from(trouble);
                return Err(Error::new(Kind::Transient, error.to_string()).caused_by(error));
            }
            Err(trouble) => return Err(Error::from(trouble).leaving_something()),
        }
    }
    Ok(Resource::Address { id, name: action.name.clone() })
}

/// What is there of a started action; `None` when nothing is yet.
pub(crate) async fn settle(
    connection: &Connection,
    action: &Action,
    cx: &Context,
) -> Result<Option<Resource>> {
    let there = own(connection, cx).await?.into_iter().next();
    let id = there.and_then(|there| there.allocation_id);
    Ok(id.map(|id| Resource::Address { id, name: action.name.clone() }))
}

/// Gives the address back.
pub(crate) async fn release(connection: &Connection, id: &str) -> Result<()> {
    let there = by_id(connection, id).await?;
    if let Some(association) = there.as_ref().and_then(Address::association_id) {
        let call = connection.ec2.disassociate_address().association_id(association);
        match connection.call("DisassociateAddress", call.send()).await {
            Ok(_) => {}
            Err(trouble) if trouble.is_not_found() => {}
            Err(trouble) => return Err(trouble.into()),
        }
    }
    let call = connection.ec2.release_address().allocation_id(id);
    match connection.call("ReleaseAddress", call.send()).await {
        Ok(_) => Ok(()),
        Err(trouble) if trouble.is_not_found() => Ok(()),
        Err(trouble) if trouble.is("InvalidIPAddress.InUse") => {
            let error = Error::from(trouble);
            Err(Error::new(Kind::Transient, error.to_string()).caused_by(error))
        }
        Err(trouble) => Err(trouble.into()),
    }
}

/// The address of this id.
pub(crate) async fn by_id(connection: &Connection, id: &str) -> Result<Option<Address>> {
    let call = connection.ec2.describe_addresses().allocation_ids(id);
    match connection.call("DescribeAddresses", call.send()).await {
        Ok(found) => Ok(found.addresses.unwrap_or_default().into_iter().next()),
        Err(trouble) if trouble.is_not_found() => Ok(None),
        Err(trouble) => Err(trouble.into()),
    }
}

/// Every address that says that it is of this store.
pub(crate) async fn of_store(connection: &Connection, store: &str) -> Result<Vec<Address>> {
    those(connection, filter(&format!("tag:{}", tags::STORE), store)).await
}

/// Every address that `filter` lets through.
pub(crate) async fn those(connection: &Connection, filter: Filter) -> Result<Vec<Address>> {
    let call = connection.ec2.describe_addresses().filters(filter);
    let found = connection.call("DescribeAddresses", call.send()).await.map_err(Error::from)?;
    Ok(found.addresses.unwrap_or_default())
}

async fn own(connection: &Connection, cx: &Context) -> Result<Vec<Address>> {
    let all = of_store(connection, &cx.owner.store.0).await?;
    Ok(all.into_iter().filter(|one| tags::is_own(one.tags(), &cx.owner)).collect())
}

async fn take(connection: &Connection, action: &Action, cx: &Context) -> Result<Address> {
    let tagged = tags::in_call(ResourceType::ElasticIp, &action.name, &cx.owner, &action.tags, false);
    let call = connection.ec2.allocate_address().domain(DomainType::Vpc).tag_specifications(tagged);
    match connection.call("AllocateAddress", call.send()).await {
        Ok(taken) => Ok(Address::builder().set_allocation_id(taken.allocation_id).build()),
        Err(trouble @ Trouble::Said(Fault { status: ..500, .. })) => Err(trouble.of_making()),
        Err(lost) => {
            for _ in 0..LOOKS {
                if let Some(there) = own(connection, cx).await?.into_iter().next() {
                    return Ok(there);
                }
                pause(connection, cx, "looking for an address whose answer was lost").await?;
            }
            Err(lost.into())
        }
    }
}
