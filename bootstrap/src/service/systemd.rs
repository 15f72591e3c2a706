//! systemd: a unit.
//!
//! `KillMode=process` and `Delegate=yes` let containers outlive the daemon. Nothing that makes a mount namespace
//! (`PrivateTmp=`, `Protect…=`) may stand in it: containers' mounts must be the host's. It waits for no network:
//! the listener needs none, and `network-online.target` can take minutes.

use crate::Verb;

pub(super) const PATH: &str = "/etc/systemd/system/wharfd.service";

pub(super) fn text(agent: &str, flags: &[String], environment: &[String]) -> String {
    let command = std::iter::once(agent).chain(flags.iter().map(String::as_str)).map(word);
    let command = command.collect::<Vec<_>>().join(" ");
    let environment: String =
        environment.iter().map(|variable| format!("Environment={}\n", assignment(variable))).collect();
    format!(
        "# Written by wharf; `wharf provision` writes it again.
[Unit]
Description=wharf container engine
After=network.target local-fs.target
StartLimitIntervalSec=0

[Service]
Type=notify
{environment}ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Delegate=yes
KillMode=process
Restart=always
RestartSec=1
TimeoutStartSec=60
TasksMax=infinity
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"
    )
}

/// `systemctl enable` would load every unit once more: the link is all it makes.
pub(super) fn start(changed: bool, verb: Verb) -> String {
    let enable = "mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sfn /etc/systemd/system/wharfd.service /etc/systemd/system/multi-user.target.wants/wharfd.service
systemctl daemon-reload
";
    let verb = match verb {
        Verb::Keep => return if changed { enable.to_owned() } else { String::new() },
        Verb::Restart => "restart",
        Verb::Start | Verb::Create | Verb::Replace => "start",
    };
    let undo = if verb == "start" { "systemctl stop wharfd.service; " } else { "" };
    let enable = if changed { enable } else { "" };
    format!("{enable}systemctl {verb} wharfd.service </dev/null || {{ fail; {undo}exit 24; }}\n")
}

pub(super) const RELOAD: &str = "systemctl kill --kill-who=main --signal=HUP wharfd.service\n";

pub(super) const LOG: &str = "journalctl -u wharfd.service -n 30 --no-pager -o cat 2>/dev/null || systemctl status wharfd.service --no-pager";

pub(super) const REMOVE: &str = "systemctl stop wharfd.service 2>/dev/null || :
rm -f /etc/systemd/system/multi-user.target.wants/wharfd.service /etc/systemd/system/wharfd.service
systemctl daemon-reload
systemctl reset-failed wharfd.service 2>/dev/null || :
";

/// One assignment, as `systemd.exec(5)` quotes it: a dollar means nothing there.
fn assignment(variable: &str) -> String {
    word(variable).replace("$$", "$")
}

/// One word of a command line, as `systemd.service(5)` quotes it.
fn word(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' | '$' => out.extend([c, c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out + "\""
}
