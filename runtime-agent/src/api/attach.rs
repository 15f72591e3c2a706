//! Attach and logs: a container's output as a stream, and its input.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::StreamExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::AsyncWriteExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::error::Result;
use super::hijack::{Hijacked, hijack, while_it_stands};
use super::parameters::Parameters;
use super::streams::{Ended, content_type, detach_keys, frame, join};
use super::version::ApiVersion;
use super::websocket;
use crate::engine::Engine;
use crate::engine::containers::{Container, moment};
use crate::engine::error::{Error, Kind};
use crate::engine::logs::{Entry, Wanted};
use crate::runtime::Streams;
use crate::tls::Standing;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/containers/{id}/attach", post(attach))
        .route("/containers/{id}/attach/ws", get(attach_websocket))
        .route("/containers/{id}/logs", get(logs))
}

async fn attach(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    Extension(version): Extension<ApiVersion>,
    parameters: Parameters,
    request: Request,
) -> Result<Response> {
    let attachment = Attachment::prepare(&engine, &id, &parameters).await?;
    let content_type = content_type(attachment.tty, version);
    Ok(hijack(request, content_type, move |client: Hijacked| attachment.serve(client)))
}

/// The same for browsers: every message is bytes, and nothing says which stream they came from.
async fn attach_websocket(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    parameters: Parameters,
    standing: Option<Extension<Standing>>,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response> {
    let attachment = Attachment::prepare(&engine, &id, &parameters).await?;
    let upgrade = upgrade.map_err(|refused| Error::invalid(refused.body_text()))?;
    let tty = attachment.tty;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let (client, pumping) = websocket::bridge(socket, tty);
        let served = async move {
            attachment.serve(client).await;
            pumping.await;
        };
        while_it_stands(standing.map(|Extension(standing)| standing), served).await;
    }))
}

/// A client that is about to take part in a container's stdio.
struct Attachment {
    container: Container,
    tty: bool,
    streams: Streams,
    keys: Option<Vec<u8>>,
    backlog: Option<Lines>,
    joined: Option<tokio::sync::oneshot::Receiver<crate::engine::error::Result<tokio::net::UnixStream>>>,
}

impl Attachment {
    /// Registers it before the answer: the client starts the container as soon as it reads that.
    async fn prepare(engine: &Engine, id: &str, parameters: &Parameters) -> Result<Self> {
        let container = engine.containers.find(id)?;
        let config = container.snapshot().record.config.clone();
        let named = parameters.text("detachKeys");
        if let Some(named) = named.filter(|named| detach_keys(Some(named), true).is_err()) {
            return Err(Error::invalid(format!("Invalid detach keys ({named}) provided")).into());
        }
        let keys = detach_keys(named, config.tty)?;
        let streams = Streams {
            stdin: parameters.flag("stdin") && config.open_stdin,
            stdout: parameters.flag("stdout"),
            stderr: parameters.flag("stderr"),
        };
        let backlog =
            if parameters.flag("logs") { Some(backlog(engine, &container, streams)?) } else { None };
        let joined = if parameters.flag("stream") { Some(container.attach(streams).await?) } else { None };
        Ok(Self { container, tty: config.tty, streams, keys, backlog, joined })
    }

    async fn serve(self, mut client: Hijacked) {
        if let Some(backlog) = self.backlog {
            replay(backlog, &mut client, self.tty).await;
        }
        if let Some(joined) = self.joined
            && let Ok(Ok(stream)) = joined.await
            && join(&mut client, stream, self.streams.stdin, self.keys).await == Ended::Detached
        {
            self.container.detached().await;
        }
        // The client may be gone already.
        let _ = client.writer.shutdown().await;
    }
}

type Lines = tokio::sync::mpsc::Receiver<crate::engine::error::Result<Entry>>;

/// `None` in effect where the log cannot be read: an attach is not refused for that.
fn backlog(engine: &Engine, container: &Container, streams: Streams) -> Result<Lines> {
    let wanted = Wanted { stdout: streams.stdout, stderr: streams.stderr, ..Wanted::default() };
    match engine.containers.logs(container, wanted) {
        Err(error) if error.kind() == Kind::Unimplemented => Ok(tokio::sync::mpsc::channel(1).1),
        other => Ok(other?),
    }
}

async fn replay(mut backlog: Lines, client: &mut Hijacked, tty: bool) {
    while let Some(Ok(entry)) = backlog.recv().await {
        let shown = Shown { tty, ..Shown::default() };
        if client.writer.write_all(&shown.encode(&entry)).await.is_err() {
            return;
        }
    }
}

async fn logs(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    Extension(version): Extension<ApiVersion>,
    parameters: Parameters,
) -> Result<Response> {
    let container = engine.containers.find(&id)?;
    let tty = container.snapshot().record.config.tty;
    let (timestamps, details) = (parameters.flag("timestamps"), parameters.flag("details"));
    let shown = Shown { tty, timestamps, details };
    let lines = engine.containers.logs(&container, wanted(&parameters)?)?;
    let body = ReceiverStream::new(lines).map(move |entry| match entry {
        Ok(entry) => Ok(shown.encode(&entry)),
        Err(error) => {
            tracing::warn!(%error, "a log cannot be read");
            Err(error)
        }
    });
    Ok(([(header::CONTENT_TYPE, content_type(tty, version))], Body::from_stream(body)).into_response())
}

fn wanted(parameters: &Parameters) -> Result<Wanted> {
    let time = |name: &str| match parameters.text(name) {
        None | Some("0") => Ok(None),
        Some(text) => moment::parameter(text)
            .map(Some)
            .ok_or_else(|| Error::invalid(format!("invalid value for \"{name}\": {text}"))),
    };
    Ok(Wanted {
        stdout: parameters.flag("stdout"),
        stderr: parameters.flag("stderr"),
        follow: parameters.flag("follow"),
        // `all`, negative and nonsense are everything, as with dockerd.
        tail: parameters.text("tail").and_then(|tail| tail.parse().ok()),
        since: time("since")?,
        until: time("until")?,
    })
}

/// How lines of a log go out.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    tty: bool,
    timestamps: bool,
    details: bool,
}

impl Shown {
    /// The time first, then what stands beside the line as `key=value,…`, then the line.
    fn encode(self, entry: &Entry) -> Vec<u8> {
        let time = if self.timestamps { format!("{} ", entry.time) } else { String::new() };
        let pairs =
            entry.attributes.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value)));
        let details = if self.details { pairs.collect::<Vec<_>>().join(",") + " " } else { String::new() };
        let text = format!("{time}{details}{}", entry.text);
        if self.tty { text.into_bytes() } else { frame(entry.stderr, text.as_bytes()) }
    }
}

/// As in a query, so that a comma is no separator.
fn escaped(text: &str) -> String {
    let escaped = utf8_percent_encode(text, QUERY).to_string();
    escaped.replace("%20", "+")
}

/// What Go's library leaves as it is in a query: letters, digits and four marks.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
