//! Bytes between a client and a container's stdio: both directions at once, with the keys that detach.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::hijack::{Hijacked, MULTIPLEXED, RAW};
use super::version::ApiVersion;
use crate::engine::error::{Error, Result};

/// The content type of a container's or an exec's stream.
pub(super) fn content_type(tty: bool, version: ApiVersion) -> &'static str {
    if !tty && version >= ApiVersion(1, 42) { MULTIPLEXED } else { RAW }
}

/// Why the copying ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The process ended, or the client left.
    Closed,
    /// The client typed the keys.
    Detached,
}

/// Copies until the container's side ends, the client is gone, or it detaches. The client's end of input only ends the
/// container's input. The writer is left open for last words.
pub(super) async fn join(
    client: &mut Hijacked,
    stream: UnixStream,
    stdin: bool,
    keys: Option<Vec<u8>>,
) -> Ended {
    let (mut from_container, mut to_container) = stream.into_split();
    let Hijacked { reader, writer } = client;
    let output = async {
        // Either side may go at any time; that is how it ends.
        let _ = tokio::io::copy(&mut from_container, writer).await;
        Ended::Closed
    };
    let input = async {
        if stdin && copy_input(reader, &mut to_container, keys).await == Ended::Detached {
            return Ended::Detached;
        }
        if stdin {
            let _ = to_container.shutdown().await;
        }
        std::future::pending().await
    };
    tokio::select! {
        ended = output => ended,
        ended = input => ended,
    }
}

async fn copy_input(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl tokio::io::AsyncWrite + Unpin),
    keys: Option<Vec<u8>>,
) -> Ended {
    let mut escape = keys.map(Escape::new);
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read @ 1..) = reader.read(&mut buffer).await else {
            if let Some(escape) = &escape {
                let _ = writer.write_all(escape.held()).await;
            }
            return Ended::Closed;
        };
        let (bytes, detached) = match &mut escape {
            Some(escape) => escape.pass(&buffer[..read]),
            None => (buffer[..read].to_vec(), false),
        };
        if writer.write_all(&bytes).await.is_err() {
            return Ended::Closed;
        }
        if detached {
            return Ended::Detached;
        }
    }
}

/// Finds the detaching keys in what a person types. A half-typed sequence is held back until it is clear what it is.
#[derive(Debug)]
struct Escape {
    keys: Vec<u8>,
    typed: usize,
}

impl Escape {
    const fn new(keys: Vec<u8>) -> Self {
        Self { keys, typed: 0 }
    }

    /// What may be the beginning of the sequence; nothing of it once somebody has stopped typing.
    fn held(&self) -> &[u8] {
        &self.keys[..self.typed]
    }

    /// What goes on to the container, and whether the sequence is complete.
    fn pass(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut through = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.keys[self.typed] != *byte {
                through.extend_from_slice(self.held());
                self.typed = 0;
            }
            if self.keys[self.typed] == *byte {
                self.typed += 1;
                if self.typed == self.keys.len() {
                    return (through, true);
                }
            } else {
                through.push(*byte);
            }
        }
        (through, false)
    }
}

/// `ctrl-p,ctrl-q` or single letters; only terminals have them.
pub(super) fn detach_keys(text: Option<&str>, tty: bool) -> Result<Option<Vec<u8>>> {
    if !tty {
        return Ok(None);
    }
    let invalid = |key: &str| Error::invalid(format!("invalid detach keys: unknown character: '{key}'"));
    let key = |key: &str| match (key.strip_prefix("ctrl-"), key.as_bytes()) {
        (None, [byte]) => Ok(*byte),
        (Some("@"), _) => Ok(0),
        (Some(letter), _) => match letter.as_bytes() {
            [byte @ (b'a'..=b'z' | b'A'..=b'Z' | b'[' | b'\\' | b']' | b'^' | b'_')] => {
                Ok(byte.to_ascii_uppercase() - b'@')
            }
            _ => Err(invalid(key)),
        },
        _ => Err(invalid(key)),
    };
    text.unwrap_or("ctrl-p,ctrl-q").split(',').map(key).collect::<Result<Vec<_>>>().map(Some)
}

