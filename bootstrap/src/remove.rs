//! Leaves a host as it was, or as it is.

use wharf_ssh::Command;

use crate::probe::probe;
use crate::progress::{Phase, Progress};
use crate::provision::{Watch, connect};
use crate::remote::{self, as_root, quote};
use crate::{Error, Facts, Visit, service};

/// What became of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// Nothing was done: the engine and its containers run on.
    Left,
    /// The agent, its containers, images, volumes and certificates are gone.
    Purged,
}

/// Takes what is ours off a host, with `purge`; without it, nothing is touched and nobody is connected to.
pub async fn remove(visit: &Visit, purge: bool, progress: &Progress) -> Result<Removed, Error> {
    if !purge {
        return Ok(Removed::Left);
    }
    let mut watch = Watch::new(progress);
    let session = watch.time(Phase::Connect, connect(visit)).await?;
    let facts = watch.time(Phase::Probe, probe(&session, NO_PORT, visit.deadline)).await?;
    if facts.access == crate::Access::None {
        return Err(Error::NotAllowed { user: facts.user, reason: facts.refusal });
    }
    let command = Command::new(as_root(facts.access, &script(&facts)));
    let removal = remote::run(&session, "removing the engine", command, visit.deadline);
    watch.time(Phase::Remove, removal).await?;
    Ok(Removed::Purged)
}

/// The engine's port is of no matter here.
const NO_PORT: u16 = 0;

/// Service first, so that nothing comes back; then whatever runs in our control groups, whatever is mounted in our
/// folders, the links and the firewall's table, and last the folders.
fn script(facts: &Facts) -> String {
    let agent = if facts.agent.path.is_empty() { "/usr/local/bin/wharfd" } else { &facts.agent.path };
    format!(
        r#"set -eu
{stop}
kill_all() {{
    for processes in $(find /sys/fs/cgroup -path '*/wharf/*' -name cgroup.procs 2>/dev/null); do
        while read -r process; do kill -KILL "$process" 2>/dev/null || :; done <"$processes"
    done
    for cmdline in /proc/[0-9]*/cmdline; do
        case $(tr '\0' ' ' <"$cmdline" 2>/dev/null) in
            *wharfd*' shim '* | 'wharfd shim '* | {agent}' '*) process=${{cmdline%/cmdline}}; kill -KILL "${{process#/proc/}}" 2>/dev/null || : ;;
        esac
    done
}}
kill_all
unmount_all() {{
    while read -r _ at _; do
        case $at in /var/lib/wharf/* | /run/wharf/*) echo "$at" ;; esac
    done </proc/mounts | sort -r | while read -r at; do umount -l "$at" 2>/dev/null || :; done
}}
left=50
while :; do
    unmount_all
    rm -rf /var/lib/wharf/* /var/lib/wharf/.[!.]* /run/wharf 2>/dev/null && break
    left=$((left - 1))
    [ "$left" -gt 0 ] || {{ rm -rf /var/lib/wharf/* /run/wharf; exit 25; }}
    kill_all
    sleep 0.1 2>/dev/null || sleep 1
done
rmdir /var/lib/wharf 2>/dev/null || :
find /sys/fs/cgroup -depth -type d -path '*/wharf/*' -exec rmdir {{}} \; 2>/dev/null || :
find /sys/fs/cgroup -depth -type d -name wharf -exec rmdir {{}} \; 2>/dev/null || :
if command -v ip >/dev/null; then ip link delete wharf0 2>/dev/null || :; fi
if command -v nft >/dev/null; then nft delete table ip wharf 2>/dev/null || :; fi
rm -f {agent} /run/wharf-watchdog.pid
rm -rf /etc/wharf/tls
rmdir /etc/wharf /opt/wharf/bin /opt/wharf 2>/dev/null || :
"#,
        stop = service::remove(facts.init),
        agent = quote(agent),
    )
}
