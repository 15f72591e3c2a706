//! Clients' certificates that were taken back are refused by an engine that runs: no restart, and no container notices.
//!
//! That the list is in force is proved from here: it holds one more certificate, made for this alone, and the engine is
//! asked with that until it turns it away.

use std::time::{Duration, Instant};

use wharf_pki::{Certificate, Client, Leaf, Revoked, Role};
use wharf_ssh::Session;

use crate::probe::probe;
use crate::progress::{Phase, Progress};
use crate::provision::{Watch, connect, converge};
use crate::{Error, Plan, Request, verify};

/// Brings the request's list of what was taken back, and sees it in force. The agent must be installed; it is started
/// when it is not running.
pub async fn revoke(request: &Request, progress: &Progress) -> Result<(), Error> {
    let mut watch = Watch::new(progress);
    let session = watch.time(Phase::Connect, connect(&request.visit(), progress)).await?;
    let facts = watch.time(Phase::Probe, probe(&session, request.engine.listen, request.deadline)).await?;
    if facts.access == crate::Access::None {
        return Err(Error::NotAllowed { user: facts.user, reason: facts.refusal });
    }
    if facts.agent.path.is_empty() {
        return Err(Error::Step { step: STEP, said: "the agent is not installed".to_owned() });
    }
    let (request, proof) = with_proof(request)?;
    let plan = Plan::only_revoked(&facts, &request);
    converge(&session, &facts, &plan, &request, None, false, &mut watch).await?;
    let server = Certificate::parse(&facts.agent.server)?;
    let verifying = async {
        verify::verify(&session, &facts, &request, &server).await?;
        turned_away(&session, &request, &proof).await
    };
    watch.time(Phase::Verify, verifying).await
}

/// The request with one certificate more to take back. It opens this machine for an hour, to look, should the list never
/// come into force; its key is nowhere but here.
fn with_proof(request: &Request) -> Result<(Request, Leaf), Error> {
    let proof = Client {
        name: "revoked".to_owned(),
        role: Role::Reader,
        machine: Some(request.machine.clone()),
        valid: time::Duration::HOUR,
    };
    let proof = request.authority.issue_client(&proof, request.now)?;
    let mut request = request.clone();
    let serial = proof.certificate.serial().to_owned();
    request.revoked.revoked.push(Revoked { serial, since: request.now });
    Ok((request, proof))
}

async fn turned_away(session: &Session, request: &Request, proof: &Leaf) -> Result<(), Error> {
    let client = verify::client(session, request, proof).map_err(Error::Client)?;
    let until = request.deadline.min(Instant::now() + HEEDED);
    loop {
        // An answer that never comes counts as none; the engine answered a moment ago.
        let asked = tokio::time::timeout_at(until.into(), client.version()).await;
        if matches!(asked, Ok(Err(wharfd_client::Error::Refused { status: 403, .. }))) {
            return Ok(());
        }
        if Instant::now() + PAUSE >= until {
            let said = "the engine has the list and does not heed it".to_owned();
            return Err(Error::Step { step: STEP, said });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

const STEP: &str = "taking certificates back";
/// How long an engine may take to read its list.
const HEEDED: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(25);
