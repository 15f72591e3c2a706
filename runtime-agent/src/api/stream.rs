//! Bodies that grow while the client reads: one JSON object a line, each sent at once.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::engine::error::Error;

/// Where a long operation reports to; a client that went away makes every report a no-op.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    sender: mpsc::Sender<Bytes>,
}

impl Lines {
    /// Sends one object, waiting while the client reads slowly. `false` when nobody reads any more.
    pub(crate) async fn send(&self, object: &(impl Serialize + Sync)) -> bool {
        let Ok(mut line) = serde_json::to_vec(object) else { return true };
        // dockerd ends every object so; its clients split on it.
        line.extend_from_slice(b"\r\n");
        self.sender.send(line.into()).await.is_ok()
    }

    /// Ends when nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Reports a failure after the status has gone out, as the official clients expect it.
    pub(crate) async fn fail(&self, error: &Error) {
        let message = error.to_string();
        let detail = match error.code() {
            Some(code) => serde_json::json!({ "code": code, "message": message }),
            None => serde_json::json!({ "message": message }),
        };
        self.send(&serde_json::json!({ "errorDetail": detail, "error": message })).await;
    }
}

/// Answers 200 now, and fills the body with what `work` reports. `work` goes on when the client hangs up only as long
/// as it wants to: [`Lines::send`] tells it.
pub(crate) fn lines<F>(work: impl FnOnce(Lines) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(work(Lines { sender }));
    json_body(tokio_stream::wrappers::ReceiverStream::new(receiver))
}

/// A body of JSON lines from a stream of them.
pub(crate) fn json_body(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
