//! `wharf url`.

use super::{Cx, each, show_each};
use crate::error::Result;

/// Prints the value of DOCKER_HOST for machines
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
        async move { cx.reached(&name, wharf).await.map(|connection| connection.url) }
    })
    .await;
    show_each(cx, &ends.done, "url")?;
    ends.end
}
