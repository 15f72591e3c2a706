//! `wharf upgrade`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use wharf_core::{Call, Look, MachineName, Power, State, Upgraded, Wharf};

use super::{Cx, each};
use crate::error::{Error, Kind, Result};
use crate::ui::Board;

const EXAMPLES: &str = "\
Examples:
  wharf upgrade web db                     to the agent that this program comes with
  wharf upgrade --agent ./wharfd web       to this one
  wharf upgrade --to 0.2.0 web             only if it is of this version";

/// Puts this program's agent in the place of machines' agents; containers go on
///
/// A new agent that does not come up, does not answer over mutual TLS, or knows none of the containers is taken back,
/// and the one that was there before is started again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The machines; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Refuse every agent but one of this version; the one called wharfd-VERSION beside the usual one is taken where it is
    #[arg(long, value_name = "VERSION", conflicts_with = "agent")]
    to: Option<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    #[serde(flatten)]
    upgraded: &'a Upgraded,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let agent = match &args.to {
        Some(version) => Some(of_version(version, cx).await?),
        None => cx.config.agent.clone(),
    };
    let wharf = cx.wharf_bringing(agent);
    let names = cx.several(&args.names, &wharf).await?;
    let board = Board::new(&cx.ui);
    let call = cx.call("upgrade", Duration::from_secs(300), &board);
    let ends = each(cx, &names, |name| {
        let (wharf, call, board) = (&wharf, &call, &board);
        async move {
            if cx.docker_machine.is_some() {
                start(&name, wharf, call).await?;
            }
            let upgraded = wharf.upgrade(&name, call).await;
            let took = board.end(&name).as_secs_f32();
            let upgraded = upgraded?;
            let Upgraded { from, to, changed } = &upgraded;
            cx.ui.note(&match (changed, from == to) {
                (false, _) => format!("{name}: has this agent already, {to}"),
                (true, true) => format!("{name}: has another build of {to} ({took:.1} s)"),
                (true, false) => format!("{name}: upgraded from {from} to {to} ({took:.1} s)"),
            });
            Ok(upgraded)
        }
    })
    .await;
    if cx.ui.is_json() && !ends.done.is_empty() {
        let rows: Vec<_> =
            ends.done.iter().map(|(name, upgraded)| Row { name: name.as_str(), upgraded }).collect();
        cx.ui.json(&rows)?;
    }
    ends.end
}

/// docker-machine's callers count on it that a machine which is off is started first.
async fn start(name: &MachineName, wharf: &Wharf, call: &Call) -> Result<()> {
    let observed = wharf.observe(std::slice::from_ref(name), Look::States, call).await?;
    if observed.iter().any(|machine| machine.state == Some(State::Stopped)) {
        wharf.power(name, Power::On, call).await?;
    }
    Ok(())
}

/// The agent of a version: one that says so in its name and itself, or the usual one if it is that.
async fn of_version(wanted: &str, cx: &Cx) -> Result<PathBuf> {
    let Some(usual) = &cx.config.agent else {
        return Err(Error::new(Kind::Refused, "there is no agent to bring")
            .hint("name one with --agent or WHARF_AGENT"));
    };
    let named = usual.with_file_name(format!("wharfd-{wanted}"));
    let file = if named.is_file() { named } else { usual.clone() };
    let is = version_of(&file).await?;
    if is == wanted {
        return Ok(file);
    }
    Err(Error::new(Kind::Refused, format!("the agent {} is of version {is}, not {wanted}", file.display()))
        .hint(format!(
            "put the agent of that version beside it as wharfd-{wanted}, or name one with --agent"
        )))
}

/// What an agent says of itself: it is a static executable, which this computer can run if it has the same processor.
async fn version_of(file: &Path) -> Result<String> {
    let unknown = || {
        Error::new(Kind::Refused, format!("the version of the agent {} cannot be told here", file.display()))
            .hint("name the file with --agent instead of its version with --to")
    };
    let asked =
        tokio::process::Command::new(file).arg("--version").stdin(std::process::Stdio::null()).output();
    let output = tokio::time::timeout(Duration::from_secs(10), asked).await.map_err(|_| unknown())?;
    let output = output.map_err(|e| unknown().caused_by(&e))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    said.strip_prefix("wharfd ").map(str::to_owned).filter(|_| output.status.success()).ok_or_else(unknown)
}
