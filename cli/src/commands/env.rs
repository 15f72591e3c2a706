//! `wharf env`: points the docker client in this terminal at a machine.

use wharf_core::Connection;

use super::{Cx, tunnel};
use crate::error::{Error, Result};
use crate::shell::{Change, Shell};

const VARIABLES: [&str; 4] = ["DOCKER_TLS_VERIFY", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_MACHINE_NAME"];

/// Prints what points the docker client in this terminal at a machine
///
/// Run it as: eval "$(wharf env NAME)"
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Whose language to speak: bash, zsh, fish, powershell, cmd, tcsh, emacs; the shell you use when not given
    #[arg(long, value_name = "SHELL")]
    shell: Option<String>,
    /// Unset the variables instead
    #[arg(short, long)]
    unset: bool,
    /// Keep the machine's address from going through the proxy
    #[arg(long)]
    no_proxy: bool,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let shell = match &args.shell {
        Some(name) => name.parse().map_err(Error::usage)?,
        None => Shell::detect(cx.world.var("SHELL"), cx.world.var("PSModulePath")),
    };
    let changes = if args.unset {
        VARIABLES.map(|name| Change::Unset(name.to_owned())).to_vec()
    } else {
        let wharf = cx.wharf();
        let name = cx.one(args.name.as_deref(), &wharf).await?;
        let connection = cx.connection(&name, &wharf).await?;
        tunnel::say_what_is_needed(&connection, cx).await;
        let mut changes: Vec<Change> = variables(&connection)
            .into_iter()
            .map(|(name, value)| Change::Set(name.to_owned(), value))
            .collect();
        if args.no_proxy {
            let address = if connection.tunnel.is_some() { "127.0.0.1" } else { &connection.engine_host };
            changes.push(no_proxy(address, cx));
        }
        changes
    };
    if cx.ui.is_json() {
        let object: serde_json::Map<String, serde_json::Value> = changes
            .into_iter()
            .map(|change| match change {
                Change::Set(name, value) => (name, value.into()),
                Change::Unset(name) => (name, serde_json::Value::Null),
            })
            .collect();
        return cx.ui.json(&object);
    }
    cx.ui.raw(&shell.script(&changes, &cx.typed.join(" ")))
}

/// What points a docker client at the machine.
pub(super) fn variables(connection: &Connection) -> Vec<(&'static str, String)> {
    let values = [
        "1".to_owned(),
        connection.url.clone(),
        connection.certificates.display().to_string(),
        connection.name.to_string(),
    ];
    VARIABLES.into_iter().zip(values).collect()
}

/// The address is added to whichever of the two spellings is in use, once.
fn no_proxy(address: &str, cx: &Cx) -> Change {
    let (name, before) = match cx.world.var("no_proxy") {
        Some(value) => ("no_proxy", value),
        None => ("NO_PROXY", cx.world.var("NO_PROXY").unwrap_or_default()),
    };
    let value = match before {
        "" => address.to_owned(),
        all if all.split(',').any(|entry| entry.trim() == address) => all.to_owned(),
        some => format!("{some},{address}"),
    };
    Change::Set(name.to_owned(), value)
}
