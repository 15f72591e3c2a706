//! Making a container's spec fit this host and this runtime, before anybody acts on it.
//!
//! What a host cannot grant is lowered, not refused, where a container can live with it: capabilities outside the
//! bounding set, and limits above our own hard ones where the capability to raise them is missing. What protects the
//! host (device rules, seccomp, namespaces) is never lowered.

use std::io::Read as _;
use std::path::Path;

use libcontainer::capabilities::CapabilityExt as _;
use nix::sys::resource::{Resource, getrlimit};
use oci_spec::runtime::{
    Capabilities, LinuxCapabilities, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, Root, Spec,
};

use super::error::{Doing as _, Error, Result};
use super::{Bundle, Size};

const SYS_RESOURCE: u64 = 1 << 24;

/// What this process may do, and so its children.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grants {
    effective: u64,
    bounding: u64,
}

impl Grants {
    pub(super) fn own() -> Result<Self> {
        let status =
            std::fs::read_to_string("/proc/self/status").doing(|| "reading own status".to_owned())?;
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
        };
        Ok(Self { effective: set("CapEff:"), bounding: set("CapBnd:") })
    }

    const fn may_raise_limits(self) -> bool {
        self.effective & SYS_RESOURCE != 0
    }

    fn allows(self, capability: oci_spec::runtime::Capability) -> bool {
        self.bounding & (1 << capability.to_cap().index()) != 0
    }
}

/// The spec to write into the bundle.
pub(super) fn fit(bundle: &Bundle, grants: Grants) -> Result<Spec> {
    let mut spec = bundle.spec.clone();
    let mut root = Root::default();
    root.set_path(bundle.rootfs.clone());
    root.set_readonly(spec.root().as_ref().and_then(Root::readonly));
    spec.set_root(Some(root));
    let process = spec.process_mut().as_mut();
    let process = process.ok_or_else(|| Error::Invalid("the spec has no process".to_owned()))?;
    process.set_terminal(Some(bundle.terminal));
    // libcontainer asks the C library for a missing one, which would load modules from inside the container.
    let environment = process.env_mut().get_or_insert_default();
    if !environment.iter().any(|entry| entry.strip_prefix("HOME=").is_some_and(|home| !home.is_empty())) {
        environment.push("HOME=/".to_owned());
    }
    if process.oom_score_adj().is_none() {
        // Ours is for what must survive the containers.
        process.set_oom_score_adj(Some(0));
    }
    fit_process(process, grants)?;
    let linux =
        spec.linux_mut().as_mut().ok_or_else(|| Error::Invalid("the spec is not for linux".to_owned()))?;
    if linux.cgroups_path().is_none() {
        linux.set_cgroups_path(Some(Path::new("/wharf").join(&bundle.id)));
    }
    Ok(spec)
}

/// The same for a further process.
pub(super) fn fit_process(process: &mut Process, grants: Grants) -> Result<()> {
    if process.no_new_privileges() == Some(false) {
        // libcontainer takes any value for yes when it decides on when to load the seccomp filter.
        process.set_no_new_privileges(None);
    }
    let sets = process.capabilities().as_ref().map(|sets| within(sets, grants));
    process.set_capabilities(sets);
    let limits = process.rlimits().clone();
    let lowered = |limit| lowered(limit, grants);
    process.set_rlimits(limits.map(|limits| limits.into_iter().map(lowered).collect()));
    if !grants.may_raise_limits() {
        let badness = process.oom_score_adj().map_or(Ok(None), |wanted| lowest_badness(wanted).map(Some))?;
        process.set_oom_score_adj(badness);
    }
    Ok(())
}

/// A terminal's size in the spec's words. The library has no way to make one but reading it.
pub(super) fn console_size(size: Size) -> Option<oci_spec::runtime::Box> {
    let size = serde_json::json!({ "height": size.rows, "width": size.columns });
    serde_json::from_value(size).ok()
}

fn within(sets: &LinuxCapabilities, grants: Grants) -> LinuxCapabilities {
    let keep = |set: &Option<Capabilities>| {
        set.as_ref().map(|set| set.iter().copied().filter(|&c| grants.allows(c)).collect::<Capabilities>())
    };
    let mut kept = LinuxCapabilities::default();
    kept.set_bounding(keep(sets.bounding()));
    kept.set_effective(keep(sets.effective()));
    kept.set_permitted(keep(sets.permitted()));
    kept.set_inheritable(keep(sets.inheritable()));
    kept.set_ambient(keep(sets.ambient()));
    kept
}

