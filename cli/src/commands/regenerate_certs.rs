//! `wharf regenerate-certs`.

use std::time::Duration;

use super::{Cx, context, each};
use crate::error::Result;
use crate::ui::Board;

/// Makes new certificates for machines, without restarting their engines
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machines; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Does nothing: no container is touched, so there is nothing to confirm
    #[arg(short, long, hide = true)]
    force: bool,
    /// Does nothing: the client's certificate is always renewed too
    #[arg(long, hide = true)]
    client_certs: bool,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let names = cx.several(&args.names, &wharf).await?;
    let board = Board::new(&cx.ui);
    let call = cx.call("regenerate-certs", Duration::from_secs(60), &board);
    each(cx, &names, |name| {
        let (wharf, call, board) = (&wharf, &call, &board);
        async move {
            let regenerated = wharf.regenerate(&name, call).await;
            let took = board.end(&name);
            context::refresh(cx, &regenerated?);
            cx.ui.note(&format!("{name}: has new certificates ({:.1} s)", took.as_secs_f32()));
            Ok(())
        }
    })
    .await
    .end
}
