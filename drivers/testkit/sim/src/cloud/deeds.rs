//! What an operation does when it ends.

use std::time::Duration;

use super::deployment::{self, Wait};
use super::{Cloud, Deed, Due, Fate, Order, State, Status};
use crate::error::ArmError;
use crate::resource::{self, BodyState, Kind, Obedience, Resource, key, machine};

/// For how long an interface of a machine that failed stays reserved, in the real cloud's time.
const RESERVED: Duration = Duration::from_secs(180);

/// Ends an operation at `at`.
pub(super) fn end(cloud: &Cloud, state: &mut State, id: &str, at: Duration) {
    let Some(operation) = state.operations.get(id).filter(|o| o.status == Status::InProgress).cloned() else {
        return;
    };
    let status = match &operation.fate {
        Fate::Never => return,
        Fate::Good => match carry_out(cloud, state, &operation.deed, at) {
            Some(status) => status,
            // The body is not there yet: whoever makes it says when.
            None => return,
        },
        Fate::Fails(error) => fail(cloud, state, &operation.deed, error, at),
        Fate::Cancels => {
            fail(
                cloud,
                state,
                &operation.deed,
                &ArmError::conflict("Canceled", "Operation was canceled."),
                at,
            );
            Status::Canceled
        }
    };
    if let Some(operation) = state.operations.get_mut(id) {
        operation.status = status;
        operation.ended = Some(at);
    }
    deployment::notice(cloud, state, &Wait::Operation(id.to_owned()), at);
    for resource in state.resources.values_mut().filter(|r| r.busy.as_deref() == Some(id)) {
        resource.busy = None;
    }
}

/// Does the deed: how it ended, or nothing while it cannot end.
fn carry_out(cloud: &Cloud, state: &mut State, deed: &Deed, at: Duration) -> Option<Status> {
    match deed {
        Deed::Ready(id) => {
            settle(state, id, "Succeeded");
            refresh_rules(state);
        }
        Deed::MachineReady(id) => return machine_ready(cloud, state, id, at),
        Deed::Remove(id) => remove(cloud, state, id, at),
        Deed::RemoveGroup(group) => return Some(remove_group(cloud, state, group, at)),
        Deed::Power(id, power) => return power_off_or_on(cloud, state, id, power, at),
    }
    Some(Status::Succeeded)
}

fn settle(state: &mut State, id: &str, provisioning: &'static str) {
    let etag = format!("W/\"{}\"", state.random.uuid());
    if let Some(resource) = state.resources.get_mut(id) {
        resource.provisioning = provisioning;
        resource.etag = etag;
    }
}

fn machine_ready(cloud: &Cloud, state: &mut State, id: &str, at: Duration) -> Option<Status> {
    let body = state.resources.get(id).and_then(|vm| vm.machine.as_ref()).map(|m| m.body.clone());
    match body {
        Some(BodyState::Coming) => return None,
        Some(BodyState::Failed(why)) => {
            let name = state.resources.get(id).map(|vm| vm.name.clone()).unwrap_or_default();
            let message = format!(
                "OS Provisioning for VM '{name}' did not finish in the allotted time. The VM may still finish \
                 provisioning successfully. Please check provisioning state later. ({why})"
            );
            let error = ArmError::conflict("OSProvisioningTimedOut", message);
            return Some(fail(cloud, state, &Deed::MachineReady(id.to_owned()), &error, at));
        }
        _ => {}
    }
    settle(state, id, "Succeeded");
    if let Some(machine) = state.resources.get_mut(id).and_then(|vm| vm.machine.as_mut()) {
        (machine.power, machine.provisioned, machine.failure) = ("running", true, None);
    }
    dynamic_addresses(cloud, state, id, true);
    Some(Status::Succeeded)
}

/// What a deed that fails leaves.
fn fail(cloud: &Cloud, state: &mut State, deed: &Deed, error: &ArmError, at: Duration) -> Status {
    match deed {
        Deed::MachineReady(id) => {
            settle(state, id, "Failed");
            let until = at + cloud.clock().scaled(RESERVED);
            if let Some(machine) = state.resources.get_mut(id).and_then(|vm| vm.machine.as_mut()) {
                machine.failure = Some(error.clone());
            }
            if let Some(vm) = state.resources.get(id).cloned() {
                reserve(state, &vm, until);
            }
        }
        Deed::Ready(id) | Deed::Remove(id) | Deed::Power(id, _) => settle(state, id, "Failed"),
        Deed::RemoveGroup(group) => {
            if let Some(group) = state.groups.get_mut(group) {
                group.provisioning = "Succeeded";
            }
        }
    }
    Status::Failed(error.clone())
}

/// Keeps the interfaces of a machine that failed for it.
fn reserve(state: &mut State, vm: &Resource, until: Duration) {
    let nics = machine::interfaces(vm).map(key);
    state.reserved.extend(nics.map(|nic| (nic, (vm.id.clone(), until))));
}

/// Takes a resource away, with what goes along.
fn remove(cloud: &Cloud, state: &mut State, id: &str, at: Duration) {
    let Some(gone) = state.resources.remove(id) else { return };
    let lag = cloud.clock().scaled(cloud.config.list_lag);
    if !lag.is_zero() {
        state.ghosts.push((at + lag, gone.clone()));
    }
    if gone.machine.as_ref().is_some_and(|machine| !machine.provisioned) {
        reserve(state, &gone, at + cloud.clock().scaled(RESERVED));
    }
    if gone.kind == Kind::Machine {
        if let Some(BodyState::Here(body)) = gone.machine.as_ref().map(|m| m.body.clone()) {
            state.orders.push(Order::Destroy(id.to_owned(), body));
        }
        for along in machine::goes_along(&gone) {
            remove(cloud, state, &along, at);
        }
    }
    refresh_rules(state);
}

