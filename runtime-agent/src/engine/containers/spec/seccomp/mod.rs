//! Which system calls a container may make.
//!
//! Ours is an allowlist: what programs need, and beside it what a granted capability pays for. Profiles that clients
//! send (Docker's format: conditions on architecture, capabilities and kernel) are read and narrowed to this container.

mod calls;
mod profile;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::engine::error::Result;
use profile::Profile;

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Choice {
    Default,
    Unconfined,
    Own(Box<Profile>),
}

impl Choice {
    /// Reads a profile's text: clients send the file's content.
    pub(super) fn parse(text: &str) -> Result<Self> {
        Profile::parse(text).map(|profile| Self::Own(Box::new(profile)))
    }

    /// The rules for a container with these capabilities; `None` is no filter at all.
    pub(super) fn rules(&self, granted: &BTreeSet<String>, kernel: (u32, u32)) -> Result<Option<Value>> {
        match self {
            Self::Unconfined => Ok(None),
            Self::Default => Ok(Some(default_rules(granted))),
            Self::Own(profile) => profile.rules(granted, kernel).map(Some),
        }
    }
}

/// The native architecture and those whose programs it also runs.
pub(super) const ARCHITECTURES: &[&str] = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    _ => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
};

fn default_rules(granted: &BTreeSet<String>) -> Value {
    let mut names: BTreeSet<&str> = calls::EVERYBODY.iter().flat_map(|group| group.iter().copied()).collect();
    if cfg!(target_arch = "x86_64") {
        names.extend(calls::X86);
    } else {
        names.extend(calls::ARM);
    }
    for (capability, calls) in calls::PAID_FOR {
        if granted.contains(*capability) {
            names.extend(*calls);
        }
    }
    let mut rules = vec![json!({ "names": names, "action": ALLOW })];
    let when = |name: &str, index: u32, value: u64, op: &str| json!({ "names": [name], "action": ALLOW, "args": [{ "index": index, "value": value, "op": op }] });
    // Sockets of the hypervisor reach past every namespace.
    rules.push(when("socket", 0, AF_VSOCK, "SCMP_CMP_NE"));
    for persona in calls::PERSONALITIES {
        rules.push(when("personality", 0, *persona, "SCMP_CMP_EQ"));
    }
    if !granted.contains("CAP_SYS_ADMIN") {
        let masked = json!({ "index": 0, "value": NAMESPACES, "op": "SCMP_CMP_MASKED_EQ" });
        rules.push(json!({ "names": ["clone"], "action": ALLOW, "args": [masked] }));
        // Its flags are behind a pointer: C libraries fall back to clone when told that it does not exist.
        rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": EPERM, "architectures": ARCHITECTURES, "syscalls": rules,
    })
}

const ALLOW: &str = "SCMP_ACT_ALLOW";
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
const AF_VSOCK: u64 = 40;
/// Every `CLONE_NEW…` flag: cgroup, uts, ipc, user, pid, net, mount.
const NAMESPACES: u64 = 0x7e02_0000;

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rules: &Value, name: &str) -> bool {
        let plain = |rule: &&Value| rule["action"] == ALLOW && rule.get("args").is_none();
        let names = |rule: &Value| rule["names"].as_array().unwrap().iter().any(|have| have == name);
        rules["syscalls"].as_array().unwrap().iter().filter(plain).any(names)
    }

    #[test]
    fn everyday_calls_pass_and_dangerous_ones_must_be_paid_for() {
        let plain = Choice::Default.rules(&BTreeSet::new(), (6, 1)).unwrap().unwrap();
        for call in ["read", "execve", "futex", "epoll_wait", "statx", "getrandom", "socketpair"] {
            assert!(allowed(&plain, call), "{call}");
        }
        for call in [
            "mount",
            "setns",
            "unshare",
            "bpf",
            "reboot",
            "init_module",
            "io_uring_setup",
            "kexec_load",
            "keyctl",
        ] {
            assert!(!allowed(&plain, call), "{call}");
        }
        let admin = Choice::Default.rules(&["CAP_SYS_ADMIN".to_owned()].into(), (6, 1)).unwrap().unwrap();
        assert!(allowed(&admin, "mount") && allowed(&admin, "clone3") && !allowed(&admin, "reboot"));
    }

    #[test]
    fn the_rules_are_the_runtimes() {
        let rules = Choice::Default.rules(&BTreeSet::new(), (6, 1)).unwrap().unwrap();
        serde_json::from_value::<oci_spec::runtime::LinuxSeccomp>(rules).unwrap();
        assert_eq!(Choice::Unconfined.rules(&BTreeSet::new(), (6, 1)).unwrap(), None);
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut seen = BTreeSet::new();
        for call in calls::EVERYBODY.iter().flat_map(|group| group.iter()) {
            assert!(seen.insert(call), "{call}");
        }
    }
}
