//! Answers that go on, such as events and logs that are followed: they break off when their client's certificate holds no
//! longer. An answer that is ready is never cut.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body as AnyBody, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use crate::tls::{Fallen, Standing};

/// A body that its client may lose the right to.
pub(super) struct Severed {
    body: AnyBody,
    standing: Standing,
    /// Made when there is something to wait for.
    fallen: Option<Pin<Box<dyn Future<Output = Fallen> + Send>>>,
}

impl Severed {
    pub(super) fn of(body: AnyBody, standing: Standing) -> AnyBody {
        if body.is_end_stream() || body.size_hint().exact().is_some() {
            return body;
        }
        AnyBody::new(Self { body, standing, fallen: None })
    }
}

impl Body for Severed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            // One that never pauses is looked at here.
            return match self.standing.check() {
                Err(fallen) if frame.is_some() => Poll::Ready(Some(Err(axum::Error::new(fallen)))),
                _ => Poll::Ready(frame),
            };
        }
        let standing = self.standing.clone();
        let fallen = self.fallen.get_or_insert_with(|| Box::pin(standing.fallen()));
        fallen.as_mut().poll(context).map(|fallen| Some(Err(axum::Error::new(fallen))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
