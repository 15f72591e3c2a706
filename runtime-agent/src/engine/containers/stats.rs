//! `docker stats`: what a container uses, sample by sample.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use wharfd_api_types::container::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, ThrottlingData,
};

use super::moment::Moment;
use super::record::ContainerRecord;
use super::{Container, Containers};
use crate::engine::error::{Error, Result};
use crate::runtime::{Devices, Interface, Memory, Processors, Transfer, Usage};

/// The samples that a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampling {
    /// One a second until the client leaves or the container is removed.
    Stream,
    /// One, with another a second before it, so that shares can be told.
    Pair,
    /// One alone, at once.
    Single,
}

impl Containers {
    /// The samples; of a container that does not run they are empty.
    pub(crate) fn stats(&self, container: &Container, sampling: Sampling) -> mpsc::Receiver<Result<Stats>> {
        let (sender, receiver) = mpsc::channel(1);
        let (containers, container) = (self.clone(), container.clone());
        tokio::spawn(async move {
            let mut before = None;
            loop {
                let sample = containers.sample(&container, before.as_ref()).await;
                let is_last = sample.is_err() || container.snapshot().removed;
                let runs =
                    sample.as_ref().is_ok_and(|sample| sample.read != wharfd_api_types::container::NEVER);
                let send = match sampling {
                    Sampling::Stream | Sampling::Single => true,
                    Sampling::Pair => before.is_some() || !runs,
                };
                before = sample.as_ref().ok().cloned();
                if send && sender.send(sample).await.is_err() {
                    return;
                }
                if is_last || (send && sampling != Sampling::Stream) {
                    return;
                }
                let mut changes = container.changes();
                tokio::select! {
                    () = tokio::time::sleep(BETWEEN) => {}
                    () = sender.closed() => return,
                    // The last one of a removed container is not waited for.
                    _ = changes.wait_for(|now| now.removed) => return,
                }
            }
        });
        receiver
    }

    async fn sample(&self, container: &Container, before: Option<&Stats>) -> Result<Stats> {
        let snapshot = container.snapshot();
        let record = &snapshot.record;
        let mut stats =
            Stats { name: format!("/{}", record.name), id: record.id.clone(), ..Stats::default() };
        let Ok(shim) = container.shim() else { return Ok(stats) };
        let usage = match shim.usage().await {
            Ok(usage) => usage,
            Err(error) => {
                // It ended in between, which is told a moment after its processes are gone.
                let mut changes = container.changes();
                let ended = changes.wait_for(|now| now.removed || now.record.state.pid != record.state.pid);
                return match tokio::time::timeout(BETWEEN, ended).await.is_ok() {
                    true => Ok(stats),
                    false => Err(Error::internal("reading what the container uses", error)),
                };
            }
        };
        let host = Host::read();
        stats.read = Moment::now().to_string();
        if let Some(before) = before {
            stats.preread.clone_from(&before.read);
            stats.precpu_stats = before.cpu_stats.clone();
        }
        stats.pids_stats = PidsStats { current: usage.pids, limit: usage.pids_limit };
        stats.blkio_stats = devices(&usage.devices);
        stats.cpu_stats = processors(&usage.processors, &host);
        stats.memory_stats = memory(usage.memory.clone(), host.memory);
        stats.networks = networks(record, usage);
        Ok(stats)
    }
}

/// Without a network of its own, or of another container's, there is nothing to tell.
fn networks(record: &ContainerRecord, usage: Usage) -> Option<BTreeMap<String, NetworkStats>> {
    let shown = usage.interfaces.into_iter().map(|(name, interface)| (name, network(interface)));
    (!matches!(record.host.network_mode.as_str(), "host" | "none")).then(|| shown.collect())
}

/// The host's share of a sample.
struct Host {
    /// Nanoseconds of all processors together.
    processors: u64,
    online: u32,
    memory: u64,
}

impl Host {
    fn read() -> Self {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let (processors, online) = parse(&text);
        Self { processors, online, memory: super::super::host::describe().memory_bytes }
    }
}

/// The first seven times of the first line, in hundredths; and how many processors have a line of their own.
fn parse(stat: &str) -> (u64, u32) {
    let first = stat.lines().next().unwrap_or_default();
    let ticks: u64 =
        first.split_whitespace().skip(1).take(7).filter_map(|part| part.parse::<u64>().ok()).sum();
    let is_processor = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let online = stat.lines().filter(is_processor).count();
    (ticks.saturating_mul(10_000_000), u32::try_from(online).unwrap_or(u32::MAX))
}

fn processors(usage: &Processors, host: &Host) -> CpuStats {
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: usage.total,
            percpu_usage: usage.each.clone(),
            usage_in_kernelmode: usage.kernel,
            usage_in_usermode: usage.user,
        },
        system_cpu_usage: Some(host.processors),
        online_cpus: Some(host.online),
        throttling_data: ThrottlingData {
            periods: usage.periods,
            throttled_periods: usage.throttled_periods,
            throttled_time: usage.throttled,
        },
    }
}

/// Without a limit of its own the host's memory is the limit: clients divide by it.
fn memory(usage: Memory, host: u64) -> MemoryStats {
    MemoryStats {
        usage: usage.usage,
        max_usage: usage.max_usage,
        stats: Some(usage.table),
        failcnt: usage.failures.filter(|count| *count > 0),
        limit: Some(usage.limit.map_or(host, |limit| limit.min(host))),
    }
}

/// Version 2 tells two of the eight lists.
fn devices(usage: &Devices) -> BlkioStats {
    let list = |transfers: &[Transfer]| {
        let entry = |transfer: &Transfer| BlkioEntry {
            major: transfer.major,
            minor: transfer.minor,
            op: transfer.operation.clone(),
            value: transfer.value,
        };
        Some(transfers.iter().map(entry).collect::<Vec<_>>())
    };
    let told = BlkioStats {
        io_service_bytes_recursive: list(&usage.bytes),
        io_serviced_recursive: list(&usage.operations),
        ..BlkioStats::default()
    };
    if usage.unified {
        return told;
    }
    let none = || Some(Vec::new());
    BlkioStats {
        io_queue_recursive: none(),
        io_service_time_recursive: none(),
        io_wait_time_recursive: none(),
        io_merged_recursive: none(),
        io_time_recursive: none(),
        sectors_recursive: none(),
        ..told
    }
}

const fn network(interface: Interface) -> NetworkStats {
    let Interface { received, sent } = interface;
    NetworkStats {
        rx_bytes: received[0],
        rx_packets: received[1],
        rx_errors: received[2],
        rx_dropped: received[3],
        tx_bytes: sent[0],
        tx_packets: sent[1],
        tx_errors: sent[2],
        tx_dropped: sent[3],
    }
}

/// As dockerd.
const BETWEEN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_time_is_the_sum_that_clients_divide_by() {
        let stat = "cpu  1 2 3 4 5 6 7 100 0 0\ncpu0 1\ncpu1 1\nintr 5\ncpufreq 1\n";
        assert_eq!(parse(stat), (280_000_000, 2));
    }

    #[test]
    fn no_limit_is_the_hosts_memory() {
        assert_eq!(memory(Memory::default(), 100).limit, Some(100));
        assert_eq!(memory(Memory { limit: Some(40), ..Memory::default() }, 100).limit, Some(40));
        assert_eq!(memory(Memory { limit: Some(400), ..Memory::default() }, 100).limit, Some(100));
    }
}
