//! SSH with a verified host key: connect, run, upload, tunnel.
//!
//! ```text
//! Target ─ Session::connect ─▶ Session ─ run / upload ─▶ Output
//!                                      └ tunnel ───────▶ Stream
//! ```
//!
//! What this promises:
//! - **No command runs, and no key is shown, before the host proved who it is.** There is no way to leave that out; a
//!   host that is another one than expected is [`Kind::HostKeyMismatch`] with both fingerprints, also when it offers a
//!   key of another type, and also at every jump on the way.
//! - Every call has a deadline. A host that is still booting is tried again until then, and the last failure says what
//!   was wrong: nothing listening, no answer, no route, an answer that is not SSH.
//! - Uploads need a POSIX shell with `cat` on the other side and no SFTP server.
//! - libssh2 blocks; its calls run on a capped pool of threads and end with the future that waits for them.
//!
//! What it refuses: passwords, keys by SHA-1 (`ssh-rsa`, `ssh-dss`), reading the environment or the home folder. Files
//! and sockets come in as paths.

mod agent;
mod connection;
mod dial;
mod error;
mod exec;
mod host_key;
mod host_keys;
mod identity;
mod key_pair;
mod known_hosts;
mod pool;
mod session;
mod sign_in;
mod target;
mod tunnel;

pub use agent::Agent;
pub use error::{Error, Kind};
pub use exec::{Command, Output};
pub use host_key::{Fingerprint, HostKey};
pub use host_keys::{HostKeys, Question, Unknown};
pub use identity::{Identity, Passphrase};
pub use key_pair::KeyPair;
pub use session::Session;
pub use target::{Place, Target};
pub use tunnel::Stream;

#[cfg(test)]
mod tests;
