//! A websocket as a pair of byte streams.

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use tokio_util::task::AbortOnDropHandle;

use super::hijack::Hijacked;

/// The client as others know it, and the work that carries its bytes, to be awaited once it is served. Output of a
/// container without a terminal loses the frames that tell its streams apart: a websocket has messages of its own.
pub(super) fn bridge(socket: WebSocket, tty: bool) -> (Hijacked, impl Future<Output = ()> + Send) {
    let (sink, stream) = socket.split();
    let (reader, to_reader) = tokio::io::duplex(BUFFER);
    let (writer, from_writer) = tokio::io::duplex(BUFFER);
    // A client that is served no longer has nothing to say: both end when the pumping does, or is let go of.
    let input = AbortOnDropHandle::new(tokio::spawn(inward(stream, to_reader)));
    let output = AbortOnDropHandle::new(tokio::spawn(outward(from_writer, sink, tty)));
    let pumping = async move {
        let _ = output.await;
        drop(input);
    };
    (Hijacked { reader: Box::new(reader), writer: Box::new(writer) }, pumping)
}

async fn inward(mut socket: SplitStream<WebSocket>, mut to: impl AsyncWrite + Unpin) {
    while let Some(Ok(message)) = socket.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // The end of its input, as with a half-closed connection.
    let _ = to.shutdown().await;
}

async fn outward(mut from: impl AsyncRead + Unpin, mut socket: SplitSink<WebSocket, Message>, tty: bool) {
    while let Some(bytes) = piece(&mut from, tty).await {
        if socket.send(Message::Binary(bytes)).await.is_err() {
            return;
        }
    }
    let _ = socket.send(Message::Close(None)).await;
}

/// What one message carries; `None` at the end.
async fn piece(from: &mut (impl AsyncRead + Unpin), tty: bool) -> Option<Bytes> {
    if tty {
        let mut buffer = vec![0; 16 << 10];
        let read = from.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        buffer.truncate(read);
        return Some(buffer.into());
    }
    let mut head = [0; 8];
    from.read_exact(&mut head).await.ok()?;
    let [.., a, b, c, d] = head;
    let mut bytes = Vec::new();
    from.take(u32::from_be_bytes([a, b, c, d]).into()).read_to_end(&mut bytes).await.ok()?;
    Some(bytes.into())
}

const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_taken_off() {
        let mut bytes =
            [&crate::api::streams::frame(false, b"out")[..], &crate::api::streams::frame(true, b"err")]
                .concat();
        bytes.push(1);
        let mut from = bytes.as_slice();
        assert_eq!(piece(&mut from, false).await.unwrap(), "out");
        assert_eq!(piece(&mut from, false).await.unwrap(), "err");
        assert!(piece(&mut from, false).await.is_none());
        assert_eq!(piece(&mut &b"raw"[..], true).await.unwrap(), "raw");
    }
}
