//! `wharf regenerate-certs`: docker-machine's name for `wharf certs renew`.

use super::Cx;
use super::certs::renew;
use crate::error::Result;

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
    renew::renew("regenerate-certs", &names, true, &wharf, cx).await
}
