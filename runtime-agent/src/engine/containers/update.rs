//! `update`: the restart policy at any time, limits while the container does not run.

use wharfd_api_types::container::UpdateRequest;

use super::{Container, Containers, check};
use crate::engine::error::{Error, Result};

impl Containers {
    /// All of the request, or nothing and an error.
    pub(crate) async fn update(&self, container: &Container, request: UpdateRequest) -> Result<()> {
        let snapshot = container.snapshot();
        let mut host = snapshot.record.host.clone();
        let before = host.clone();
        apply(&mut host, &request);
        check::check(&snapshot.record.config, &host, &self.world.facts)?;
        let mut limits_aside = host.clone();
        limits_aside.restart_policy = before.restart_policy.clone();
        if limits_aside != before && snapshot.record.state.status.is_running() {
            return Err(Error::unimplemented(
                "the limits of a running container cannot be changed: stop it, update it, and start it again",
            ));
        }
        container.update(move |record| record.host = host).await
    }
}

fn apply(host: &mut wharfd_api_types::container::HostConfig, request: &UpdateRequest) {
    let numbers = [
        (&mut host.memory, request.memory),
        (&mut host.memory_swap, request.memory_swap),
        (&mut host.memory_reservation, request.memory_reservation),
        (&mut host.cpu_shares, request.cpu_shares),
        (&mut host.cpu_period, request.cpu_period),
        (&mut host.cpu_quota, request.cpu_quota),
        (&mut host.nano_cpus, request.nano_cpus),
    ];
    for (ours, theirs) in numbers {
        if theirs != 0 {
            *ours = theirs;
        }
    }
    for (ours, theirs) in
        [(&mut host.cpuset_cpus, &request.cpuset_cpus), (&mut host.cpuset_mems, &request.cpuset_mems)]
    {
        if !theirs.is_empty() {
            ours.clone_from(theirs);
        }
    }
    if let Some(limit) = request.pids_limit {
        host.pids_limit = Some(limit).filter(|limit| *limit > 0);
    }
    if !request.restart_policy.name.is_empty() {
        host.restart_policy.clone_from(&request.restart_policy);
    }
}
