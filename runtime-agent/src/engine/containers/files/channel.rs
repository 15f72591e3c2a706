//! Bytes between a thread that works on files and a client far away, at the pace of the slower.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::sync::mpsc;

/// What a client receives: pieces, and an error as the last when the work broke off.
pub(crate) type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// The thread's end of an archive on its way out.
#[derive(Debug)]
pub(super) struct Outward {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

/// Both ends.
pub(super) fn outward() -> (Outward, Pieces) {
    let (sender, receiver) = mpsc::channel(UNDER_WAY);
    (Outward { sender, piece: BytesMut::with_capacity(PIECE) }, receiver)
}

impl Outward {
    /// Tells the client that what it has is not all: otherwise a cut archive would look whole.
    pub(super) fn fail(&self, error: io::Error) {
        // A client that is gone needs no telling.
        let _ = self.sender.blocking_send(Err(error));
    }
}

impl Write for Outward {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, BytesMut::with_capacity(PIECE)).freeze();
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
        self.sender.blocking_send(Ok(piece)).map_err(gone)
    }
}

/// The thread's end of an archive on its way in.
#[derive(Debug)]
pub(super) struct Inward {
    pieces: Pieces,
    piece: Bytes,
}

impl Inward {
    pub(super) const fn new(pieces: Pieces) -> Self {
        Self { pieces, piece: Bytes::new() }
    }
}

impl Read for Inward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

const PIECE: usize = 64 << 10;
const UNDER_WAY: usize = 4;
