//! What a create refuses before anything is made, and what it warns about.

use wharfd_api_types::container::{ContainerConfig, HostConfig, RestartPolicy};

use super::health;
use super::logging;
use super::signal;
use super::spec::{self, Facts};
use super::syntax;
use crate::engine::error::{Error, Result};

/// Refuses nonsense with dockerd's texts, and returns what will not be honoured.
pub(crate) fn check(config: &ContainerConfig, host: &HostConfig, facts: &Facts) -> Result<Vec<String>> {
    if !config.stop_signal.is_empty() {
        signal::parse(&config.stop_signal)?;
    }
    if config.hostname.len() > 63 || config.hostname.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(Error::invalid(format!("invalid hostname format: {}", config.hostname)));
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    if let Some(check) = &config.healthcheck {
        health::check(check).map_err(Error::invalid)?;
    }
    restart_policy(&host.restart_policy, host.auto_remove)?;
    modes(host)?;
    limits(host)?;
    logging::check(&host.log_config)?;
    syntax::check(config, host)?;
    let mut warnings = spec::check(host, facts)?;
    warnings.extend(without_effect(host, facts));
    Ok(warnings)
}

pub(crate) fn restart_policy(policy: &RestartPolicy, auto_remove: bool) -> Result<()> {
    let RestartPolicy { name, maximum_retry_count } = policy;
    match name.as_str() {
        "" | "no" | "always" | "unless-stopped" if *maximum_retry_count > 0 => Err(Error::invalid(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        )),
        _ if *maximum_retry_count < 0 => {
            Err(Error::invalid("invalid restart policy: maximum retry count cannot be negative"))
        }
        "" | "no" => Ok(()),
        "always" | "unless-stopped" | "on-failure" if auto_remove => {
            Err(Error::invalid("can't create 'AutoRemove' container with restart policy"))
        }
        "always" | "unless-stopped" | "on-failure" => Ok(()),
        _ => Err(Error::invalid(format!(
            "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'"
        ))),
    }
}

/// Bytes of `10m`, `1g`, `512k`, `100`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

fn modes(host: &HostConfig) -> Result<()> {
    let one_of = |what: &str, mode: &str, known: &[&str]| {
        let joins = mode.strip_prefix("container:").is_some_and(|other| !other.is_empty());
        if known.contains(&mode) || (joins && known.contains(&"container:")) {
            return Ok(());
        }
        Err(Error::invalid(format!("invalid {what} mode: {mode}")))
    };
    one_of("IPC", &host.ipc_mode, &["", "private", "none", "shareable", "host", "container:"])?;
    one_of("PID", &host.pid_mode, &["", "host", "container:"])?;
    one_of("UTS", &host.uts_mode, &["", "host"])?;
    one_of("user namespace", &host.userns_mode, &["", "host"])?;
    one_of("cgroup namespace", &host.cgroupns_mode, &["", "private", "host"])?;
    if !matches!(host.runtime.as_str(), "" | "wharf" | "runc" | "io.containerd.runc.v2") {
        return Err(Error::invalid(format!("unknown or invalid runtime name: {}", host.runtime)));
    }
    if !matches!(host.isolation.as_str(), "" | "default") {
        return Err(Error::invalid(format!("invalid isolation '{}' on linux", host.isolation)));
    }
    if !matches!(host.volume_driver.as_str(), "" | "local") {
        return Err(Error::not_found(format!("plugin \"{}\" not found", host.volume_driver)));
    }
    if host.storage_opt.as_ref().is_some_and(|options| !options.is_empty()) {
        return Err(Error::unimplemented(
            "storage options are not supported by the overlay driver on this filesystem",
        ));
    }
    if let Some(request) = host.device_requests.iter().flatten().next() {
        return Err(Error::unimplemented(format!(
            "could not select device driver \"{}\" with capabilities: {:?}",
            request.driver,
            request.capabilities.clone().unwrap_or_default()
        )));
    }
    let kind = match host.network_mode.as_str() {
        "host" => Some("host type networking"),
        mode if mode.starts_with("container:") => Some("container type network"),
        _ => None,
    };
    match kind.filter(|_| host.links.as_ref().is_some_and(|links| !links.is_empty())) {
        Some(kind) => Err(Error::invalid(format!(
            "conflicting options: {kind} can't be used with links. This would result in undefined behavior"
        ))),
        None => Ok(()),
    }
}

