//! No init system that we know: the agent's own watchdog, started by a script.
//!
//! Where programs of `/etc/wharf/boot.d` are run at boot (the local driver's guest) the script is one of them, and a
//! reboot brings the engine back; elsewhere it lies beside the certificates and a reboot does not.

use crate::Verb;
use crate::remote::quote;

pub(super) const BOOT_PATH: &str = "/etc/wharf/boot.d/50-wharfd";
pub(super) const PATH: &str = "/etc/wharf/start";

pub(super) fn text(agent: &str, flags: &[String], environment: &[String]) -> String {
    let flags: Vec<_> = flags.iter().map(|flag| quote(flag)).collect();
    format!(
        r#"#!/bin/sh
# Written by wharf; `wharf provision` writes it again.
# start (or nothing): brings the engine and its watchdog up; stop: takes both down, containers live on.
pid=/run/wharf-watchdog.pid log=/var/log/wharfd.log
{exports}alive() {{ [ -r "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null; }}
stop() {{
    alive || return 0
    kill "$(cat "$pid")"
    left=100
    while alive; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1 2>/dev/null || sleep 1
    done
}}
start() {{
    alive && return 0
    mkdir -p /run /var/log
    if [ "$(wc -c <"$log" 2>/dev/null || echo 0)" -gt 10000000 ]; then mv -f "$log" "$log.old"; fi
    apart=
    command -v setsid >/dev/null && apart=setsid
    $apart sh -c 'trap "" HUP; echo $$ >"$0"; exec "$@"' "$pid" {agent} watchdog {flags} </dev/null >>"$log" 2>&1 &
    # The caller may ask at once whether it runs.
    left=50
    until alive; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1 2>/dev/null || sleep 1
    done
}}
case ${{1:-start}} in
    start) start ;;
    stop) stop ;;
    restart) stop && start ;;
    *) echo "usage: $0 [start|stop|restart]" >&2; exit 2 ;;
esac
"#,
        agent = quote(agent),
        exports = super::exports(environment),
        flags = flags.join(" "),
    )
}

pub(super) fn start(path: &str, verb: Verb) -> String {
    match verb {
        Verb::Keep => String::new(),
        Verb::Restart => format!("{path} restart </dev/null >/dev/null || {{ fail; exit 24; }}\n"),
        Verb::Start | Verb::Create | Verb::Replace => {
            format!("{path} start </dev/null >/dev/null || {{ fail; exit 24; }}\n")
        }
    }
}

/// The daemon is the watchdog's child.
pub(super) const RELOAD: &str = "for process in $(cat /proc/$(cat /run/wharf-watchdog.pid)/task/*/children); do kill -HUP \"$process\"; done\n";

pub(super) const LOG: &str = "tail -n 30 /var/log/wharfd.log";

pub(super) fn remove(path: &str) -> String {
    format!(
        "if [ -x {path} ]; then {path} stop || :; fi\nrm -f {path} /var/log/wharfd.log /var/log/wharfd.log.old\n"
    )
}
