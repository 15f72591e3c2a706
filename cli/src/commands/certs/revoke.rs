//! `wharf certs revoke`.

use serde::Serialize;
use wharf_core::{Call, MachineName, Wharf};

use super::{Cx, PATIENCE};
use crate::commands::{Ends, each};
use crate::error::{Error, Result};
use crate::ui::Board;

const EXAMPLES: &str = "\
Examples:
  wharf certs revoke bob           all that bob got
  wharf certs revoke 6f3a90c1b2d4  the one whose serial number begins like this";

/// Takes back certificates that were issued: their holder is refused at once, also in the middle of something
///
/// A machine that cannot be told now is told by the next `wharf certs revoke`, `certs renew`, `start` or `provision`;
/// `wharf certs ls` shows which ones still let the holder in.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Who got it, or the first eight or more digits of its serial number
    #[arg(value_name = "WHO|SERIAL")]
    whom: String,
}

/// One certificate, as programs see it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    serial: Option<&'a str>,
    /// The machines that heed it by now.
    machines: Vec<&'a str>,
}

pub(super) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let board = Board::new(&cx.ui);
    let call = cx.call("certs revoke", PATIENCE, &board);
    let taken = wharf.take_back(&args.whom, &call).await?;
    let told = tell(&taken.machines, &wharf, &call, &board, cx).await;
    if cx.ui.is_json() {
        let machines: Vec<&str> = told.done.iter().map(|(name, ())| name.as_str()).collect();
        let rows: Vec<Row<'_>> = taken
            .certificates
            .iter()
            .map(|one| Row { name: &one.name, serial: one.serial.as_deref(), machines: machines.clone() })
            .collect();
        cx.ui.json(&rows)?;
    }
    told.end
}

/// Has the machines refuse what was taken back.
pub(crate) async fn tell(
    machines: &[MachineName],
    wharf: &Wharf,
    call: &Call,
    board: &Board,
    cx: &Cx,
) -> Ends<()> {
    let told = each(cx, machines, |name| async move {
        let heeded = wharf.heed_revocations(&name, call).await;
        let took = board.end(&name);
        // Whatever is wrong with the machine: what it means for the holder must be said.
        heeded.map_err(|error| Error::from(error).fact("until it has been told", "it lets the holder in"))?;
        cx.ui.note(&format!("{name}: refuses it from now on ({:.1} s)", took.as_secs_f32()));
        Ok(())
    })
    .await;
    if machines.is_empty() {
        cx.ui.note("it is revoked; there is no machine to tell");
    }
    told
}
