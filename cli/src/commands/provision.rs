//! `wharf provision`.

use std::time::Duration;

use super::{Cx, context, each};
use crate::error::Result;
use crate::ui::Board;

/// Brings the agent to machines again; what is right already stays as it is
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
    let call = cx.call("provision", Duration::from_secs(300), &board);
    each(cx, &names, |name| {
        let (wharf, call, board) = (&wharf, &call, &board);
        async move {
            let provisioned = wharf.provision(&name, call).await;
            let took = board.end(&name);
            context::refresh(cx, &provisioned?);
            cx.ui.note(&format!("{name}: provisioned ({:.1} s)", took.as_secs_f32()));
            Ok(())
        }
    })
    .await
    .end
}
