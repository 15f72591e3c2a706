//! Restarts a machine from within.

use wharf_ssh::Command;

use crate::probe::probe;
use crate::progress::{Phase, Progress};
use crate::provision::{Watch, connect};
use crate::remote::{self, as_root};
use crate::{Error, Visit};

/// Tells the host to reboot. It returns when the host has taken the order, not when it is back.
pub async fn restart(visit: &Visit, progress: &Progress) -> Result<(), Error> {
    let mut watch = Watch::new(progress);
    let session = watch.time(Phase::Connect, connect(visit, progress)).await?;
    let facts = watch.time(Phase::Probe, probe(&session, 0, visit.deadline)).await?;
    if facts.access == crate::Access::None {
        return Err(Error::NotAllowed { user: facts.user, reason: facts.refusal });
    }
    let command = Command::new(as_root(facts.access, REBOOT));
    match remote::run(&session, "restarting the host", command, visit.deadline).await {
        // It may be faster than its answer.
        Ok(_) | Err(Error::Ssh(wharf_ssh::Error::Lost { .. })) => Ok(()),
        Err(error) => Err(error),
    }
}

/// In the background, so that the answer leaves before the network goes.
const REBOOT: &str = "(sleep 1; reboot) </dev/null >/dev/null 2>&1 &";
