//! Leaves a host as it was, or as it is.

use wharf_ssh::Command;

use crate::probe::probe;
use crate::progress::{Phase, Progress};
use crate::provision::{Watch, connect};
use crate::remote::{self, as_root, quote};
use crate::{Error, Facts, Visit, registries, service};

/// What became of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Nothing was done: the engine and its containers run on.
    Left,
    /// The agent, its containers, images, volumes and certificates are gone.
    Purged,
}

/// Takes what is ours off a host, with `purge`; without it, nothing is touched and nobody is connected to.
pub async fn remove(visit: &Visit, purge: bool, progress: &Progress) -> Result<Removed, Error> {
    if !purge {
        return Ok(Removed::Left);
    }
    let mut watch = Watch::new(progress);
    let session = watch.time(Phase::Connect, connect(visit, progress)).await?;
    let facts = watch.time(Phase::Probe, probe(&session, NO_PORT, visit.deadline)).await?;
    if facts.access == crate::Access::None {
        return Err(Error::NotAllowed { user: facts.user, reason: facts.refusal });
    }
    let command = Command::new(as_root(facts.access, &script(&facts)));
    let removal = remote::run(&session, "removing the engine", command, visit.deadline);
    watch.time(Phase::Remove, removal).await?;
    Ok(Removed::Purged)
}

/// The engine's port is of no matter here.
const NO_PORT: u16 = 0;

/// Service first, so that nothing comes back; then the agent clears up behind itself, or what follows does it for one
/// that cannot.
fn script(facts: &Facts) -> String {
    let agent = if facts.agent.path.is_empty() { "/usr/local/bin/wharfd" } else { &facts.agent.path };
    // None is wanted any more.
    let registries = format!("(\n{}) </dev/null\n", registries::SCRIPT);
    let service = service::remove(facts.init);
    format!("set -eu\nagent={}\n{service}{registries}{}", quote(agent), include_str!("remove.sh"))
}
