//! Limits: memory, processors, processes, block devices.

use serde_json::{Map, Value, json};
use wharfd_api_types::container::HostConfig;

use super::{Blueprint, devices};
use crate::engine::error::{Error, Result};
use crate::engine::host::Limits;

pub(super) fn resources(blueprint: &Blueprint<'_>) -> Result<Value> {
    let host = blueprint.host;
    let mut resources = Map::new();
    resources.insert("devices".to_owned(), json!(devices::rules(blueprint)?));
    let mut put = |key: &str, value: Map<String, Value>| {
        if !value.is_empty() {
            resources.insert(key.to_owned(), Value::Object(value));
        }
    };
    // What cannot be limited here was said at create; asking for it would fail the start.
    let limits = &blueprint.facts.limits;
    if limits.memory {
        put("memory", memory(host, limits.swap));
    }
    put("cpu", cpu(host, limits));
    put("blockIO", block_io(host)?);
    if let Some(limit) = host.pids_limit.filter(|limit| *limit > 0 && limits.pids) {
        put("pids", Map::from_iter([("limit".to_owned(), json!(limit))]));
    }
    Ok(Value::Object(resources))
}

fn memory(host: &HostConfig, swap_is_limited: bool) -> Map<String, Value> {
    let mut memory = Map::new();
    let mut put = |key: &str, value: Value| memory.insert(key.to_owned(), value);
    if host.memory > 0 {
        put("limit", json!(host.memory));
        // Nothing said about swap: as much again, as with dockerd.
        let swap = if host.memory_swap == 0 { host.memory * 2 } else { host.memory_swap };
        if swap_is_limited {
            put("swap", json!(swap));
        }
    }
    if host.memory_reservation > 0 {
        put("reservation", json!(host.memory_reservation));
    }
    if let Some(swappiness) = host.memory_swappiness.filter(|swappiness| *swappiness >= 0) {
        put("swappiness", json!(swappiness));
    }
    if host.oom_kill_disable == Some(true) {
        put("disableOOMKiller", json!(true));
    }
    memory
}

fn cpu(host: &HostConfig, limits: &Limits) -> Map<String, Value> {
    let mut cpu = Map::new();
    let mut put = |key: &str, value: Value| cpu.insert(key.to_owned(), value);
    if limits.cpuset {
        for (key, value) in [("cpus", &host.cpuset_cpus), ("mems", &host.cpuset_mems)] {
            if !value.is_empty() {
                put(key, json!(value));
            }
        }
    }
    if !limits.cpu {
        return cpu;
    }
    if host.nano_cpus > 0 {
        put("period", json!(PERIOD));
        put("quota", json!(host.nano_cpus * PERIOD / 1_000_000_000));
    } else {
        if host.cpu_period > 0 {
            put("period", json!(host.cpu_period));
        }
        if host.cpu_quota > 0 {
            put("quota", json!(host.cpu_quota));
        }
    }
    if host.cpu_shares > 0 {
        put("shares", json!(host.cpu_shares));
    }
    for (key, value) in
        [("realtimePeriod", host.cpu_realtime_period), ("realtimeRuntime", host.cpu_realtime_runtime)]
    {
        if value > 0 {
            put(key, json!(value));
        }
    }
    cpu
}

fn block_io(host: &HostConfig) -> Result<Map<String, Value>> {
    let mut block = Map::new();
    if host.blkio_weight > 0 {
        block.insert("weight".to_owned(), json!(host.blkio_weight));
    }
    let throttles = [
        ("throttleReadBpsDevice", &host.blkio_device_read_bps),
        ("throttleWriteBpsDevice", &host.blkio_device_write_bps),
        ("throttleReadIOPSDevice", &host.blkio_device_read_iops),
        ("throttleWriteIOPSDevice", &host.blkio_device_write_iops),
    ];
    for (key, devices) in throttles {
        let mut list = Vec::new();
        for device in devices {
            let (major, minor) = numbers(&device.path)?;
            list.push(json!({ "major": major, "minor": minor, "rate": device.rate }));
        }
        if !list.is_empty() {
            block.insert(key.to_owned(), json!(list));
        }
    }
    let mut weights = Vec::new();
    for device in &host.blkio_weight_device {
        let (major, minor) = numbers(&device.path)?;
        weights.push(json!({ "major": major, "minor": minor, "weight": device.weight }));
    }
    if !weights.is_empty() {
        block.insert("weightDevice".to_owned(), json!(weights));
    }
    Ok(block)
}

/// The one place that looks at the host: a block device's numbers by its path.
fn numbers(path: &str) -> Result<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata =
        std::fs::metadata(path).map_err(|e| Error::invalid(format!("no such device: {path}: {e}")))?;
    Ok((rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev())))
}

/// Microseconds: what the kernel takes when nobody says.
const PERIOD: i64 = 100_000;
