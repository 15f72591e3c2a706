//! `POST /images/load`, `GET /images/get` and `GET /images/{name}/get`.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::list::is_true;
use super::platform;
use super::progress::{self, body_reader};
use crate::api::error::Result;
use crate::engine::Engine;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    quiet: Option<String>,
    platform: String,
}

pub(super) async fn load(
    State(engine): State<Arc<Engine>>,
    wanted: std::result::Result<Query<Wanted>, QueryRejection>,
    body: Body,
) -> Result<Response> {
    let Query(wanted) = wanted?;
    let platform = platform(&wanted.platform)?;
    let quiet = wanted.quiet.as_deref().is_some_and(is_true);
    let archive = body_reader(body);
    progress::run(move |report| async move { engine.images.load(archive, platform, quiet, &report).await })
        .await
}

pub(super) async fn save(State(engine): State<Arc<Engine>>, uri: Uri) -> Result<Response> {
    let query = serde_urlencoded::from_str::<Vec<(String, String)>>(uri.query().unwrap_or_default());
    let names = query.unwrap_or_default().into_iter().filter(|(key, _)| key == "names").map(|(_, name)| name);
    save_names(&engine, &names.collect::<Vec<_>>())
}

pub(super) fn save_names(engine: &Engine, names: &[String]) -> Result<Response> {
    let saving = engine.images.select(names)?;
    let (sender, receiver) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        let to = io::BufWriter::with_capacity(256 * 1024, Sending(sender.clone()));
        if let Err(error) = saving.write(to) {
            tracing::warn!(%error, "an archive was not saved whole");
            // Breaks the connection off, so that the client knows.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], body).into_response())
}

/// The body's end of an archive.
struct Sending(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
