//! What is left of a request's body when its answer is decided, such as an archive behind a refusal.
//!
//! Closing on a client that still sends resets the connection, and it may see a broken pipe in place of the answer. So
//! the rest is read and thrown away, and once that becomes too much, only waited with: the answer lies ready meanwhile,
//! and a client that reads it hangs up by itself. Both the bytes and the wait are bounded, so nobody keeps a connection
//! by sending for ever.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

/// A body that is read to its end for whoever lets go of it early.
#[derive(Debug)]
pub(super) struct ReadToTheEnd {
    /// Absent once nothing is left to read.
    body: Option<Incoming>,
    /// Bodies are let go of on threads that only block, too.
    runtime: Handle,
}

/// How much is thrown away before the client is made to wait.
const AT_MOST: usize = 16 << 20;
/// How long the client has for reading its answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl ReadToTheEnd {
    /// Belongs to the runtime that calls. A client that waits to be told to go on has nothing on the way.
    pub(super) fn of(request: hyper::Request<Incoming>) -> hyper::Request<axum::body::Body> {
        let waits = request.headers().contains_key(http::header::EXPECT);
        request.map(|body| {
            if waits || body.is_end_stream() {
                return axum::body::Body::new(body);
            }
            axum::body::Body::new(Self { body: Some(body), runtime: Handle::current() })
        })
    }
}

impl Body for ReadToTheEnd {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for ReadToTheEnd {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.runtime.spawn(tokio::time::timeout(PATIENCE, throw_away(body)));
        }
    }
}

/// Ends with the body; holds it, and with it the connection, when there is too much of it.
async fn throw_away(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > AT_MOST {
            std::future::pending::<()>().await;
        }
    }
}
