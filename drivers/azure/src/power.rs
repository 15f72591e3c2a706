//! Starts, stops and resets. `stop` gives the machine's place back and ends what it costs; `kill` pulls the plug and
//! keeps the place.

use serde_json::Value;
use wharf_arm::{Arm, Call, Method};
use wharf_driver::{Context, Error, Kind as Failure, Power, Result};

use crate::kind::MACHINES;
use crate::names;
use crate::resource::Resource;

/// Powering off without asking the system is known from here on.
const SKIP_SHUTDOWN: &str = "2020-06-01";

pub(crate) async fn power(arm: &Arm, made: &[Resource], to: Power, cx: &Context) -> Result<()> {
    let Some(machine) = made.iter().find(|one| one.machine.is_some()) else {
        return Err(Error::new(Failure::Refused, "the machine is not finished")
            .hint("run `create` again to finish it, or `rm` to remove it"));
    };
    let there = look(arm, machine).await?;
    let verb = match (to, of(&there).unwrap_or_default()) {
        (Power::On, "running") | (Power::Off, "deallocated") => return Ok(()),
        (Power::Kill, "stopped" | "deallocated") => return Ok(()),
        (Power::On, _) => "start",
        (Power::Off, _) if is_on_the_host(&there) => return Err(cannot_stop(machine)),
        (Power::Off, _) => "deallocate",
        (Power::Kill, _) => "powerOff",
        (Power::Restart, "stopped" | "deallocated") => "start",
        (Power::Restart, _) => "restart",
    };
    let skip = [("skipShutdown", "true")];
    let query: &[(&str, &str)] =
        if verb == "powerOff" && arm.version(MACHINES)? >= SKIP_SHUTDOWN { &skip } else { &[] };
    let path = format!("{}/{verb}", machine.id);
    let doing = format!("{} the machine {}", gerund(verb), names::last(&machine.id));
    arm.carry_out(&Call::new(Method::POST, &doing, MACHINES, &path).asking(query), cx.deadline).await?;
    Ok(())
}

/// The machine and what it does.
async fn look(arm: &Arm, machine: &Resource) -> Result<Value> {
    let query = [("$expand", "instanceView")];
    let call = Call::get("looking at the machine", MACHINES, &machine.id).asking(&query);
    match arm.find(&call).await? {
        Some(there) => Ok(there),
        None => Err(Error::new(Failure::Failed, format!("the machine {} is gone", names::last(&machine.id)))
            .hint("somebody removed it; `rm` removes what is left of it")),
    }
}

/// Whether its system disk is the host's own, which the place cannot be given back without.
fn is_on_the_host(machine: &Value) -> bool {
    machine.pointer("/properties/storageProfile/osDisk/diffDiskSettings/option").is_some_and(Value::is_string)
}

fn cannot_stop(machine: &Resource) -> Error {
    let message = format!(
        "the machine {} cannot give its place back: its system is on the host's own disk (--azure-ephemeral-disk)",
        names::last(&machine.id)
    );
    Error::new(Failure::Refused, message)
        .hint("`wharf kill` switches it off and keeps its disk, and it is still paid for; `wharf rm` ends what it costs")
}

/// The power state that an instance view shows: `running`, `stopped`, `deallocated` and the steps between them.
pub(crate) fn of(machine: &Value) -> Option<&str> {
    let statuses = machine["properties"]["instanceView"]["statuses"].as_array()?;
    statuses.iter().find_map(|status| status["code"].as_str()?.strip_prefix("PowerState/"))
}

const fn gerund(verb: &str) -> &'static str {
    match verb.as_bytes() {
        b"start" => "starting",
        b"deallocate" => "stopping",
        b"powerOff" => "killing",
        _ => "restarting",
    }
}