fn limits(host: &HostConfig) -> Result<()> {
    let invalid = |text: &str| Err(Error::invalid(text));
    if host.memory != 0 && host.memory < MEMORY_FLOOR {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if host.memory_swap > 0 && host.memory == 0 {
        return invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if host.memory_swappiness.is_some_and(|value| !(-1..=100).contains(&value)) {
        return invalid("Invalid value for memory swappiness: valid range is 0-100");
    }
    if host.memory_reservation > 0 && host.memory_reservation < MEMORY_FLOOR {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if host.memory > 0 && host.memory_reservation > host.memory {
        return invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    if host.nano_cpus > 0 && (host.cpu_period > 0 || host.cpu_quota > 0) {
        return invalid("Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set");
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = i64::try_from(processors).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    if host.nano_cpus < 0 || host.nano_cpus > most {
        return Err(Error::invalid(format!(
            "range of CPUs is from 0.01 to {processors}.00, as there are only {processors} CPUs available"
        )));
    }
    if host.cpu_shares < 0 {
        return Err(Error::invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            host.cpu_shares
        )));
    }
    if host.cpu_period != 0 && !(1_000..=1_000_000).contains(&host.cpu_period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if host.cpu_quota > 0 && host.cpu_quota < 1_000 {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if host.blkio_weight != 0 && !(10..=1000).contains(&host.blkio_weight) {
        return invalid("Range of blkio weight is from 10 to 1000");
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(Error::invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    if host.shm_size < 0 {
        return invalid("SHM size can not be less than 0");
    }
    Ok(())
}

fn without_effect(host: &HostConfig, facts: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |wrong: bool, text: &str| {
        if wrong {
            warnings.push(text.to_owned());
        }
    };
    let published = !host.port_bindings.is_empty() || host.publish_all_ports;
    warn(
        host.network_mode == "host" && published,
        "Published ports are discarded when using host network mode",
    );
    warn(
        host.oom_kill_disable == Some(true) && facts.cgroup_version == 2,
        "OomKillDisable has no effect: this kernel's cgroup v2 does not support it",
    );
    warn(
        host.memory_swappiness.is_some_and(|value| value >= 0) && facts.cgroup_version == 2,
        "MemorySwappiness has no effect: this kernel's cgroup v2 does not support it",
    );
    let limits = &facts.limits;
    let discarded = [
        (!limits.memory && host.memory > 0, "memory limit"),
        (!limits.swap && host.memory_swap > 0, "swap limit"),
        (
            !limits.cpu && (host.nano_cpus > 0 || host.cpu_quota > 0 || host.cpu_period > 0),
            "CPU CFS scheduler",
        ),
        (!limits.cpu && host.cpu_shares > 0, "CPU shares"),
        (!limits.cpuset && (!host.cpuset_cpus.is_empty() || !host.cpuset_mems.is_empty()), "cpuset"),
        (!limits.pids && host.pids_limit.is_some_and(|limit| limit > 0), "PIDs limit"),
    ];
    for (discarded, what) in discarded {
        warn(
            discarded,
            &format!(
                "Your kernel does not support {what} capabilities or the cgroup is not mounted. {what} discarded."
            ),
        );
    }
    warn(host.kernel_memory.is_some_and(|value| value > 0), "Specifying a kernel memory limit has no effect");
    warn(
        host.kernel_memory_tcp.is_some_and(|value| value > 0),
        "Specifying a kernel TCP memory limit has no effect",
    );
    warn(!host.cgroup.is_empty(), "Joining another container's cgroup has no effect");
    let only_on_windows = [
        (host.cpu_count != 0, "CpuCount"),
        (host.cpu_percent != 0, "CpuPercent"),
        (host.io_maximum_iops != 0, "IOMaximumIOps"),
        (host.io_maximum_bandwidth != 0, "IOMaximumBandwidth"),
    ];
    for (wanted, what) in only_on_windows {
        warn(wanted, &format!("{what} has no effect: only Windows has it"));
    }
    warnings
}

/// Below it a process cannot even start.
const MEMORY_FLOOR: i64 = 6 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: &str, host: &str) -> Result<Vec<String>> {
        let facts = Facts::of_a_whole_host();
        check(&serde_json::from_str(config).unwrap(), &serde_json::from_str(host).unwrap(), &facts)
    }

    #[test]
    fn an_ordinary_wish_passes_without_a_word() {
        let host = r#"{"Memory":6291456,"NanoCpus":500000000,"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},
            "LogConfig":{"Type":"json-file","Config":{"max-size":"10m","max-file":"3"}},"MemorySwappiness":-1}"#;
        assert_eq!(run(r#"{"StopSignal":"SIGINT","WorkingDir":"/x"}"#, host).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_is_refused_with_dockers_words() {
        for (host, text) in [
            (r#"{"Memory":1}"#, "Minimum memory limit"),
            (r#"{"RestartPolicy":{"Name":"sometimes"}}"#, "unknown policy 'sometimes'"),
            (
                r#"{"RestartPolicy":{"Name":"always"},"AutoRemove":true}"#,
                "can't create 'AutoRemove' container",
            ),
            (r#"{"RestartPolicy":{"Name":"always","MaximumRetryCount":2}}"#, "maximum retry count"),
            (r#"{"PidMode":"odd"}"#, "invalid PID mode"),
            (r#"{"Runtime":"kata"}"#, "unknown or invalid runtime name: kata"),
            (r#"{"LogConfig":{"Type":"gelf"}}"#, "no log driver named 'gelf'"),
            (r#"{"LogConfig":{"Config":{"max-size":"many"}}}"#, "max-size"),
            (r#"{"CapAdd":["MAGIC"]}"#, "unknown capability"),
            (r#"{"DeviceRequests":[{"Capabilities":[["gpu"]]}]}"#, "could not select device driver"),
            (r#"{"NanoCpus":900000000000000}"#, "range of CPUs"),
        ] {
            let message = run("{}", host).unwrap_err().to_string();
            assert!(message.contains(text), "{host}: {message}");
        }
        assert!(
            run(r#"{"StopSignal":"BOGUS"}"#, "{}").is_err() && run(r#"{"WorkingDir":"x"}"#, "{}").is_err()
        );
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let host = r#"{"NetworkMode":"host","PublishAllPorts":true,"Init":true,"OomKillDisable":true}"#;
        assert_eq!(run("{}", host).unwrap().len(), 2);
        let host = r#"{"KernelMemoryTCP":1,"Cgroup":"container:x","CpuCount":1,"CpuPercent":1,"IOMaximumIOps":1,
            "IOMaximumBandwidth":1}"#;
        assert_eq!(run("{}", host).unwrap().len(), 6);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            (size("10m"), size("1G"), size("7"), size("1kb")),
            (Some(10 << 20), Some(1 << 30), Some(7), Some(1024))
        );
        assert_eq!((size("x"), size("1t"), size("")), (None, None, None));
    }
}
