//! Health checks: a command that runs inside, over and over, and what its failures in a row mean.
//!
//! ```text
//!              success                       failures in a row
//!  starting ───────────► healthy ◄──────────────────────────────► unhealthy
//!     │                              success                         ▲
//!     └─────────── as many failures, none counted in the start period ┘
//! ```
//! What was found is kept in the container's record, so that a restart of the daemon changes nothing. Nobody looks at a
//! container that is paused or does not run: then it is unhealthy, as with dockerd.

mod monitor;
mod probe;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharfd_api_types::container::{ContainerConfig, HealthConfig, HealthResult};

use super::moment::Moment;
pub(crate) use monitor::Monitor;

/// What is run, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) command: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    start_interval: Duration,
    /// Failures in a row that mean unhealthy.
    retries: u64,
}

/// What the checks of this run have found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) status: HealthStatus,
    pub(crate) failing_streak: u64,
    /// The last few.
    pub(crate) log: Vec<Probe>,
}

/// Docker's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HealthStatus {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) start: Moment,
    pub(crate) end: Moment,
    /// 0 is healthy; -1 when it could not run or did not end.
    pub(crate) exit_code: i32,
    pub(crate) output: String,
}

impl Check {
    /// `None` when there is nothing to run.
    pub(crate) fn of(config: &ContainerConfig) -> Option<Self> {
        let health = config.healthcheck.as_ref()?;
        let (kind, words) = health.test.as_ref()?.split_first()?;
        let command = match (kind.as_str(), words) {
            ("CMD", [_, ..]) => words.to_vec(),
            ("CMD-SHELL", [line, ..]) => {
                let shell = config.shell.clone().filter(|shell| !shell.is_empty());
                let mut command = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
                command.push(line.clone());
                command
            }
            _ => return None,
        };
        let or = |nanoseconds: i64, default| match u64::try_from(nanoseconds) {
            Ok(nanoseconds @ 1..) => Duration::from_nanos(nanoseconds),
            _ => default,
        };
        Some(Self {
            command,
            interval: or(health.interval, INTERVAL),
            timeout: or(health.timeout, TIMEOUT),
            start_period: or(health.start_period, Duration::ZERO),
            start_interval: or(health.start_interval, START_INTERVAL),
            retries: u64::try_from(health.retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES),
        })
    }

    /// How long until the next check.
    fn pause(&self, health: &Health, started: Option<Moment>) -> Duration {
        let ran_for = started.map(Moment::elapsed).unwrap_or_default();
        let starting = health.status == HealthStatus::Starting && ran_for < self.start_period;
        if starting { self.start_interval } else { self.interval }
    }
}

impl Health {
    /// At the start of a run; earlier findings stay to be read.
    pub(crate) fn starting(before: Option<Self>) -> Self {
        Self { status: HealthStatus::Starting, failing_streak: 0, ..before.unwrap_or_default() }
    }

    /// Counts one check. Whether the status is another one now.
    pub(crate) fn record(&mut self, probe: Probe, check: &Check, started: Option<Moment>) -> bool {
        let before = self.status;
        let since_start = |started: Moment| probe.start.nanoseconds() - started.nanoseconds();
        let period = i128::try_from(check.start_period.as_nanos()).unwrap_or(i128::MAX);
        let forgiven = before == HealthStatus::Starting && started.is_some_and(|at| since_start(at) < period);
        if probe.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if !forgiven {
            self.failing_streak += 1;
            if self.failing_streak >= check.retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.log.push(probe);
        let extra = self.log.len().saturating_sub(KEPT);
        self.log.drain(..extra);
        self.status != before
    }

    /// As inspect shows it.
    pub(crate) fn describe(&self) -> wharfd_api_types::container::Health {
        let result = |probe: &Probe| HealthResult {
            start: probe.start.to_string(),
            end: probe.end.to_string(),
            exit_code: probe.exit_code.into(),
            output: probe.output.clone(),
        };
        wharfd_api_types::container::Health {
            status: self.status.as_str().to_owned(),
            failing_streak: self.failing_streak,
            log: self.log.iter().map(result).collect(),
        }
    }
}

impl HealthStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// In the sentence of a list.
    pub(crate) const fn in_brackets(self) -> &'static str {
        match self {
            Self::Starting => "health: starting",
            other => other.as_str(),
        }
    }
}

