//! `wharf scp`: files between this computer and machines, or between two machines.
//!
//! The system's scp does it, or rsync with `--delta`, over ssh as `wharf ssh` starts it: with each machine's key, no other
//! host key than the accepted ones, and no configuration of the person's. What that takes stands in a configuration file
//! for this one run, in which a machine is a host under a name of its own.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use wharf_core::{Connection, MachineName, Wharf};

use super::ssh::{Held, diagnose, private_folder, proxy, settings};
use super::{Cx, machine_name};
use crate::child;
use crate::error::{Error, Result};
use crate::files;
use crate::ui::Board;

/// Copies files between this computer and machines
///
/// A file on a machine is NAME:PATH, or USER@NAME:PATH. Between two machines it goes through this computer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// From where
    #[arg(value_name = "SOURCE")]
    from: String,
    /// To where
    #[arg(value_name = "TARGET")]
    to: String,
    /// Folders with what is in them
    #[arg(short, long)]
    recursive: bool,
    /// Only what differs, by rsync, which must be there at both ends
    #[arg(short, long)]
    delta: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// Where a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Here(String),
    There { user: Option<String>, machine: String, path: String },
}

impl Place {
    /// As scp reads it: what has a colon before any slash is elsewhere.
    pub(super) fn read(text: &str) -> Self {
        match text.split_once(':') {
            Some((host, path)) if !host.is_empty() && !host.contains('/') => {
                let (user, machine) = match host.rsplit_once('@') {
                    Some((user, machine)) => (Some(user.to_owned()), machine),
                    None => (None, host),
                };
                Self::There { user, machine: machine.to_owned(), path: path.to_owned() }
            }
            _ => Self::Here(text.to_owned()),
        }
    }

    /// For scp and rsync; a path here is never taken for an option or for another host.
    fn word(&self) -> String {
        match self {
            Self::Here(path) if path.starts_with('/') => path.clone(),
            Self::Here(path) => format!("./{path}"),
            Self::There { user, machine, path } => {
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                format!("{user}{}:{path}", alias(machine))
            }
        }
    }
}

/// What a machine is called in the file: nothing that a resolver knows.
pub(super) fn alias(machine: &str) -> String {
    format!("wharf-machine-{machine}")
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let places = [Place::read(&args.from), Place::read(&args.to)];
    let machines = machines(&places)?;
    if args.delta && machines.len() > 1 {
        return Err(Error::usage("rsync copies between this computer and one machine")
            .hint("copy between two machines without --delta"));
    }
    let wharf = cx.wharf();
    let mut connections = Vec::new();
    let call = cx.call("scp", Duration::from_secs(60), &Board::new(&cx.ui));
    for name in &machines {
        connections.push(wharf.meet(name, &call).await?);
    }
    let needed = if args.delta { "rsync" } else { "scp" };
    let ssh = program("ssh", cx)?;
    let copier = program(needed, cx)?;
    let folder = private_folder()?;
    let file = folder.path().join("config");
    let mut held = Vec::new();
    let mut text = String::new();
    for connection in &connections {
        let agent = Held::of(connection, &wharf).await?;
        text += &host(connection, agent.as_ref(), &ssh, cx);
        held.extend(agent);
    }
    files::replace(&file, text.as_bytes())?;
    let mut copy = tokio::process::Command::new(&copier);
    copy.args(options(&args, &file, &ssh, &places)).args(places.iter().map(Place::word));
    copy.stdin(Stdio::inherit());
    match child::code(child::run(&mut copy).await?) {
        0 => Ok(()),
        code => Err(why(code, &connections, cx, &wharf).await),
    }
}

/// The machines that are named, every one once.
fn machines(places: &[Place]) -> Result<Vec<MachineName>> {
    let mut machines: Vec<MachineName> = Vec::new();
    for place in places {
        if let Place::There { machine, .. } = place {
            let name = machine_name(machine)?;
            if !machines.contains(&name) {
                machines.push(name);
            }
        }
    }
    if machines.is_empty() {
        return Err(Error::usage("neither of the two is on a machine").hint("a file on one is NAME:PATH"));
    }
    Ok(machines)
}

fn program(name: &str, cx: &Cx) -> Result<std::path::PathBuf> {
    cx.world.on_path(name).ok_or_else(|| {
        Error::failed(format!("there is no `{name}` on PATH, which copying needs"))
            .hint("install the OpenSSH client, and rsync for --delta")
    })
}

/// A machine as ssh is told of it.
pub(super) fn host(connection: &Connection, held: Option<&Held>, ssh: &Path, cx: &Cx) -> String {
    let access = &connection.ssh;
    let mut text = format!(
        "Host {}\n  HostName {}\n  Port {}\n  User {}\n",
        alias(connection.name.as_str()),
        access.host,
        access.port,
        access.user
    );
    if let Some(identity) = access.identity.as_ref().or(access.held.as_ref()) {
        let _ = writeln!(text, "  IdentityFile \"{}\"\n  IdentitiesOnly yes", identity.display());
    }
    if let Some(held) = held {
        let _ = writeln!(text, "  IdentityAgent \"{}\"", held.agent.socket().display());
    }
    if let Some(proxy) = proxy(ssh, access, &cx.world.person()) {
        let _ = writeln!(text, "  ProxyCommand {proxy}");
    }
    for setting in settings(std::slice::from_ref(&access.known_hosts)) {
        let _ = writeln!(text, "  {}", setting.replacen('=', " ", 1));
    }
    text
}

fn options(args: &Args, config: &Path, ssh: &Path, places: &[Place; 2]) -> Vec<String> {
    let mut options = Vec::new();
    if args.delta {
        // As docker-machine had it: times and permissions stay, folders go along.
        options.extend(["--archive".to_owned(), "--partial".to_owned()]);
        options.push(format!("--rsh='{}' -F '{}'", ssh.display(), config.display()));
        if !args.quiet {
            options.push("--progress".to_owned());
        }
    } else {
        options.extend([
            "-F".to_owned(),
            config.display().to_string(),
            "-S".to_owned(),
            ssh.display().to_string(),
        ]);
        if places.iter().all(|place| matches!(place, Place::There { .. })) {
            options.push("-3".to_owned());
        }
        if args.recursive {
            options.push("-r".to_owned());
        }
        if args.quiet {
            options.push("-q".to_owned());
        }
    }
    options.push("--".to_owned());
    options
}

/// Why it ended so: a machine that does not let us in, or what the copier said itself.
async fn why(code: i32, connections: &[Connection], cx: &Cx, wharf: &Wharf) -> Error {
    for connection in connections {
        let error = diagnose(connection, cx, wharf).await;
        if error.status().is_none() {
            return error;
        }
    }
    Error::remote(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_scp_reads_them() {
        let there = |user: Option<&str>, machine: &str, path: &str| Place::There {
            user: user.map(Into::into),
            machine: machine.into(),
            path: path.into(),
        };
        assert_eq!(Place::read("web:/etc/hosts"), there(None, "web", "/etc/hosts"));
        assert_eq!(Place::read("ann@web:"), there(Some("ann"), "web", ""));
        for here in ["file", "./web:file", "/a:b", ":x"] {
            assert_eq!(Place::read(here), Place::Here(here.into()));
        }
        assert_eq!(Place::read("-rf").word(), "./-rf");
        assert_eq!(Place::read("ann@web:a b").word(), "ann@wharf-machine-web:a b");
    }
}