/// One frame of stdcopy: which stream, how long, and the bytes.
pub(super) fn frame(stderr: bool, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![if stderr { 2 } else { 1 }, 0, 0, 0];
    frame.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(bytes);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_across_reads_and_false_starts_pass_through() {
        let mut escape = Escape::new(vec![16, 17]);
        assert_eq!(escape.pass(&[1, 16]), (vec![1], false));
        assert_eq!(escape.pass(&[2]), (vec![16, 2], false));
        assert_eq!(escape.pass(&[16, 16, 17, 9]), (vec![16], true));
    }

    #[test]
    fn fuzz_keys_are_found_however_reads_cut_them() {
        type Typed = (u8, Vec<u8>, Vec<u8>);
        bolero::check!().with_type::<Typed>().for_each(|(first, others, typed)| {
            // Two letters make sequences, and all but sequences, likely.
            let letters = |bytes: &[u8]| bytes.iter().map(|byte| byte % 2).collect::<Vec<_>>();
            let keys = letters(&[&[*first], others.get(..3).unwrap_or(others)].concat());
            let typed = letters(typed);
            let (whole, detached) = Escape::new(keys.clone()).pass(&typed);
            let mut escape = Escape::new(keys.clone());
            let mut through = Vec::new();
            let found = typed.iter().any(|byte| {
                let (passed, found) = escape.pass(&[*byte]);
                through.extend(passed);
                found
            });
            assert_eq!((&through, found), (&whole, detached));
            through.extend_from_slice(if detached { &keys } else { escape.held() });
            assert!(
                if detached { typed.starts_with(&through) } else { typed == through },
                "nothing lost or added"
            );
        });
    }

    #[tokio::test]
    async fn half_a_sequence_reaches_the_container_when_the_client_is_gone() {
        let mut container = Vec::new();
        let ended = copy_input(&mut &b"x\x10"[..], &mut container, Some(vec![16, 17])).await;
        assert!(matches!(ended, Ended::Closed));
        assert_eq!(container, b"x\x10");
    }

    #[test]
    fn keys_are_spelt_as_the_client_spells_them() {
        assert_eq!(detach_keys(None, true).unwrap(), Some(vec![16, 17]));
        assert_eq!(detach_keys(Some("a,ctrl-[,ctrl-@"), true).unwrap(), Some(vec![b'a', 27, 0]));
        assert_eq!(detach_keys(Some("ctrl-x"), false).unwrap(), None);
        assert!(detach_keys(Some("ctrl-1"), true).is_err() && detach_keys(Some("ab"), true).is_err());
    }

    #[test]
    fn a_frame_says_stream_and_length() {
        assert_eq!(frame(true, b"hi"), [2, 0, 0, 0, 0, 0, 0, 2, b'h', b'i']);
    }

    fn client(bytes: &'static [u8]) -> (Hijacked, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1024);
        (Hijacked { reader: Box::new(bytes), writer: Box::new(ours) }, theirs)
    }

    #[tokio::test]
    async fn the_end_of_input_is_passed_on_and_output_still_comes() {
        let (mut client, mut sees) = client(b"question");
        let (ours, mut container) = UnixStream::pair().unwrap();
        let playing = tokio::spawn(async move {
            let mut question = String::new();
            container.read_to_string(&mut question).await.unwrap();
            container.write_all(question.to_uppercase().as_bytes()).await.unwrap();
        });
        assert_eq!(join(&mut client, ours, true, None).await, Ended::Closed);
        playing.await.unwrap();
        drop(client);
        let mut answer = String::new();
        sees.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "QUESTION");
    }

    #[tokio::test]
    async fn the_keys_detach_while_the_container_goes_on() {
        let (mut client, _sees) = client(&[b'x', 16, 17]);
        let (ours, mut container) = UnixStream::pair().unwrap();
        assert_eq!(join(&mut client, ours, true, Some(vec![16, 17])).await, Ended::Detached);
        let mut typed = Vec::new();
        container.read_to_end(&mut typed).await.unwrap();
        assert_eq!(typed, b"x");
    }
}