/// Refuses what no clock can keep, with dockerd's texts.
pub(crate) fn check(health: &HealthConfig) -> Result<(), String> {
    let durations = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ];
    if let Some((name, _)) = durations.iter().find(|(_, value)| *value != 0 && *value < MILLISECOND) {
        return Err(format!("{name} in Healthcheck cannot be less than 1ms"));
    }
    if health.retries < 0 {
        return Err("Retries in Healthcheck cannot be negative".to_owned());
    }
    match health.test.as_ref().and_then(|words| words.split_first()) {
        None => Ok(()),
        Some((kind, words)) => match (kind.as_str(), words) {
            ("NONE", _) | ("CMD" | "CMD-SHELL", [_, ..]) | ("", []) => Ok(()),
            ("CMD" | "CMD-SHELL", []) => Err(format!("the health check {kind} has no command")),
            _ => Err(format!("unknown health check type '{kind}': use NONE, CMD or CMD-SHELL")),
        },
    }
}

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u64 = 3;
/// Of the log.
const KEPT: usize = 5;
const MILLISECOND: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<Check> {
        Check::of(&serde_json::from_str(json).unwrap())
    }

    fn probe(exit_code: i32) -> Probe {
        Probe { start: Moment::now(), end: Moment::now(), exit_code, output: String::new() }
    }

    #[test]
    fn commands_come_in_two_forms_and_none() {
        let shell =
            parse(r#"{"Healthcheck":{"Test":["CMD-SHELL","a | b"]},"Shell":["/bin/ash","-e"]}"#).unwrap();
        assert_eq!(shell.command, ["/bin/ash", "-e", "a | b"]);
        let plain =
            parse(r#"{"Healthcheck":{"Test":["CMD","a","b"],"Interval":1000000000,"Retries":1}}"#).unwrap();
        assert_eq!((plain.command.len(), plain.interval, plain.retries), (2, Duration::from_secs(1), 1));
        assert_eq!((plain.timeout, plain.start_interval), (TIMEOUT, START_INTERVAL));
        assert!(parse(r#"{"Healthcheck":{"Test":["NONE"]}}"#).is_none() && parse("{}").is_none());
    }

    #[test]
    fn failures_count_in_a_row_and_not_in_the_start_period() {
        let second = r#"{"Healthcheck":{"Test":["CMD","x"],"Retries":2,"StartPeriod":1000000000}}"#;
        let check = parse(second).unwrap();
        let mut health = Health::default();
        assert!(!health.record(probe(1), &check, Some(Moment::now())) && health.failing_streak == 0);
        let long_ago = Moment::from_nanoseconds(Moment::now().nanoseconds() - 5_000_000_000);
        assert!(!health.record(probe(1), &check, long_ago) && health.failing_streak == 1);
        assert!(health.record(probe(-1), &check, long_ago) && health.status == HealthStatus::Unhealthy);
        assert!(health.record(probe(0), &check, long_ago) && health.status == HealthStatus::Healthy);
        // Once healthy, the start period is over.
        assert!(!health.record(probe(1), &check, Some(Moment::now())) && health.failing_streak == 1);
        for _ in 0..9 {
            health.record(probe(0), &check, long_ago);
        }
        assert_eq!(health.log.len(), KEPT);
        let again = Health::starting(Some(health));
        assert_eq!((again.status, again.failing_streak, again.log.len()), (HealthStatus::Starting, 0, KEPT));
    }

    #[test]
    fn the_start_is_watched_more_closely() {
        let check = parse(r#"{"Healthcheck":{"Test":["CMD","x"],"StartPeriod":60000000000}}"#).unwrap();
        let mut health = Health::default();
        assert_eq!(check.pause(&health, Some(Moment::now())), START_INTERVAL);
        health.record(probe(0), &check, Some(Moment::now()));
        assert_eq!(check.pause(&health, Some(Moment::now())), INTERVAL);
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |json: &str| check(&serde_json::from_str(json).unwrap()).unwrap_err();
        assert_eq!(refused(r#"{"Interval":1}"#), "Interval in Healthcheck cannot be less than 1ms");
        assert_eq!(refused(r#"{"Retries":-1}"#), "Retries in Healthcheck cannot be negative");
        assert!(refused(r#"{"Test":["curl","x"]}"#).contains("'curl'"));
        assert!(refused(r#"{"Test":["CMD"]}"#).contains("no command"));
    }
}
