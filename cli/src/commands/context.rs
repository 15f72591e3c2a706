//! `wharf context`: lets `docker --context NAME` work in any terminal.

use clap::ArgGroup;
use wharf_core::{Connection, MachineName, Wharf};

use super::{Cx, each, show_each, tunnel};
use crate::docker::{Context, DockerFolder, Written, context_name};
use crate::error::{Error, Result};

/// Writes or refreshes machines' docker contexts, and prints their names
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").multiple(false))]
pub(crate) struct Args {
    /// The machines; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Remove the contexts instead; the machines stay
    #[arg(long, alias = "remove", group = "what")]
    rm: bool,
    /// Make it the context that `docker` uses from now on, in every terminal
    #[arg(long = "use", group = "what")]
    choose: bool,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let names = cx.several(&args.names, &wharf).await?;
    if args.choose && names.len() != 1 {
        return Err(
            Error::usage("only one context can be the current one").hint("name one machine with --use")
        );
    }
    let folder = DockerFolder::new(cx.config.docker.clone());
    let ends = each(cx, &names, |name| {
        let (wharf, folder) = (&wharf, &folder);
        async move {
            if args.rm { forget(&name, folder, wharf).await } else { renew(&name, folder, cx, wharf).await }
        }
    })
    .await;
    if let (true, [(_, context)]) = (args.choose, ends.done.as_slice()) {
        folder.choose(context)?;
        warn_of_docker_host(cx);
    }
    show_each(cx, &ends.done, "context")?;
    ends.end
}

async fn forget(name: &MachineName, folder: &DockerFolder, wharf: &Wharf) -> Result<String> {
    let id = wharf.inspect(name).await?.summary.id;
    let context = context_name(name.as_str());
    folder.remove(&context, id.as_str())?;
    Ok(context)
}

async fn renew(name: &MachineName, folder: &DockerFolder, cx: &Cx, wharf: &Wharf) -> Result<String> {
    let connection = cx.connection(name, wharf).await?;
    write(folder, &connection)?;
    tunnel::say_what_is_needed(&connection, cx).await;
    Ok(context_name(name.as_str()))
}

/// Writes the machine's context, whether there was one or not.
pub(crate) fn write(folder: &DockerFolder, connection: &Connection) -> Result<Written> {
    let read = |file: &str| {
        let path = connection.certificates.join(file);
        std::fs::read_to_string(&path).map_err(|e| {
            Error::failed(format!("cannot read `{}`", path.display()))
                .caused_by(&e)
                .hint(format!("`wharf regenerate-certs {}` makes new certificates", connection.name))
        })
    };
    folder.write(&Context {
        name: context_name(connection.name.as_str()),
        machine_id: connection.id.as_str(),
        description: format!("machine `{}`, looked after by wharf", connection.name),
        host: connection.url.clone(),
        ca: read("ca.pem")?,
        cert: read("cert.pem")?,
        key: read("key.pem")?,
    })
}

/// Writes the context of a machine that was just given its engine. What goes wrong is worth a warning and no more.
pub(crate) fn write_or_warn(cx: &Cx, connection: &Connection) {
    if let Err(error) = write(&DockerFolder::new(cx.config.docker.clone()), connection) {
        cx.ui.warn(&format!("{}: its docker context could not be written: {error}", connection.name));
    }
}

/// Brings the machine's context up to date if it has one. What goes wrong is worth a warning and no more.
pub(crate) fn refresh(cx: &Cx, connection: &Connection) {
    let folder = DockerFolder::new(cx.config.docker.clone());
    let ours = folder.is_ours(&context_name(connection.name.as_str()), connection.id.as_str());
    if ours && let Err(error) = write(&folder, connection) {
        cx.ui.warn(&format!("{}: its docker context could not be refreshed: {error}", connection.name));
    }
}

/// The environment wins over contexts, which surprises people who just chose one.
fn warn_of_docker_host(cx: &Cx) {
    for variable in ["DOCKER_HOST", "DOCKER_CONTEXT"] {
        if cx.world.var(variable).is_some() {
            cx.ui.warn(&format!(
                "{variable} is set in this terminal and wins over the context: unset it to use the context"
            ));
        }
    }
}