/// Without the capability our own hard limit is the most; of open files nobody may have more than the kernel's.
fn lowered(limit: PosixRlimit, grants: Grants) -> PosixRlimit {
    let most = match limit.typ() {
        kind if !grants.may_raise_limits() => getrlimit(resource(kind)).map(|(_, hard)| hard).ok(),
        PosixRlimitType::RlimitNofile => most_files(),
        _ => None,
    };
    let Some(most) = most else { return limit };
    let hard = limit.hard().min(most);
    let lower = PosixRlimitBuilder::default().typ(limit.typ()).hard(hard).soft(limit.soft().min(hard));
    lower.build().unwrap_or(limit)
}

fn most_files() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/fs/nr_open").ok()?.trim().parse().ok()
}

/// Without the capability nobody may lower it below what it was when that was last set; ours is the best guess.
fn lowest_badness(wanted: i32) -> Result<i32> {
    let mut own = String::new();
    std::fs::File::open("/proc/self/oom_score_adj")
        .and_then(|mut file| file.read_to_string(&mut own))
        .doing(|| "reading own oom_score_adj".to_owned())?;
    Ok(wanted.max(own.trim().parse().unwrap_or(0)))
}

const fn resource(kind: PosixRlimitType) -> Resource {
    match kind {
        PosixRlimitType::RlimitCpu => Resource::RLIMIT_CPU,
        PosixRlimitType::RlimitFsize => Resource::RLIMIT_FSIZE,
        PosixRlimitType::RlimitData => Resource::RLIMIT_DATA,
        PosixRlimitType::RlimitStack => Resource::RLIMIT_STACK,
        PosixRlimitType::RlimitCore => Resource::RLIMIT_CORE,
        PosixRlimitType::RlimitRss => Resource::RLIMIT_RSS,
        PosixRlimitType::RlimitNproc => Resource::RLIMIT_NPROC,
        PosixRlimitType::RlimitNofile => Resource::RLIMIT_NOFILE,
        PosixRlimitType::RlimitMemlock => Resource::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitAs => Resource::RLIMIT_AS,
        PosixRlimitType::RlimitLocks => Resource::RLIMIT_LOCKS,
        PosixRlimitType::RlimitSigpending => Resource::RLIMIT_SIGPENDING,
        PosixRlimitType::RlimitMsgqueue => Resource::RLIMIT_MSGQUEUE,
        PosixRlimitType::RlimitNice => Resource::RLIMIT_NICE,
        PosixRlimitType::RlimitRtprio => Resource::RLIMIT_RTPRIO,
        PosixRlimitType::RlimitRttime => Resource::RLIMIT_RTTIME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::fake;
    use oci_spec::runtime::Capability;

    const POOR: Grants = Grants { effective: 0, bounding: 1 << 21 };

    #[test]
    fn what_the_host_cannot_grant_is_lowered() {
        let mut bundle = fake::bundle("a", "/nowhere".into());
        let process = bundle.spec.process_mut().as_mut().unwrap();
        let both: Capabilities = [Capability::SysAdmin, Capability::SysResource].into();
        let mut sets = LinuxCapabilities::default();
        sets.set_bounding(Some(both));
        process.set_capabilities(Some(sets));
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let wanted = PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitNofile);
        let wanted = wanted.soft(u64::MAX).hard(u64::MAX).build().unwrap();
        process.set_rlimits(Some(vec![wanted])).set_oom_score_adj(Some(-1000));

        let poor = fit(&bundle, POOR).unwrap();
        let process = poor.process().as_ref().unwrap();
        let left = process.capabilities().as_ref().unwrap().bounding().clone().unwrap();
        assert_eq!(left, Capabilities::from([Capability::SysAdmin]));
        assert_eq!(process.rlimits().as_ref().unwrap()[0].hard(), most);
        assert!(process.oom_score_adj().unwrap() > -1000);

        let rich = fit(&bundle, Grants { effective: u64::MAX, bounding: u64::MAX }).unwrap();
        assert_eq!(
            rich.process().as_ref().unwrap().rlimits().as_ref().unwrap()[0].hard(),
            most_files().unwrap()
        );
    }

    #[test]
    fn the_group_is_named_and_privileges_are_a_clear_yes_or_nothing() {
        let mut bundle = fake::bundle("abc", "/nowhere".into());
        bundle.spec.process_mut().as_mut().unwrap().set_no_new_privileges(Some(false));
        bundle.spec.linux_mut().as_mut().unwrap().set_cgroups_path(None);
        let spec = fit(&bundle, POOR).unwrap();
        assert_eq!(spec.linux().as_ref().unwrap().cgroups_path().as_deref(), Some(Path::new("/wharf/abc")));
        assert_eq!(spec.process().as_ref().unwrap().no_new_privileges(), None);
        assert_eq!(spec.root().as_ref().unwrap().path(), Path::new("/nowhere/rootfs"));
    }
}
