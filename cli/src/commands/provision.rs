//! `wharf provision`.

use std::time::Duration;

use wharf_core::Life;

use super::{Cx, context, each};
use crate::docker::{DockerFolder, context_name};
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
            let before = wharf.inspect(&name).await?.summary;
            let first = before.life == Life::Bare && cx.config.context;
            let folder = DockerFolder::new(cx.config.docker.clone());
            if first {
                folder.refuse_taken(&context_name(name.as_str()), Some(before.id.as_str()))?;
            }
            let provisioned = wharf.provision(&name, call).await;
            let took = board.end(&name);
            let connection = provisioned?;
            if first {
                context::write_or_warn(cx, &connection);
            } else {
                context::refresh(cx, &connection);
            }
            cx.ui.note(&format!("{name}: provisioned ({:.1} s)", took.as_secs_f32()));
            Ok(())
        }
    })
    .await
    .end
}
