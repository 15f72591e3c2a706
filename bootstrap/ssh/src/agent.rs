//! An SSH agent of one key, for programs that would otherwise need that key in a file.
//!
//! It says which key it has, signs with it, and refuses everything else: nobody adds keys to it, takes them out or locks
//! it. Its socket is in a folder for its owner alone and goes with it.
//!
//! The protocol is draft-ietf-sshm-ssh-agent; the whole of it, as a library, would bring the arithmetic of every key
//! type along, of which one ed25519 key needs none.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signature::Signer as _;
use ssh_encoding::Encode;
use ssh_key::PrivateKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::{Error, KeyPair};

/// An agent that answers until it is dropped.
#[derive(Debug)]
pub struct Agent {
    socket: PathBuf,
    serving: JoinHandle<()>,
}

impl Agent {
    /// Answers at a socket in `folder`, which must be for its owner alone.
    pub fn start(pair: &KeyPair, folder: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Protocol(format!("cannot start an SSH agent: {reason}"));
        let key = PrivateKey::from_openssh(pair.private()).map_err(|e| failed(e.to_string()))?;
        let socket = folder.join("agent");
        let listener = UnixListener::bind(&socket).map_err(|e| failed(e.to_string()))?;
        let key = Arc::new(key);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let key = Arc::clone(&key);
                // Whoever speaks nonsense is hung up on.
                tokio::spawn(async move { drop(serve(stream, &key).await) });
            }
        });
        Ok(Self { socket, serving })
    }

    /// Where it answers.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: UnixStream, key: &PrivateKey) -> io::Result<()> {
    loop {
        let length = stream.read_u32().await? as usize;
        if !(1..=LONGEST).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut asked = vec![0; length];
        stream.read_exact(&mut asked).await?;
        let answer = answer(&asked, key).unwrap_or_else(|| vec![FAILURE]);
        let length = u32::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
    }
}

/// The answer; `None` refuses.
fn answer(asked: &[u8], key: &PrivateKey) -> Option<Vec<u8>> {
    let public = encoded(key.public_key().key_data())?;
    match asked.split_first()? {
        (&REQUEST_IDENTITIES, []) => {
            let mut answer = vec![IDENTITIES, 0, 0, 0, 1];
            put(&mut answer, &public)?;
            put(&mut answer, key.comment().as_bytes())?;
            Some(answer)
        }
        (&SIGN_REQUEST, rest) => {
            let (wanted, rest) = take(rest)?;
            let (data, _flags) = take(rest)?;
            if wanted != public {
                return None;
            }
            let mut answer = vec![SIGNATURE];
            put(&mut answer, &encoded(&key.try_sign(data).ok()?)?)?;
            Some(answer)
        }
        _ => None,
    }
}

fn encoded(value: &impl Encode) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes).ok()?;
    Some(bytes)
}

/// A string as the protocol writes it: its length, then its bytes.
fn put(into: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    into.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
    into.extend(bytes);
    Some(())
}

fn take(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = from.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGNATURE: u8 = 14;
/// What OpenSSH's own agent takes at most.
const LONGEST: usize = 256 * 1024;
