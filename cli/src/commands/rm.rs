//! `wharf rm`: removes machines, with everything wharf made for them.

use std::time::Duration;

use wharf_core::{Call, MachineName, RemoveOptions, Removed, Wharf};

use super::{Cx, each, machine_names};
use crate::docker::{DockerFolder, context_name};
use crate::docker_machine;
use crate::error::{Error, Kind, Result};
use crate::ui::Board;

/// Removes machines, with everything wharf made for them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machines
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Forget a machine even when what it is made of cannot be removed or asked about; asks nothing
    #[arg(short, long)]
    force: bool,
    /// Ask nothing
    #[arg(short)]
    yes: bool,
    /// On a host that existed before: take the agent and its data away too
    #[arg(long)]
    purge: bool,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let names = machine_names(&args.names)?;
    let wharf = cx.wharf();
    if !args.yes && !args.force {
        confirm(&names, &wharf, cx).await?;
    }
    let board = Board::new(&cx.ui);
    let call = cx.call("rm", Duration::from_secs(300), &board);
    let options = RemoveOptions { purge: args.purge, force: args.force };
    let ends = each(cx, &names, |name| {
        let (wharf, call, board) = (&wharf, &call, &board);
        async move {
            let removed = remove(&name, options, wharf, call, cx).await;
            let took = board.end(&name);
            let removed = removed?;
            for left in &removed.left {
                cx.ui.note(&format!("{name}: {left}"));
            }
            if cx.docker_machine.is_some() {
                cx.ui.note(&format!("Successfully removed {name}"));
            } else {
                cx.ui.note(&format!("{name}: removed ({:.1} s)", took.as_secs_f32()));
            }
            Ok(removed)
        }
    })
    .await;
    if cx.ui.is_json() && !ends.done.is_empty() {
        let rows: Vec<_> = ends
            .done
            .iter()
            .map(|(name, removed)| serde_json::json!({ "name": name, "left": removed.left }))
            .collect();
        cx.ui.json(&rows)?;
    }
    ends.end
}

pub(super) async fn remove(
    name: &MachineName,
    options: RemoveOptions,
    wharf: &Wharf,
    call: &Call,
    cx: &Cx,
) -> Result<Removed> {
    // Asked before it is gone; a journal that cannot be read does not say, and its context stays.
    let id = wharf.inspect(name).await.ok().map(|inspection| inspection.summary.id);
    let removed = wharf.remove(name, options, call).await?;
    let context = context_name(name.as_str());
    let folder = DockerFolder::new(cx.config.docker.clone());
    if let Some(id) = id.filter(|id| folder.is_ours(&context, id.as_str()))
        && let Err(error) = folder.remove(&context, id.as_str())
    {
        cx.ui.warn(&format!("{name}: its docker context could not be removed: {error}"));
    }
    Ok(removed)
}

/// Asks, naming what there is; a name that is wrong is said before anything is asked.
async fn confirm(names: &[MachineName], wharf: &Wharf, cx: &Cx) -> Result<()> {
    let known = wharf.list().await?;
    if let Some(missing) = names.iter().find(|name| !known.iter().any(|(there, _)| there == *name)) {
        return Err(Error::new(Kind::NoSuchMachine, format!("there is no machine `{missing}`")));
    }
    let listed = names.iter().map(MachineName::as_str).collect::<Vec<_>>().join(", ");
    if cx.docker_machine.is_some() {
        // It reads an answer from whoever gives one.
        let answer = cx.ui.ask(&docker_machine::asks(&listed))?;
        let yes = answer.trim_start().to_ascii_lowercase().starts_with('y');
        return if yes { Ok(()) } else { Err(Error::failed("nothing was removed")) };
    }
    if !cx.ui.can_ask() {
        return Err(Error::usage(format!("nobody is there to confirm that {listed} may be removed"))
            .hint("-y removes without asking"));
    }
    let question = format!("This removes {listed}: the machine, its containers and their data. Go on?");
    if cx.ui.confirm(&question)? {
        Ok(())
    } else {
        Err(Error::failed("nothing was removed").hint("answer `y`, or give -y"))
    }
}
