//! From a host's name to a connection on which an SSH server has said its first words.
//!
//! A host that boots refuses, is unreachable, or takes a connection and stays silent (a hypervisor's port forward does
//! so before its guest is up, and such a connection never comes to life). So attempts are started again and again,
//! across all addresses, beside those that hang; the first on which a server speaks wins.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout_at};

use crate::{Error, Target};

/// Connects to a target that is reached directly.
pub(crate) async fn dial(target: &Target, deadline: Instant) -> Result<std::net::TcpStream, Error> {
    let addresses = resolve(target, deadline).await?;
    let mut race = Race {
        target,
        addresses,
        started: Instant::now(),
        attempts: JoinSet::new(),
        hanging: VecDeque::new(),
    };
    let stream = race.run(deadline).await?;
    let tuned = stream.set_nodelay(true).and_then(|()| stream.into_std());
    tuned.map_err(|error| Error::Protocol(error.to_string()))
}

async fn resolve(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, Error> {
    let unresolved = || Error::Unresolved { host: target.host.clone() };
    let lookup = tokio::net::lookup_host((target.host.as_str(), target.port));
    let found = timeout_at(deadline.into(), lookup).await.map_err(|_| unresolved())?;
    let addresses: Vec<_> = found.map_err(|_| unresolved())?.collect();
    if addresses.is_empty() { Err(unresolved()) } else { Ok(addresses) }
}

struct Race<'a> {
    target: &'a Target,
    addresses: Vec<SocketAddr>,
    started: Instant,
    attempts: JoinSet<Result<TcpStream, Error>>,
    hanging: VecDeque<(tokio::task::AbortHandle, Arc<AtomicBool>)>,
}

impl Race<'_> {
    async fn run(&mut self, deadline: Instant) -> Result<TcpStream, Error> {
        let mut last = None;
        let mut next = Instant::now();
        for turn in 0.. {
            self.start(turn);
            let begun = next;
            next = begun + HANGS;
            loop {
                tokio::select! {
                    Some(Ok(done)) = self.attempts.join_next() => match done {
                        Ok(stream) => return Ok(stream),
                        Err(error) if error.may_pass() => {
                            last = Some(error);
                            next = next.min(begun.max(Instant::now() - FAILS) + FAILS);
                        }
                        Err(error) => return Err(error),
                    },
                    () = sleep_until(next.min(deadline).into()) => break,
                }
            }
            if Instant::now() >= deadline {
                break;
            }
            next = Instant::now();
        }
        Err(self.diagnosis(last))
    }

    fn start(&mut self, turn: usize) {
        let address = self.addresses[turn % self.addresses.len()];
        let (shown, started) = (self.target.address(), self.started);
        let connected = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&connected);
        let handle = self.attempts.spawn(async move {
            let stream =
                TcpStream::connect(address).await.map_err(|error| failed(&shown, started, &error))?;
            flag.store(true, Ordering::Relaxed);
            hear(stream, &shown).await
        });
        self.hanging.retain(|(handle, _)| !handle.is_finished());
        self.hanging.push_back((handle, connected));
        if self.hanging.len() > MOST
            && let Some((oldest, _)) = self.hanging.pop_front()
        {
            oldest.abort();
        }
    }

    /// What hangs tells more than what failed before it.
    fn diagnosis(&self, last: Option<Error>) -> Error {
        let (address, after) = (self.target.address(), self.started.elapsed());
        let hanging = || self.hanging.iter().filter(|(handle, _)| !handle.is_finished());
        if hanging().any(|(_, connected)| connected.load(Ordering::Relaxed)) {
            return Error::Silent { address, after };
        }
        match last {
            Some(last) if hanging().count() < 2 => last,
            _ => Error::TimedOut { address, after },
        }
    }
}

/// Waits for the server's first words without taking them from it.
async fn hear(stream: TcpStream, address: &str) -> Result<TcpStream, Error> {
    let mut heard = [0; 512];
    let mut before = 0;
    let lost = |reason: String| Error::Lost { host: address.to_owned(), reason };
    // The first words may take their time; once it talks, it should come to the point.
    let mut patience = None;
    while patience.is_none_or(|end| Instant::now() < end) {
        before = stream.peek(&mut heard).await.map_err(|error| lost(error.to_string()))?;
        let words = &heard[..before];
        if words.starts_with(b"SSH-") || words.windows(5).any(|window| window == b"\nSSH-") {
            return Ok(stream);
        }
        if words.is_empty() {
            return Err(lost("it was closed before the server said anything".to_owned()));
        }
        patience = patience.or(Some(Instant::now() + TALKS));
        sleep(ROUND).await;
    }
    let said = String::from_utf8_lossy(&heard[..before]);
    let said: String =
        said.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(60).collect();
    if BUSY.iter().any(|busy| said.starts_with(busy)) {
        return Err(lost(format!("the SSH server is busy: {said}")));
    }
    Err(Error::NotSsh { address: address.to_owned(), said })
}

fn failed(address: &str, started: Instant, error: &io::Error) -> Error {
    let address = address.to_owned();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::Refused { address },
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Error::NoRoute { address }
        }
        io::ErrorKind::TimedOut => Error::TimedOut { address, after: started.elapsed() },
        _ => Error::Lost { host: address, reason: error.to_string() },
    }
}

/// After a failure.
const FAILS: Duration = Duration::from_millis(50);
/// Beside an attempt that hangs.
const HANGS: Duration = Duration::from_millis(250);
/// So many attempts hang at once; then the oldest is given up.
const MOST: usize = 8;
/// A server may say other lines before `SSH-`, for so long.
const TALKS: Duration = Duration::from_secs(1);
/// What OpenSSH says instead of its version when too many have come and nobody has signed in yet, as when a slow host
/// has just booted, and when it wants to be left alone for a while.
const BUSY: [&str; 2] = ["Exceeded MaxStartups", "Not allowed at this time"];
const ROUND: Duration = Duration::from_millis(20);
