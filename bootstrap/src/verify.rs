//! From here, over mutual TLS: the engine answers, and it is the one we installed. When it does not, why.

use std::io;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use wharf_pki::{Certificate, Leaf};
use wharf_ssh::{Command, Session};
use wharfd_client::{Client, Credentials, Dial, Duplex};

use crate::remote::{as_root, quote};
use crate::{Error, Facts, Request, service};

/// What the engine says it is.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) version: String,
    pub(crate) api_version: String,
}

/// Asks the engine until it answers, and serves with this certificate. A machine behind a jump host is asked through
/// the SSH connection.
pub(crate) async fn verify(
    session: &Session,
    facts: &Facts,
    request: &Request,
    certificate: &Certificate,
) -> Result<Version, Error> {
    let client = client(session, request, &request.client).map_err(Error::Client)?;
    let begun = Instant::now();
    match ask(&client, certificate, request.deadline.min(begun + PATIENCE)).await {
        Ok(version) => Ok(version),
        Err(failed) => Err(diagnose(session, facts, request, failed).await),
    }
}

/// Somebody's way to the engine.
pub(crate) fn client(session: &Session, request: &Request, who: &Leaf) -> wharfd_client::Result<Client> {
    let credentials = Credentials {
        authority: request.authority.certificate().pem().to_owned(),
        certificate: who.certificate.pem().to_owned(),
        key: who.key_pem.expose().to_owned(),
        machine: Some(request.machine.clone()),
    };
    let engine = &request.engine;
    if request.target.jumps.is_empty() {
        return Client::tcp(&engine.host, engine.port, &credentials);
    }
    let (session, port, deadline) = (session.clone(), engine.listen, request.deadline);
    let dial = Dial::new(move || {
        let session = session.clone();
        Box::pin(async move {
            let tunnel = session.tunnel("127.0.0.1", port, deadline.min(Instant::now() + ATTEMPT)).await;
            tunnel.map(|tunnel| Box::new(tunnel) as Box<dyn Duplex>).map_err(io::Error::other)
        })
    });
    Client::through(dial, &engine.host, &credentials)
}

enum Failed {
    Unreachable(String),
    Refused(String),
}

async fn ask(client: &Client, certificate: &Certificate, deadline: Instant) -> Result<Version, Failed> {
    let mut refused_since = None;
    loop {
        let attempt = tokio::time::timeout_at(
            (Instant::now() + ATTEMPT).min(deadline).into(),
            try_once(client, certificate),
        );
        let failed = match attempt.await {
            Ok(Ok(version)) => return Ok(version),
            Ok(Err(failed)) => failed,
            Err(_) => Failed::Unreachable("no answer".to_owned()),
        };
        let now = Instant::now();
        // The agent may be about to read a certificate that has just been installed.
        let lasting = match failed {
            Failed::Refused(_) => now > *refused_since.get_or_insert(now) + RELOAD,
            Failed::Unreachable(_) => false,
        };
        if lasting || now + PAUSE >= deadline {
            return Err(failed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn try_once(client: &Client, certificate: &Certificate) -> Result<Version, Failed> {
    let failed = |error: wharfd_client::Error| {
        let reason = error.to_string();
        if error.is_unreachable() { Failed::Unreachable(reason) } else { Failed::Refused(reason) }
    };
    let shown = client.server_certificate().await.map_err(failed)?;
    if shown.is_none_or(|der| hex::encode(Sha256::digest(der)) != certificate.fingerprint()) {
        return Err(Failed::Refused("it still serves with another certificate".to_owned()));
    }
    let version = client.version().await.map_err(failed)?;
    Ok(Version { version: version.version, api_version: version.api_version })
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

/// What a started engine may take, on a slow machine, until it answers.
const PATIENCE: Duration = Duration::from_secs(30);
const ATTEMPT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(25);
const RELOAD: Duration = Duration::from_secs(5);
