//! What `start`, `stop`, `restart` and `kill` have in common.

use std::time::Duration;

use wharf_core::Power;

use super::{Cx, context, each};
use crate::docker_machine::NEW_ADDRESSES;
use crate::error::Result;
use crate::ui::Board;

/// Brings the machines to `power`, all at once, and says so in one word each.
pub(super) async fn run(names: &[String], power: Power, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let names = cx.several(names, &wharf).await?;
    let (verb, doing, word) = match power {
        Power::On => ("start", "starting it", "started"),
        Power::Off => ("stop", "stopping it", "stopped"),
        Power::Kill => ("kill", "killing it", "killed"),
        Power::Restart => ("restart", "restarting it", "restarted"),
    };
    let board = Board::new(&cx.ui).powering(doing);
    let call = cx.call(verb, Duration::from_secs(180), &board);
    let ends = each(cx, &names, |name| {
        let (wharf, call, board) = (&wharf, &call, &board);
        async move {
            let reached = wharf.power(&name, power, call).await;
            let took = board.end(&name);
            let connection = reached?;
            cx.ui.note(&format!("{name}: {word} ({:.1} s)", took.as_secs_f32()));
            if matches!(power, Power::On | Power::Restart) {
                context::refresh(cx, &connection);
            }
            Ok(())
        }
    })
    .await;
    if cx.docker_machine.is_some() && ends.end.is_ok() && matches!(power, Power::On | Power::Restart) {
        cx.ui.note(NEW_ADDRESSES);
    }
    ends.end
}
