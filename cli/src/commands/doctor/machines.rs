//! Every machine, all asked at once: what its driver, its engine and its clock say.

use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::join_all;
use wharf_core::{Call, Kind, Life, Look, MachineName, Observed, State, Wharf};

use super::super::Cx;
use super::Finding;
use crate::error::Result;
use crate::ui::Board;

const PATIENCE: Duration = Duration::from_secs(15);
/// Seconds that a clock may be off. Certificates bear a day, registries and sign-ins far less.
const SKEW: i64 = 60;

pub(super) async fn look(cx: &Cx, wharf: &Wharf) -> Result<Vec<Finding>> {
    let call = cx.call("doctor", PATIENCE, &Board::new(&cx.ui));
    let observed = wharf.observe(&[], Look::Everything, &call).await?;
    let mut found: Vec<Finding> = observed.iter().flat_map(judge).collect();
    let running = observed.iter().filter(|machine| answers(machine)).map(|machine| &machine.name);
    found.extend(join_all(running.map(|name| clock(name, cx, wharf, &call))).await.into_iter().flatten());
    Ok(found)
}

fn judge(machine: &Observed) -> Vec<Finding> {
    let name = machine.name.as_str();
    // What is not finished or damaged was said of the store.
    if machine.summary.as_ref().is_none_or(|summary| matches!(summary.life, Life::Creating | Life::Removing))
    {
        return Vec::new();
    }
    let mut found = Vec::new();
    if machine.state == Some(State::Absent) {
        let wrong = "it does not exist any more: somebody removed it elsewhere";
        found.push(Finding::new(name, wrong, format!("wharf rm {name}")));
    }
    for (error, kind) in machine.errors.iter().zip(&machine.kinds) {
        let finding = Finding::new(name, wrong(*kind), mend(*kind, name));
        found.push(finding.because(error.as_str()));
    }
    for warning in &machine.warnings {
        found.push(Finding::new(name, warning.as_str(), format!("wharf status {name}")));
    }
    let shut_out = machine.notes.iter().filter(|note| note.contains("`wharf allow"));
    found.extend(shut_out.map(|note| Finding::new(name, note.as_str(), format!("wharf allow {name}"))));
    found
}

const fn wrong(kind: Kind) -> &'static str {
    match kind {
        Kind::Unreachable => "it does not answer",
        Kind::HostKey => "its SSH host key is not the expected one",
        Kind::NotAllowed => "you are not signed in, or not let in",
        _ => "it cannot be asked",
    }
}

fn mend(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Unreachable => format!(
            "wharf provision {name}   (repairs the engine), where the machine runs and its port is open"
        ),
        Kind::HostKey => "compare the fingerprint with the host's console before anything else".to_owned(),
        Kind::NotAllowed => format!("sign in to the cloud, or wharf certs renew {name}"),
        _ => format!("wharf status {name} --debug"),
    }
}

fn answers(machine: &Observed) -> bool {
    let ready = machine.summary.as_ref().is_some_and(|summary| summary.life == Life::Ready);
    ready && machine.engine.is_some()
}

/// Whether its clock is right, as far as the way there and back allows to tell.
async fn clock(name: &MachineName, cx: &Cx, wharf: &Wharf, call: &Call) -> Option<Finding> {
    let seconds = || {
        let now = (cx.world.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        i64::try_from(now).unwrap_or(i64::MAX)
    };
    let asked = seconds();
    let said = wharf.run_over_ssh(name, "date +%s", &[], call).await.ok()?;
    let there: i64 = String::from_utf8_lossy(&said.stdout).trim().parse().ok()?;
    let off = if there < asked { there - asked } else { (there - seconds()).max(0) };
    if off.abs() <= SKEW {
        return None;
    }
    let way = if off > 0 { "ahead of" } else { "behind" };
    let wrong = format!("its clock is {} s {way} this computer's", off.abs());
    let mend = format!("set both right, on the machine by: wharf ssh {name} sudo timedatectl set-ntp true");
    Some(Finding::new(name.as_str(), wrong, mend))
}
