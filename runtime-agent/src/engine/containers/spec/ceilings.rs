//! What an engine without CAP_SYS_RESOURCE cannot grant: it is refused with value and reason, never lowered in silence.

use std::collections::BTreeMap;

use wharfd_api_types::container::HostConfig;

use crate::engine::error::{Error, Result};

/// What an engine without CAP_SYS_RESOURCE cannot go beyond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ceilings {
    /// Hard limits; one without a bound is absent.
    limits: BTreeMap<&'static str, u64>,
    /// The badness for the out-of-memory killer that it cannot go below.
    badness: i64,
}

impl Ceilings {
    /// From the process's own `status`, `limits` and `oom_score_adj`.
    pub(crate) fn parse(status: &str, limits: &str, badness: &str) -> Option<Self> {
        const SYS_RESOURCE: u64 = 1 << 24;
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
        if bits & SYS_RESOURCE != 0 {
            return None;
        }
        let hard = |title: &str| {
            let rest = limits.lines().find_map(|line| line.strip_prefix(title))?;
            rest.split_whitespace().nth(1)?.parse().ok()
        };
        let limits = TITLES.iter().filter_map(|(name, title)| Some((*name, hard(title)?))).collect();
        Some(Self { limits, badness: badness.trim().parse().unwrap_or(0) })
    }

    /// Refuses what this host does not grant, with value and reason.
    pub(super) fn check(&self, host: &HostConfig) -> Result<()> {
        const REASON: &str = "this host does not grant the capability CAP_SYS_RESOURCE";
        for limit in &host.ulimits {
            let Some(most) = self.limits.get(limit.name.to_ascii_uppercase().as_str()) else { continue };
            if u64::try_from(limit.hard).map_or(true, |hard| hard > *most) {
                return Err(Error::invalid(format!(
                    "ulimit {} cannot be {}: {REASON}, and the hard limit is {most}",
                    limit.name, limit.hard
                )));
            }
        }
        if host.oom_score_adj < self.badness && host.oom_score_adj != 0 {
            return Err(Error::invalid(format!(
                "oom score adj cannot be {}: {REASON}, and the lowest is {}",
                host.oom_score_adj, self.badness
            )));
        }
        Ok(())
    }
}

/// Every limit there is, and what `/proc/self/limits` calls it.
pub(super) const TITLES: [(&str, &str); 16] = [
    ("AS", "Max address space"),
    ("CORE", "Max core file size"),
    ("CPU", "Max cpu time"),
    ("DATA", "Max data size"),
    ("FSIZE", "Max file size"),
    ("LOCKS", "Max file locks"),
    ("MEMLOCK", "Max locked memory"),
    ("MSGQUEUE", "Max msgqueue size"),
    ("NICE", "Max nice priority"),
    ("NOFILE", "Max open files"),
    ("NPROC", "Max processes"),
    ("RSS", "Max resident set"),
    ("RTPRIO", "Max realtime priority"),
    ("RTTIME", "Max realtime timeout"),
    ("SIGPENDING", "Max pending signals"),
    ("STACK", "Max stack size"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_does_not_grant_is_refused_with_value_and_reason() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\nMax stack size  1  unlimited  bytes\n";
        let ceilings = Ceilings::parse("CapEff:\t000001fffeffffff\n", limits, "-5\n").unwrap();
        let check = |json: &str| {
            ceilings.check(&serde_json::from_str(json).unwrap()).map_err(|error| error.to_string())
        };
        let nofile =
            |hard: i64| check(&format!(r#"{{"Ulimits":[{{"Name":"nofile","Soft":1,"Hard":{hard}}}]}}"#));
        assert!(nofile(4096).is_ok());
        let refused = nofile(5000).unwrap_err();
        assert!(
            refused.contains("5000") && refused.contains("CAP_SYS_RESOURCE") && refused.contains("4096"),
            "{refused}"
        );
        assert!(nofile(-1).is_err() && check(r#"{"Ulimits":[{"Name":"stack","Soft":1,"Hard":-1}]}"#).is_ok());
        assert!(
            check(r#"{"OomScoreAdj":-6}"#).unwrap_err().contains("-6")
                && check(r#"{"OomScoreAdj":-5}"#).is_ok()
        );
        assert_eq!(Ceilings::parse("CapEff:\t000001ffffffffff\n", limits, "0"), None);
    }
}
