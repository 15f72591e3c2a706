//! From here, over mutual TLS: the engine answers, and it is the one we installed. When it does not, why.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use wharf_ssh::{Command, Session};
use wharfd_client::{Client, Credentials};

use crate::remote::{as_root, quote};
use crate::{Error, Facts, Request, service};

/// What the engine says it is.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) version: String,
    pub(crate) api_version: String,
}

/// Asks the engine until it answers. A machine behind a jump host is asked through the SSH connection.
pub(crate) async fn verify(session: &Session, facts: &Facts, request: &Request) -> Result<Version, Error> {
    let (host, port, _tunnel) = if request.target.jumps.is_empty() {
        (request.engine.host.clone(), request.engine.port, None)
    } else {
        let tunnel = Tunnel::open(session.clone(), request.engine.listen, request.deadline).await?;
        ("127.0.0.1".to_owned(), tunnel.port, Some(tunnel))
    };
    let credentials = Credentials {
        authority: request.authority.certificate().pem().to_owned(),
        certificate: request.client.certificate.pem().to_owned(),
        key: request.client.key_pem.expose().to_owned(),
        machine: Some(request.machine.clone()),
    };
    let client = Client::tcp(&host, port, &credentials).map_err(Error::Client)?;
    match ask(&client, request.deadline.min(Instant::now() + PATIENCE)).await {
        Ok(version) => Ok(version),
        Err(failed) => Err(diagnose(session, facts, request, failed).await),
    }
}

enum Failed {
    Unreachable(String),
    Refused(String),
}

async fn ask(client: &Client, deadline: Instant) -> Result<Version, Failed> {
    let mut refusals = 0;
    loop {
        let attempt =
            tokio::time::timeout_at((Instant::now() + ATTEMPT).min(deadline).into(), client.version());
        let failed = match attempt.await {
            Ok(Ok(version)) => {
                return Ok(Version { version: version.version, api_version: version.api_version });
            }
            Ok(Err(error)) if error.is_unreachable() => Failed::Unreachable(error.to_string()),
            // The agent may be about to read a certificate that has just been installed.
            Ok(Err(error)) => {
                refusals += 1;
                Failed::Refused(error.to_string())
            }
            Err(_) => Failed::Unreachable("no answer".to_owned()),
        };
        if refusals > REFUSALS || Instant::now() + PAUSE >= deadline {
            return Err(failed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks the host why its engine cannot be reached.
async fn diagnose(session: &Session, facts: &Facts, request: &Request, failed: Failed) -> Error {
    let address = format!("{}:{}", request.engine.host, request.engine.port);
    let reason = match failed {
        Failed::Refused(reason) => {
            return Error::Handshake { address, reason, skew: facts.clock_skew(request.now) };
        }
        Failed::Unreachable(reason) => reason,
    };
    let listen = request.engine.listen;
    let script = format!(
        "if grep -q {} /proc/net/tcp /proc/net/tcp6 2>/dev/null; then echo listening; else {} 2>&1; fi",
        quote(&format!("^ *[0-9]*: [0-9A-F]*:{listen:04X} [0-9A-F]*:[0-9A-F]* 0A ")),
        service::log(facts.init)
    );
    let deadline = request.deadline.max(Instant::now() + ATTEMPT);
    match session.execute(Command::new(as_root(facts.access, &script)), deadline).await {
        Ok(output) if output.text().trim() == "listening" => Error::PortClosed { address, listen, reason },
        Ok(output) => Error::AgentFailed { log: output.text().trim().to_owned() },
        Err(error) => error.into(),
    }
}

/// A loopback port whose connections end at the engine's port on the machine. What listens there is safe from other
/// users of this computer, since the engine asks everybody for a certificate.
struct Tunnel {
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Tunnel {
    async fn open(session: Session, to: u16, deadline: Instant) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::Step { step: "opening a tunnel", said: error.to_string() };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                match session.tunnel("127.0.0.1", to, deadline).await {
                    // Either side may end as it likes.
                    Ok(mut far) => drop(tokio::io::copy_bidirectional(&mut near, &mut far).await),
                    Err(error) => tracing::debug!(%error, "no tunnel to the engine"),
                }
            }
        });
        Ok(Self { port, task })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a started engine may take, on a slow machine, until it answers.
const PATIENCE: Duration = Duration::from_secs(30);
const ATTEMPT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(25);
const REFUSALS: usize = 40;
