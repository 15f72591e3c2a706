//! Starts, stops and resets. Both ways of stopping end what the instance itself costs.

use aws_sdk_ec2::types::{Instance, InstanceStateName as Name};
use wharf_driver::{Context, Error, Kind, Power, Result};

use crate::client::Connection;
use crate::errors::Trouble;
use crate::instance::{by_id, is_there, pause, state};
use crate::resource::Resource;

pub(crate) async fn power(connection: &Connection, made: &[Resource], to: Power, cx: &Context) -> Result<()> {
    let Some(id) = Resource::instance(made) else {
        return Err(Error::new(Kind::Refused, "the machine is not finished")
            .hint("run `create` again to finish it, or `rm` to remove it"));
    };
    let now = state(&look(connection, id).await?);
    match (to, now) {
        (Power::On | Power::Restart, Name::Pending) | (Power::On, Name::Running) => {
            until(connection, id, &Name::Running, cx).await
        }
        (Power::On | Power::Restart, Name::Stopping) => {
            until(connection, id, &Name::Stopped, cx).await?;
            start(connection, id, cx).await
        }
        (Power::On | Power::Restart, Name::Stopped) => start(connection, id, cx).await,
        (Power::Restart, _) => {
            let call = connection.ec2.reboot_instances().instance_ids(id);
            connection.call("RebootInstances", call.send()).await?;
            Ok(())
        }
        (Power::Off | Power::Kill, Name::Stopped) => Ok(()),
        (Power::Off, Name::Stopping) => until(connection, id, &Name::Stopped, cx).await,
        (Power::Off | Power::Kill, _) => stop(connection, id, to == Power::Kill, cx).await,
        (Power::On, _) => start(connection, id, cx).await,
    }
}

async fn start(connection: &Connection, id: &str, cx: &Context) -> Result<()> {
    let call = connection.ec2.start_instances().instance_ids(id);
    connection.call("StartInstances", call.send()).await.map_err(moving)?;
    until(connection, id, &Name::Running, cx).await
}

async fn stop(connection: &Connection, id: &str, force: bool, cx: &Context) -> Result<()> {
    let call = connection.ec2.stop_instances().instance_ids(id).force(force);
    match connection.call("StopInstances", call.send()).await {
        Ok(_) => until(connection, id, &Name::Stopped, cx).await,
        Err(trouble) if trouble.is("UnsupportedOperation") => {
            let error = Error::from(trouble);
            Err(Error::new(
                Kind::Refused,
                "this machine cannot be stopped: it is spare capacity (--aws-spot)",
            )
            .hint("`wharf rm` ends what it costs")
            .caused_by(error))
        }
        Err(trouble) => Err(moving(trouble)),
    }
}

/// It is between two states: the next look shows what to do.
fn moving(trouble: Trouble) -> Error {
    let passing = trouble.is("IncorrectInstanceState") || trouble.is("IncorrectSpotRequestState");
    let error = Error::from(trouble);
    if passing { Error::new(Kind::Transient, error.to_string()).caused_by(error) } else { error }
}

async fn look(connection: &Connection, id: &str) -> Result<Instance> {
    by_id(connection, id).await?.filter(is_there).ok_or_else(|| {
        Error::new(Kind::Failed, format!("the instance {id} is gone"))
            .hint("somebody removed it; `rm` removes what is left of it")
    })
}

async fn until(connection: &Connection, id: &str, wanted: &Name, cx: &Context) -> Result<()> {
    let mut begun = false;
    loop {
        let now = state(&look(connection, id).await?);
        if now == *wanted {
            return Ok(());
        }
        // A start may fail late, as for want of room; until it has begun, an old answer may still say `stopped`.
        if begun && *wanted == Name::Running && now == Name::Stopped {
            return Err(Error::new(
                Kind::Quota,
                format!("the instance {id} was stopped again while it started"),
            )
            .hint("its zone may have no room for it now: try later"));
        }
        begun |= now == Name::Pending;
        pause(connection, cx, "waiting for the instance").await?;
    }
}
