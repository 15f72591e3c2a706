//! What can be done with a machine beside writing it.

use serde_json::json;

use super::{Request, Version, apply, resource};
use crate::catalog;
use crate::cloud::{Deed, Order, State, Work};
use crate::description::Description;
use crate::error::ArmError;
use crate::http::Answer;
use crate::resource::{BodyState, Kind, Resource, key, machine};

/// `…/virtualMachines/NAME/ACTION`.
pub(super) fn action(
    request: &Request<'_>,
    version: &Version,
    group: &str,
    name: &str,
    action: &str,
) -> Result<Answer, ArmError> {
    let (cloud, method) = (request.cloud, request.call.method.as_str());
    known(request, version, action)?;
    let kind = Kind::Machine;
    request.allowed(&format!("{}/{action}/action", kind.full()), &cloud.id(group, kind, name))?;
    let mut state = cloud.state();
    let vm = resource::find(request, &state, kind, group, name)?.clone();
    match (method, action) {
        ("GET", "instanceview") => Ok(Answer::json(200, machine::instance_view(cloud, &vm))),
        ("GET", "vmsizes") => Ok(Answer::list(super::catalog::sizes(cloud))),
        ("POST", "retrievebootdiagnosticsdata") => boot_diagnostics(request, &vm),
        ("POST", "start") => power(request, version, &mut state, &vm, "running", Order::Start),
        ("POST", "restart" | "redeploy") => {
            power(request, version, &mut state, &vm, "running", Order::Restart)
        }
        ("POST", "reapply") => power(request, version, &mut state, &vm, "running", Order::Rules),
        ("POST", "poweroff") => power(request, version, &mut state, &vm, "stopped", Order::Stop),
        ("POST", "deallocate") if vm.body.pointer(LOCAL_DISK).is_some_and(|option| !option.is_null()) => {
            let message = format!(
                "The 'deallocate' operation is not supported on VM '{}' since it is using an ephemeral OS disk.",
                vm.name
            );
            Err(ArmError::conflict("OperationNotAllowed", message))
        }
        ("POST", "deallocate") => power(request, version, &mut state, &vm, "deallocated", Order::Stop),
        _ => Err(super::not_found(request.call)),
    }
}

/// `…/virtualMachines/NAME/extensions[/NAME]`: none can be made, so there are none.
pub(super) fn extensions(
    request: &Request<'_>,
    group: &str,
    machine: &str,
    name: Option<&str>,
) -> Result<Answer, ArmError> {
    resource::find(request, &request.cloud.state(), Kind::Machine, group, machine)?;
    super::barren::route(request, ("Microsoft.Compute", "virtualMachines/extensions"), Some(group), name)
}

/// Where a machine says that its system is on the host's own disk.
const LOCAL_DISK: &str = "/properties/storageProfile/osDisk/diffDiskSettings/option";

/// Refuses what the version asked for has no route for.
fn known(request: &Request<'_>, version: &Version, action: &str) -> Result<(), ArmError> {
    let Some(description) = Description::find("compute", "virtualMachines", &version.version) else {
        return Ok(());
    };
    if !description.has_routes() {
        return Ok(());
    }
    let spelt = ["instanceView", "vmSizes", "retrieveBootDiagnosticsData", "powerOff"];
    let spelt = spelt.iter().find(|s| s.eq_ignore_ascii_case(action)).copied().unwrap_or(action);
    let path = format!("/virtualMachines/{{vmName}}/{spelt}");
    let there = description.route(&path, &request.call.method).is_some();
    if there { Ok(()) } else { Err(super::not_found(request.call)) }
}

fn boot_diagnostics(request: &Request<'_>, vm: &Resource) -> Result<Answer, ArmError> {
    let enabled = vm.body.pointer("/properties/diagnosticsProfile/bootDiagnostics/enabled");
    if enabled != Some(&serde_json::Value::Bool(true)) {
        let message =
            format!("Boot diagnostics is not enabled on VM '{}'. Please enable it and try again.", vm.name);
        return Err(ArmError::conflict("BadRequest", message));
    }
    let (arm, id) = (&request.cloud.names.arm, key(&vm.id));
    let at = |what: &str| {
        let signature = request.cloud.signer.sign(&json!({"blob": id}));
        format!("{arm}/blobs{id}/{what}?sig={signature}")
    };
    let body = json!({"consoleScreenshotBlobUri": at("screenshot.bmp"), "serialConsoleLogBlobUri": at("serialconsole.log")});
    Ok(Answer::json(200, body))
}

fn power(
    request: &Request<'_>,
    version: &Version,
    state: &mut State,
    vm: &Resource,
    to: &'static str,
    order: fn(String) -> Order,
) -> Result<Answer, ArmError> {
    let cloud = request.cloud;
    resource::idle(request, state, vm)?;
    if vm.machine.as_ref().is_some_and(|m| !m.provisioned) && vm.provisioning == "Creating" {
        let message = format!(
            "The request failed due to conflict with a concurrent request. To resolve it, please refer to https://aka.ms/activitylog to get more details on the conflicting requests. VM '{}' is being created.",
            vm.name
        );
        return Err(ArmError::conflict("Conflict", message));
    }
    let off = vm.machine.as_ref().is_some_and(|m| m.power == "deallocated");
    if to == "running" && off {
        enough_cores(request, state, vm)?;
    }
    if to == "stopped" && off {
        let message = format!("Cannot perform powerOff on VM '{}' since the VM is deallocated.", vm.name);
        return Err(ArmError::conflict("OperationNotAllowed", message));
    }
    let id = key(&vm.id);
    let begin = apply::Begin {
        style: Kind::Machine.style(),
        location: &vm.location,
        version: &version.version,
        deed: Deed::Power(id.clone(), to),
        work: Work::Power(to),
    };
    let operation = apply::begin(cloud, state, request.effect, begin);
    let passing = match to {
        "running" => "starting",
        "stopped" => "stopping",
        _ => "deallocating",
    };
    if let Some(vm) = state.resources.get_mut(&id) {
        (vm.provisioning, vm.busy) = ("Updating", Some(operation.id.clone()));
        if let Some(machine) = &mut vm.machine {
            machine.power = passing;
            let order = order(id);
            if matches!(
                (&machine.body, &order),
                (BodyState::Here(_), Order::Start(_) | Order::Stop(_) | Order::Restart(_))
            ) {
                machine.obeys.asked();
            }
            state.orders.push(order);
        }
    }
    Ok(operation.announce(Answer::empty(202), cloud, true))
}

fn enough_cores(request: &Request<'_>, state: &State, vm: &Resource) -> Result<(), ArmError> {
    let spot = machine::is_spot(&vm.body);
    let used = machine::cores_in_use(state, &vm.location, spot);
    let quotas = request.cloud.quotas();
    let most = if spot { quotas.spot_cores } else { quotas.cores };
    let more = machine::size(vm).map_or(0, |size: &catalog::Size| size.cores);
    if used + more <= most {
        return Ok(());
    }
    Err(machine::over_quota(request.cloud, &vm.location, spot, most, used, more))
}
