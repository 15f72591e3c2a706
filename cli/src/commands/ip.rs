//! `wharf ip`.

use super::{Cx, each, show_each};
use crate::error::Result;

/// Prints machines' addresses
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machines; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let names = cx.several(&args.names, &wharf).await?;
    let ends = each(cx, &names, |name| {
        let wharf = &wharf;
        async move { Ok(cx.reached(&name, wharf).await?.engine_host) }
    })
    .await;
    show_each(cx, &ends.done, "ip")?;
    ends.end
}
