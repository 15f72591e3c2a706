//! `wharf active`.

use wharf_core::{Summary, Wharf};

use super::Cx;
use crate::docker::{DockerFolder, context_name};
use crate::error::{Error, Result};

/// Prints the machine that `docker` in this terminal talks to
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let target = Target::of(cx);
    let active = summaries(&wharf).await?.into_iter().find(|summary| target.is(summary));
    match active {
        Some(summary) => cx.ui.result(summary.name.as_str()),
        None => Err(Error::failed("`docker` in this terminal talks to no machine of ours")
            .hint("eval \"$(wharf env NAME)\" for this terminal, `wharf context --use NAME` for all")),
    }
}

async fn summaries(wharf: &Wharf) -> Result<Vec<Summary>> {
    Ok(wharf.list().await?.into_iter().filter_map(|(_, summary)| summary.ok()).collect())
}

/// What the docker client talks to: its variables win over the context that was chosen.
pub(crate) struct Target<'a> {
    host: Option<&'a str>,
    context: Option<String>,
    folder: DockerFolder,
}

impl<'a> Target<'a> {
    pub(crate) fn of(cx: &'a Cx) -> Self {
        let folder = DockerFolder::new(cx.config.docker.clone());
        let context = cx.world.var("DOCKER_CONTEXT").map(ToOwned::to_owned).or_else(|| folder.current());
        Self { host: cx.world.var("DOCKER_HOST"), context, folder }
    }

    pub(crate) fn is(&self, machine: &Summary) -> bool {
        match (self.host, &self.context) {
            (Some(host), _) => machine.url.as_deref() == Some(host),
            (None, Some(context)) => {
                *context == context_name(machine.name.as_str())
                    && self.folder.is_ours(context, machine.id.as_str())
            }
            (None, None) => false,
        }
    }
}
