//! What daemon and shim say to each other over the shim's socket.
//!
//! One request a connection: a frame (length as four bytes, big endian; then JSON) and a frame in answer. After
//! `Attached` and `Executed` the connection becomes the stream. Every frame carries the protocol's version. A daemon
//! speaks to the shims of the last two releases, so fields are added, never changed or taken away.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use oci_spec::runtime::Process;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::{Error, Exit, LogTarget, Size, Streams};

/// What this executable speaks.
pub(super) const VERSION: u32 = 1;

/// The oldest version that this daemon still understands.
pub(super) const OLDEST: u32 = 1;

/// Longer frames are a mistake or an attack. Environments are the longest thing in them.
const LONGEST: usize = 8 << 20;

/// What a new shim reads from the socket that is its stdin; the descriptors to keep come along with the first byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) id: String,
    /// Of the exit record.
    pub(super) dir: PathBuf,
    /// Of everything that may vanish at a reboot: bundle, socket, the shim's own record. The working folder too, so
    /// that sockets have short names.
    pub(super) state: PathBuf,
    /// Another OCI runtime's path.
    #[serde(default)]
    pub(super) runtime: Option<PathBuf>,
    /// Of the OCI runtime's state.
    pub(super) runtime_root: PathBuf,
    /// The container's control group, in every hierarchy that the runtime uses.
    pub(super) cgroup: PathBuf,
    /// Who owns the pipes, so that `/dev/stdout` can be opened.
    pub(super) owner: u32,
    pub(super) terminal: bool,
    #[serde(default)]
    pub(super) size: Option<Size>,
    pub(super) open_stdin: bool,
    pub(super) stdin_once: bool,
    pub(super) log: LogTarget,
}

/// Beside the shim's socket: who it is, for the next daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) shim: Identity,
    pub(super) container: Identity,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Request {
    /// Is there anybody?
    Ping,
    Start,
    Signal {
        exec: Option<String>,
        signal: i32,
    },
    Attach(Streams),
    Exec {
        id: String,
        process: Box<Process>,
        #[serde(default)]
        size: Option<Size>,
        streams: Streams,
    },
    Resize {
        exec: Option<String>,
        size: Size,
    },
    Wait {
        exec: Option<String>,
    },
    Pause,
    Resume,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    /// To the setup: the container is there.
    Created {
        pid: i32,
    },
    Done,
    Attached,
    Executed {
        pid: i32,
    },
    Exited(Exit),
    Failed(Error),
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    version: u32,
    message: T,
}

/// The version alone, readable whatever else a frame holds.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// A frame's bytes.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, &Envelope { version: VERSION, message })?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// The message of a frame's body.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let Versioned { version } = serde_json::from_slice(body).map_err(malformed)?;
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(Error::Version(version));
    }
    serde_json::from_slice::<Envelope<T>>(body).map(|envelope| envelope.message).map_err(malformed)
}

/// How long the body of a frame is.
pub(super) fn length(head: [u8; 4]) -> Result<usize, Error> {
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length > LONGEST { Err(malformed(format!("a frame of {length} bytes"))) } else { Ok(length) }
}

fn malformed(why: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("not a message of the shim's protocol: {why}"))
}

/// Writes a frame to a blocking stream.
pub(super) fn send(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(message)?)
}

/// Reads a frame from a blocking stream.
pub(super) fn receive<T: DeserializeOwned>(mut from: impl Read) -> Result<T, Error> {
    let gone = |error: io::Error| Error::Gone(error.to_string());
    let mut head = [0; 4];
    from.read_exact(&mut head).map_err(gone)?;
    let mut body = vec![0; length(head)?];
    from.read_exact(&mut body).map_err(gone)?;
    decode(&body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_sent() {
        let request = Request::Signal { exec: Some("e".into()), signal: 15 };
        let frame = encode(&request).unwrap();
        assert_eq!(receive::<Request>(frame.as_slice()).unwrap(), request);
        let failed = Reply::Failed(Error::NotRunning);
        assert_eq!(receive::<Reply>(encode(&failed).unwrap().as_slice()).unwrap(), failed);
    }

    #[test]
    fn frames_of_the_first_release_stay_readable() {
        let body = br#"{"version":1,"message":{"exited":{"code":3,"at":"2026-01-02T03:04:05Z"}}}"#;
        assert!(matches!(decode::<Reply>(body), Ok(Reply::Exited(exit)) if exit.code == 3));
        let body = br#"{"version":1,"message":{"attach":{"stdin":true,"stdout":true,"stderr":false}}}"#;
        assert!(matches!(decode::<Request>(body), Ok(Request::Attach(streams)) if streams.stdin));
        let body = br#"{"version":1,"message":{"failed":{"kind":"executable","message":"x"}}}"#;
        assert!(matches!(decode::<Reply>(body), Ok(Reply::Failed(Error::Executable(_)))));
    }

    #[test]
    fn refuses_other_versions_lengths_and_nonsense() {
        assert_eq!(decode::<Reply>(br#"{"version":9,"message":{"new":1}}"#), Err(Error::Version(9)));
        assert!(matches!(decode::<Reply>(b"{"), Err(Error::Invalid(_))));
        assert!(length(u32::MAX.to_be_bytes()).is_err());
        assert!(matches!(receive::<Reply>(&[0u8, 0, 0, 9, b'{'][..]), Err(Error::Gone(_))));
    }
}
