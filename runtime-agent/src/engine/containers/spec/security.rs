//! `SecurityOpt` and what goes with it: seccomp, AppArmor, new privileges, hidden and read-only paths.

use wharfd_api_types::container::HostConfig;

use super::seccomp::Choice;
use crate::engine::error::{Error, Result};
use crate::runtime::apparmor;

/// What a container's security options come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Security {
    pub(super) seccomp: Choice,
    /// The profile that was asked for, or that follows from the other wishes; empty where AppArmor is not there.
    apparmor: String,
    apparmor_wanted: bool,
    pub(super) no_new_privileges: bool,
    pub(super) masked: Vec<String>,
    pub(super) readonly: Vec<String>,
    /// What cannot be honoured here, for the answer to a create.
    pub(crate) warnings: Vec<String>,
}

impl Security {
    pub(crate) fn parse(host: &HostConfig) -> Result<Self> {
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        let mut security = Self {
            seccomp: if host.privileged { Choice::Unconfined } else { Choice::Default },
            apparmor: if host.privileged { apparmor::UNCONFINED } else { apparmor::DEFAULT }.to_owned(),
            apparmor_wanted: false,
            no_new_privileges: false,
            masked: host.masked_paths.clone().unwrap_or_else(|| owned(MASKED)),
            readonly: host.readonly_paths.clone().unwrap_or_else(|| owned(READONLY)),
            warnings: Vec::new(),
        };
        if host.privileged {
            security.masked.clear();
            security.readonly.clear();
        }
        for option in host.security_opt.iter().flatten() {
            security.apply(option)?;
        }
        Ok(security)
    }

    /// The name of the AppArmor profile; `None` on a host without AppArmor. A profile that was asked for and cannot be
    /// had is refused.
    pub(crate) fn apparmor(&self, is_on: bool) -> Result<Option<&str>> {
        match is_on {
            true => Ok(Some(&self.apparmor)),
            false if self.apparmor_wanted => Err(Error::invalid(format!(
                "AppArmor is not supported on this host, but the profile '{}' was specified",
                self.apparmor
            ))),
            false => Ok(None),
        }
    }

    /// What is hidden and what is read-only, for the record and for inspect.
    pub(crate) fn system_paths(self) -> (Vec<String>, Vec<String>) {
        (self.masked, self.readonly)
    }

    fn apply(&mut self, option: &str) -> Result<()> {
        let invalid = || Error::invalid(format!("invalid --security-opt: \"{option}\""));
        // The colon is the old spelling.
        let (key, value) = option.split_once('=').or_else(|| option.split_once(':')).unwrap_or((option, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => self.no_new_privileges = true,
            ("no-new-privileges", "false") => self.no_new_privileges = false,
            ("seccomp", "unconfined") => self.seccomp = Choice::Unconfined,
            ("seccomp", "builtin") => self.seccomp = Choice::Default,
            ("seccomp", profile) => self.seccomp = Choice::parse(profile)?,
            ("systempaths", "unconfined") => {
                self.masked.clear();
                self.readonly.clear();
            }
            ("label", "disable") => {}
            ("label", _) => {
                self.warnings
                    .push(format!("security option {option} has no effect: {key} is not supported here"));
            }
            ("apparmor", "") => return Err(invalid()),
            ("apparmor", profile) => {
                profile.clone_into(&mut self.apparmor);
                self.apparmor_wanted = !matches!(profile, apparmor::UNCONFINED | apparmor::DEFAULT);
            }
            _ => return Err(invalid()),
        }
        Ok(())
    }
}

/// What of /proc and /sys tells too much.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Security> {
        Security::parse(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_defaults_hide_and_a_privileged_container_sees_everything() {
        let default = parse("{}").unwrap();
        assert!(default.masked.len() > 5 && default.seccomp == Choice::Default && !default.no_new_privileges);
        let privileged = parse(r#"{"Privileged":true}"#).unwrap();
        assert!(privileged.masked.is_empty() && privileged.seccomp == Choice::Unconfined);
    }

    #[test]
    fn options_are_honoured_warned_about_or_refused() {
        let options = r#"{"SecurityOpt":["no-new-privileges","seccomp=unconfined","systempaths=unconfined","label:type:x"]}"#;
        let security = parse(options).unwrap();
        assert!(
            security.no_new_privileges
                && security.seccomp == Choice::Unconfined
                && security.readonly.is_empty()
        );
        assert!(security.warnings[0].contains("label:type:x"));
        assert!(parse(r#"{"SecurityOpt":["magic=1"]}"#).is_err());
        assert!(parse(r#"{"SecurityOpt":["apparmor="]}"#).is_err());
        assert!(parse(r#"{"SecurityOpt":["seccomp={broken"]}"#).is_err());
    }
    #[test]
    fn a_profile_of_apparmor_is_the_one_that_was_asked_for_or_the_usual_one() {
        let profile = |json: &str| parse(json).unwrap().apparmor(true).unwrap().map(str::to_owned).unwrap();
        assert_eq!(profile("{}"), "docker-default");
        assert_eq!(profile(r#"{"Privileged":true}"#), "unconfined");
        assert_eq!(profile(r#"{"SecurityOpt":["apparmor=unconfined"]}"#), "unconfined");
        assert_eq!(profile(r#"{"SecurityOpt":["apparmor:mine"],"Privileged":true}"#), "mine");
        let without =
            |json: &str| parse(json).unwrap().apparmor(false).map(|profile| profile.map(str::to_owned));
        for nothing_lost in [
            "{}",
            r#"{"SecurityOpt":["apparmor=unconfined"]}"#,
            r#"{"SecurityOpt":["apparmor=docker-default"]}"#,
        ] {
            assert_eq!(without(nothing_lost).unwrap(), None, "{nothing_lost}");
        }
        let refused = without(r#"{"SecurityOpt":["apparmor=mine"]}"#).unwrap_err().to_string();
        assert_eq!(refused, "AppArmor is not supported on this host, but the profile 'mine' was specified");
    }
}
