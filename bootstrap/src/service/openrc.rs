//! OpenRC: a script of its own kind, under its own supervisor.

use crate::Verb;
use crate::remote::quote;

pub(super) const PATH: &str = "/etc/init.d/wharfd";

pub(super) fn text(agent: &str, flags: &[String], environment: &[String]) -> String {
    let flags: Vec<_> = flags.iter().map(|flag| quote(flag)).collect();
    // The supervisor evaluates this string once more: what is quoted inside stays together.
    let flags = flags.join(" ").chars().fold(String::new(), |mut out, c| {
        if matches!(c, '\\' | '"' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
        out
    });
    format!(
        "#!/sbin/openrc-run
# Written by wharf; `wharf provision` writes it again.
name=wharfd
description=\"wharf container engine\"
supervisor=supervise-daemon
command={}
command_args=\"{flags}\"
output_log=/var/log/wharfd.log
error_log=/var/log/wharfd.log
respawn_delay=1
respawn_max=0
rc_ulimit=\"-n 1048576\"
{exports}
depend() {{
    after net localmount cgroups
}}
",
        quote(agent),
        exports = super::exports(environment),
    )
}

pub(super) fn start(changed: bool, verb: Verb) -> String {
    let enable = if changed { "rc-update add wharfd default >/dev/null\n" } else { "" };
    let verb = match verb {
        Verb::Keep => return enable.to_owned(),
        Verb::Restart => "restart",
        Verb::Start | Verb::Create | Verb::Replace => "start",
    };
    let undo = if verb == "start" { "rc-service wharfd stop >/dev/null 2>&1; " } else { "" };
    format!("{enable}rc-service wharfd {verb} </dev/null >&2 || {{ fail; {undo}exit 24; }}\n")
}

/// Outside of a service's own script it takes its name from the environment alone.
pub(super) const RELOAD: &str = "RC_SVCNAME=wharfd supervise-daemon wharfd --signal HUP\n";

pub(super) const LOG: &str = "tail -n 30 /var/log/wharfd.log";

pub(super) const REMOVE: &str = "rc-service wharfd stop >/dev/null 2>&1 || :
rc-update del wharfd default >/dev/null 2>&1 || :
rm -f /etc/init.d/wharfd /var/log/wharfd.log
";
