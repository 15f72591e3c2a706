//! `wharf tunnel`: a port of this computer that leads to a machine's engine over SSH, through every jump host.
//!
//! TLS goes through it whole: the docker client still proves who it is to the engine, and the engine to it, so whoever
//! else on this computer finds the port gets no further than at the engine itself. Every connection is one of its own
//! over SSH; what breaks takes only itself along.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use wharf_core::{Connection, Tunnel};

use super::{Cx, env};
use crate::child;
use crate::error::{Error, Kind, Result};
use crate::interrupt;
use crate::ui::Board;

/// Leads a port of this computer to a machine's engine, over SSH
///
/// Runs until it is interrupted, or as long as COMMAND does, whose docker client then talks to the machine:
/// wharf tunnel web -- docker ps
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The port of this computer; without it the one in the machine's docker context, or any that is free
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// What to run meanwhile, with DOCKER_HOST and its companions set
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

/// What this computer may take to find out that nobody is at a port of its own.
const AT_ONCE: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let name = cx.one(args.name.as_deref(), &wharf).await?;
    let connection = cx.connection(&name, &wharf).await?;
    let call = cx.call("tunnel", Duration::from_secs(30), &Board::new(&cx.ui));
    let tunnel = Arc::new(wharf.tunnel(&name, &call).await?);
    // A command is told which port it is; a context names one.
    let usual = connection.tunnel.filter(|_| args.command.is_empty());
    let listener = listen(args.port.or(usual)).await?;
    let port = listener.local_addr()?.port();
    // Before anybody relies on it, and while there is somebody to tell: is there a way?
    drop(tunnel.open().await?);
    let serving = serve(&listener, &tunnel, cx);
    let url = format!("tcp://127.0.0.1:{port}");
    if args.command.is_empty() {
        announce(&connection, &url, cx)?;
        tokio::select! {
            () = serving => {}
            _ = interrupt::asked_to_stop() => {}
        }
        return Ok(());
    }
    tokio::select! {
        () = serving => Ok(()),
        ended = beside(&args.command, &connection, url) => ended,
    }
}

/// Says what must run for docker to reach a machine that is not reached from here, unless it runs already.
pub(super) async fn say_what_is_needed(connection: &Connection, cx: &Cx) {
    let Some(port) = connection.tunnel else { return };
    let there = tokio::time::timeout(AT_ONCE, TcpStream::connect(("127.0.0.1", port))).await;
    if !matches!(there, Ok(Ok(_))) {
        let name = &connection.name;
        cx.ui.note(&format!(
            "{name} is reached through other hosts: docker needs `wharf tunnel {name}` to run meanwhile"
        ));
    }
}

async fn listen(port: Option<u16>) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await.map_err(|error| {
        let port = port.unwrap_or(0);
        Error::new(Kind::Refused, format!("cannot listen on port {port} of this computer: {error}"))
            .hint("end the tunnel or the program that has the port, or choose another with --port")
    })
}

/// Leads every connection through, for as long as somebody polls this.
async fn serve(listener: &TcpListener, tunnel: &Arc<Tunnel<'_>>, cx: &Cx) {
    let failing = AtomicBool::new(false);
    let mut connections = futures_util::stream::FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connections.push(lead(stream, tunnel, &failing, cx)),
                Err(error) => return cx.ui.warn(&format!("the tunnel takes no connections any more: {error}")),
            },
            Some(()) = futures_util::StreamExt::next(&mut connections) => {}
        }
    }
}

/// One connection, there and back. What is wrong is said once until a connection works again.
async fn lead(mut stream: TcpStream, tunnel: &Tunnel<'_>, failing: &AtomicBool, cx: &Cx) {
    match tunnel.open().await {
        Ok(mut engine) => {
            failing.store(false, Ordering::Relaxed);
            // How it ends is between the two ends.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut engine).await;
        }
        Err(error) if !failing.swap(true, Ordering::Relaxed) => cx.ui.error(&error.into(), None),
        Err(_) => {}
    }
}

fn announce(connection: &Connection, url: &str, cx: &Cx) -> Result<()> {
    let name = &connection.name;
    if cx.ui.is_json() {
        cx.ui.json(&serde_json::json!({ "name": name, "url": url }))?;
    } else {
        cx.ui.result(url)?;
    }
    if connection.url == url {
        cx.ui.note(&format!(
            "docker reaches {name} by its context and by `wharf env` until this is interrupted"
        ));
    } else {
        cx.ui.note(&format!(
            "until this is interrupted: eval \"$(wharf env {name})\" && export DOCKER_HOST={url}"
        ));
    }
    Ok(())
}

/// Runs the command with its docker client pointed at the tunnel, and ends as it ends.
async fn beside(command: &[OsString], connection: &Connection, url: String) -> Result<()> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut child = tokio::process::Command::new(program);
    child.args(arguments).stdin(Stdio::inherit());
    child.envs(env::variables(&Connection { url, ..connection.clone() }));
    match child::code(child::run(&mut child).await?) {
        0 => Ok(()),
        code => Err(Error::remote(code)),
    }
}