/// Takes everything in a group away, machines first, again and again until nothing more goes.
fn remove_group(cloud: &Cloud, state: &mut State, group: &str, at: Duration) -> Status {
    loop {
        let mut inside: Vec<_> = state
            .resources
            .iter()
            .filter(|(_, r)| r.group == group)
            .map(|(id, r)| (r.kind, id.clone()))
            .collect();
        inside.sort();
        // A group's delete waits for reservations as everybody does; by its end they have run out.
        let free = |state: &State, id: &String| {
            state.resources.get(id).is_some_and(|r| resource::held(state, r, Duration::MAX).is_ok())
        };
        let Some((_, id)) = inside.iter().find(|(_, id)| free(state, id)).cloned() else {
            return group_gone(state, group, &inside.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        };
        remove(cloud, state, &id, at);
    }
}

fn group_gone(state: &mut State, group: &str, left: &[String]) -> Status {
    if left.is_empty() {
        state.groups.remove(group);
        state.deployments.retain(|_, deployment| deployment.group != group);
        return Status::Succeeded;
    }
    if let Some(group) = state.groups.get_mut(group) {
        group.provisioning = "Succeeded";
    }
    for id in left {
        settle(state, id, "Succeeded");
    }
    Status::Failed(ArmError::conflict(
        "ResourceGroupDeletionBlocked",
        format!(
            "Deletion of resource group '{group}' failed as resources with identifiers '{}' could not be deleted. The \
             provisioning state of the resource group will be rolled back. Please check audit logs for more details.",
            left.join(",")
        ),
    ))
}

fn power_off_or_on(
    cloud: &Cloud,
    state: &mut State,
    id: &str,
    power: &'static str,
    at: Duration,
) -> Option<Status> {
    let obeys = state.resources.get(id).and_then(|vm| vm.machine.as_ref()).map(|m| m.obeys.clone());
    match obeys {
        Some(Obedience::AtWork(_)) => return None,
        Some(Obedience::Failed(why)) => {
            let message = format!("An internal execution error occurred. Please retry later. ({why})");
            let error = ArmError::conflict("InternalExecutionError", message);
            return Some(fail(cloud, state, &Deed::Power(id.to_owned(), power), &error, at));
        }
        Some(Obedience::Done) | None => {}
    }
    settle(state, id, "Succeeded");
    if let Some(machine) = state.resources.get_mut(id).and_then(|vm| vm.machine.as_mut()) {
        machine.power = power;
    }
    match power {
        "deallocated" => dynamic_addresses(cloud, state, id, false),
        "running" => dynamic_addresses(cloud, state, id, true),
        _ => {}
    }
    Some(Status::Succeeded)
}

/// A dynamic address is there while its machine runs.
fn dynamic_addresses(cloud: &Cloud, state: &mut State, machine: &str, there: bool) {
    let Some(vm) = state.resources.get(machine) else { return };
    let nics: Vec<_> = machine::interfaces(vm).map(key).collect();
    let addresses: Vec<String> = nics
        .iter()
        .filter_map(|id| state.resources.get(id))
        .flat_map(resource::interface::configurations)
        .filter_map(|c| resource::reference(c.pointer("/properties/publicIPAddress")).map(key))
        .collect();
    for id in addresses {
        let fresh = there.then(|| cloud.free_address(state));
        let Some(address) = state.resources.get_mut(&id) else { continue };
        if address.body["properties"]["publicIPAllocationMethod"] != "Dynamic" {
            continue;
        }
        let Some(properties) = address.body["properties"].as_object_mut() else { continue };
        match fresh {
            Some(fresh) => {
                properties.entry("ipAddress").or_insert_with(|| serde_json::json!(fresh));
            }
            None => {
                properties.remove("ipAddress");
            }
        }
    }
    for nic in nics {
        let mac = state.random.number();
        if let Some(nic) = state.resources.get_mut(&nic) {
            let mac =
                format!("00-0D-3A-{:02X}-{:02X}-{:02X}", mac & 0xff, (mac >> 8) & 0xff, (mac >> 16) & 0xff);
            if let Some(properties) = nic.body["properties"].as_object_mut() {
                properties.entry("macAddress").or_insert_with(|| serde_json::json!(mac));
            }
        }
    }
}

/// Rules may have changed: every body hears of them.
fn refresh_rules(state: &mut State) {
    let here: Vec<_> = state
        .resources
        .iter()
        .filter(|(_, r)| r.machine.as_ref().is_some_and(|m| matches!(m.body, BodyState::Here(_))))
        .map(|(id, _)| id.clone())
        .collect();
    state.orders.extend(here.into_iter().map(Order::Rules));
}

/// Says that operations waiting for a body may go on. One that is not due yet looks by itself when it is.
pub(super) fn body_obeyed(state: &mut State, machine: &str, now: Duration) {
    let waiting = state.operations.values().filter(|o| match &o.deed {
        Deed::MachineReady(id) | Deed::Power(id, _) => o.status == Status::InProgress && id == machine,
        _ => false,
    });
    let due: Vec<_> =
        waiting.filter(|o| !state.ends_by(&o.id, Duration::MAX)).map(|o| o.id.clone()).collect();
    for id in due {
        state.schedule(now, Due::End(id));
    }
}
