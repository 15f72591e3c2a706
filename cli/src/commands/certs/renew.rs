//! `wharf certs renew`, which `wharf regenerate-certs` is, too.

use wharf_core::{Call, Life, MachineName, Wharf};

use super::{Cx, PATIENCE};
use crate::commands::{context, each};
use crate::error::Result;
use crate::ui::Board;

const EXAMPLES: &str = "\
Examples:
  wharf certs renew web            a new certificate for the engine, and one for you
  wharf certs renew --all --server for every engine
  wharf certs renew --client       for you alone; no machine is asked";

/// Makes new certificates, without restarting engines or touching containers; the authority stays
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The machines; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Every machine that has an engine of wharf's
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// The engines' certificates, and not your own
    #[arg(long, conflicts_with = "client")]
    server: bool,
    /// Your own certificate, and not the engines'; it opens all machines, so none need be named
    #[arg(long, conflicts_with_all = ["names", "all"])]
    client: bool,
}

pub(super) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    if args.client {
        let call = cx.call("certs renew", PATIENCE, &Board::new(&cx.ui));
        renew_own(&wharf, &call, cx).await?;
        cx.ui.note("you have a new certificate");
        return Ok(());
    }
    let names = if args.all { with_engines(&wharf).await? } else { cx.several(&args.names, &wharf).await? };
    renew("certs renew", &names, !args.server, &wharf, cx).await
}

/// New certificates for these machines' engines, and for the person where `own` says so.
pub(crate) async fn renew(
    verb: &str,
    names: &[MachineName],
    own: bool,
    wharf: &Wharf,
    cx: &Cx,
) -> Result<()> {
    let board = Board::new(&cx.ui);
    let call = cx.call(verb, PATIENCE, &board);
    let ends = each(cx, names, |name| {
        let (call, board) = (&call, &board);
        async move {
            let renewed = wharf.renew_server(&name, call).await;
            let took = board.end(&name);
            context::refresh(cx, &renewed?);
            cx.ui.note(&format!("{name}: has new certificates ({:.1} s)", took.as_secs_f32()));
            Ok(())
        }
    })
    .await;
    // One for all of them, and only where a machine was really meant.
    if own && !ends.done.is_empty() {
        renew_own(wharf, &call, cx).await?;
    }
    ends.end
}

/// A new certificate for the person, brought to where docker clients find it.
pub(crate) async fn renew_own(wharf: &Wharf, call: &Call, cx: &Cx) -> Result<()> {
    wharf.renew_own(call).await?;
    for name in with_engines(wharf).await? {
        match wharf.connection(&name).await {
            Ok(connection) => context::refresh(cx, &connection),
            Err(error) => {
                let later = "the next command that uses it brings the new certificate there";
                cx.ui.warn(&format!("{name}: {error}; {later}"));
            }
        }
    }
    Ok(())
}

/// The machines that are finished; those with another program's engine have nothing of ours to renew.
async fn with_engines(wharf: &Wharf) -> Result<Vec<MachineName>> {
    let listed = wharf.list().await?.into_iter();
    let ready =
        listed.filter(|(_, summary)| summary.as_ref().is_ok_and(|summary| summary.life == Life::Ready));
    let mut names = Vec::new();
    for (name, _) in ready {
        if wharf.inspect(&name).await?.facts.is_some() {
            names.push(name);
        }
    }
    Ok(names)
}
