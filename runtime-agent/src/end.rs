//! The end of a machine's time: from then on the engine takes no new containers, and a machine that was made for a time
//! is powered off. What runs until then is not touched before.
//!
//! The end is a time of day, since it stands in the cloud, too, and outlives reboots; clocks are set, so it is looked at
//! again and again instead of waited for in one go.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::system::{RebootCommand, reboot};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;

/// When a machine's time is over, and what happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: SystemTime,
    /// Whether the machine is powered off then.
    pub power_off: bool,
}

/// No wait is longer: whoever sets the clock is noticed by then.
const LOOK: Duration = Duration::from_secs(20);
/// An orderly shutdown takes no longer; after that it is done without order.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where the programs of an init system are.
const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

impl End {
    /// How long it is until then; `None` once it is over.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        self.at.duration_since(now).ok().filter(|left| !left.is_zero())
    }

    /// The end as people read it.
    pub(crate) fn shown(&self) -> String {
        OffsetDateTime::from(self.at).format(&Rfc3339).unwrap_or_default()
    }

    /// The end that so many seconds since 1970 are.
    pub(crate) fn at_second(second: u64, power_off: bool) -> Self {
        Self { at: UNIX_EPOCH + Duration::from_secs(second), power_off }
    }
}

/// Powers the machine off when its time is over, unless told to stop before.
pub(crate) async fn watch(end: End, stop: CancellationToken) {
    if !end.power_off {
        return;
    }
    while let Some(left) = end.left(SystemTime::now()) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(left.min(LOOK)) => {}
        }
    }
    tracing::warn!(end = end.shown(), "the time of this machine is over: powering it off");
    match tokio::task::spawn_blocking(ask_init).await {
        Ok(Ok(status)) if status.success() => tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PATIENCE) => {}
        },
        other => tracing::warn!(?other, "no init system powers it off"),
    }
    rustix::fs::sync();
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        tracing::error!(%error, "the machine cannot be powered off");
    }
}

/// Asks the init system for an orderly shutdown.
fn ask_init() -> std::io::Result<ExitStatus> {
    let systemd = Path::new("/run/systemd/system").is_dir();
    let (program, arguments): (&str, &[&str]) =
        if systemd { ("systemctl", &["--no-block", "poweroff"]) } else { ("poweroff", &[]) };
    Command::new(program).args(arguments).env("PATH", PROGRAMS).status()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_over_from_its_second_on() {
        let end = End::at_second(1_800_000_000, false);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(end.left(at(1_799_999_940)), Some(Duration::from_secs(60)));
        assert_eq!(end.left(at(1_800_000_000)), None);
        assert_eq!(end.left(at(1_900_000_000)), None);
        assert_eq!(end.shown(), "2027-01-15T08:00:00Z");
    }

    #[tokio::test]
    async fn nobody_waits_for_an_end_that_powers_nothing_off() {
        watch(End::at_second(1, false), CancellationToken::new()).await;
    }
}
