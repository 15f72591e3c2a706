//! `wharf status`.

use std::time::Duration;

use wharf_core::Look;

use super::ls::state_word;
use super::{Cx, refuse_wrong_host_keys, show_each};
use crate::error::{Error, Kind, Result};
use crate::ui::Board;

/// Prints the state that machines are in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machines; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let names = cx.several(&args.names, &wharf).await?;
    let board = Board::new(&cx.ui);
    let call = cx.call("status", Duration::from_secs(10), &board);
    let observed = wharf.observe(&names, Look::Everything, &call).await?;
    let mut unknown = false;
    for machine in &observed {
        for note in &machine.notes {
            cx.ui.note(&format!("{}: {note}", machine.name));
        }
        for warning in &machine.warnings {
            cx.ui.warn(&format!("{}: {warning}", machine.name));
        }
        for error in &machine.errors {
            unknown = true;
            cx.ui.warn(&format!("{}: {error}", machine.name));
        }
    }
    if cx.ui.is_json() {
        cx.ui.json(&observed)?;
    } else {
        let words: Vec<_> = observed.iter().map(|m| (m.name.clone(), state_word(m).to_owned())).collect();
        show_each(cx, &words, "state")?;
    }
    refuse_wrong_host_keys(&observed)?;
    if unknown && observed.iter().any(|m| m.state.is_none()) {
        return Err(Error::new(Kind::Unreachable, "not every machine could be asked"));
    }
    Ok(())
}
