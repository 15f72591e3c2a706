//! `update`: the restart policy, and limits, which a running container feels at once.

use wharfd_api_types::container::{HostConfig, UpdateRequest};

use super::record::Status;
use super::{Container, Containers, check};
use crate::engine::error::{Error, Result};
use crate::runtime::Limits;

impl Containers {
    /// All of the request, or nothing and an error; and what will not be honoured.
    pub(crate) async fn update(&self, container: &Container, request: UpdateRequest) -> Result<Vec<String>> {
        let snapshot = container.snapshot();
        let record = &snapshot.record;
        if matches!(record.state.status, Status::Removing | Status::Dead) {
            return Err(Error::conflict(format!(
                "Cannot update container {}: container is marked for removal and cannot be \"update\".",
                container.id
            )));
        }
        let mut host = record.host.clone();
        let before = host.clone();
        apply(&mut host, &request);
        if request.memory > 0 && request.memory_swap == 0 && (1..request.memory).contains(&host.memory_swap) {
            return Err(Error::invalid(format!(
                "Cannot update container {}: Memory limit should be smaller than already set memoryswap limit, update \
                 the memoryswap at the same time",
                container.id
            )));
        }
        let warnings = check::check(&record.config, &host, &self.world.facts)?;
        if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
            return Err(Error::invalid(format!(
                "Cannot update container {}: Restart policy cannot be updated because AutoRemove is enabled for the \
                 container",
                container.id
            )));
        }
        let limits = changed(&before, &host);
        if limits != Limits::default()
            && let Ok(shim) = container.shim()
        {
            let doing = format!("Cannot update container {}", container.id);
            shim.limit(limits).await.map_err(|error| Error::internal(&doing, error))?;
        }
        container.update(move |record| record.host = host).await?;
        Ok(warnings)
    }
}

/// What a running container's control groups have to be told.
fn changed(before: &HostConfig, now: &HostConfig) -> Limits {
    let differs = |before: i64, now: i64| (before != now).then_some(now);
    let (quota, period) = processor_time(now);
    let (quota_before, period_before) = processor_time(before);
    Limits {
        memory: differs(before.memory, now.memory),
        // Nothing said about swap: as much again, as at the start.
        memory_and_swap: differs(both(before), both(now)),
        reservation: differs(before.memory_reservation, now.memory_reservation),
        shares: differs(before.cpu_shares, now.cpu_shares),
        quota: differs(quota_before, quota),
        period: differs(period_before, period).filter(|period| *period > 0),
        processors: (before.cpuset_cpus != now.cpuset_cpus).then(|| now.cpuset_cpus.clone()),
        nodes: (before.cpuset_mems != now.cpuset_mems).then(|| now.cpuset_mems.clone()),
        pids: differs(before.pids_limit.unwrap_or(-1), now.pids_limit.unwrap_or(-1)),
        block_weight: (before.blkio_weight != now.blkio_weight).then_some(now.blkio_weight),
    }
}

const fn both(host: &HostConfig) -> i64 {
    if host.memory_swap == 0 { host.memory.saturating_mul(2) } else { host.memory_swap }
}

/// Quota and period, however they were asked for.
const fn processor_time(host: &HostConfig) -> (i64, i64) {
    const PERIOD: i64 = 100_000;
    if host.nano_cpus > 0 {
        return (host.nano_cpus.saturating_mul(PERIOD) / 1_000_000_000, PERIOD);
    }
    (if host.cpu_quota == 0 { -1 } else { host.cpu_quota }, host.cpu_period)
}

fn apply(host: &mut HostConfig, request: &UpdateRequest) {
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
    if request.blkio_weight > 0 {
        host.blkio_weight = request.blkio_weight;
    }
    // A share of a processor and a quota are two ways to say one thing: the last word counts.
    if request.nano_cpus > 0 {
        (host.cpu_quota, host.cpu_period) = (request.cpu_quota, request.cpu_period);
    } else if request.cpu_quota != 0 || request.cpu_period != 0 {
        host.nano_cpus = 0;
    }
    if !request.restart_policy.name.is_empty() {
        host.restart_policy.clone_from(&request.restart_policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(json: &str) -> HostConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_what_changed_is_told() {
        let before = host(r#"{"Memory":100,"NanoCpus":1000000000,"PidsLimit":5}"#);
        assert_eq!(changed(&before, &before), Limits::default());
        let now = host(r#"{"Memory":200,"NanoCpus":500000000}"#);
        let expected = Limits {
            memory: Some(200),
            memory_and_swap: Some(400),
            quota: Some(50_000),
            pids: Some(-1),
            ..Limits::default()
        };
        assert_eq!(changed(&before, &now), expected);
    }

    #[test]
    fn a_share_and_a_quota_take_each_others_place() {
        let mut given = host(r#"{"NanoCpus":1000000000}"#);
        apply(&mut given, &serde_json::from_str(r#"{"CpuQuota":5000}"#).unwrap());
        assert_eq!((given.nano_cpus, given.cpu_quota), (0, 5000));
        apply(&mut given, &serde_json::from_str(r#"{"NanoCpus":2000000000}"#).unwrap());
        assert_eq!((given.nano_cpus, given.cpu_quota), (2_000_000_000, 0));
    }
}
