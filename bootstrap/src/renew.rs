//! A new certificate for an engine that runs: no restart, and no container notices.

use crate::probe::probe;
use crate::progress::{Phase, Progress};
use crate::provision::{Outcome, Watch, connect, converge, outcome};
use crate::{Error, Plan, Request, verify};

/// Signs a new certificate for the request's names, with a new key where wanted, and sees it in force. The agent must
/// be installed; it is started when it is not running.
pub async fn renew_certificate(
    request: &Request,
    new_key: bool,
    progress: &Progress,
) -> Result<Outcome, Error> {
    let mut watch = Watch::new(progress);
    let session = watch.time(Phase::Connect, connect(&request.visit(), progress)).await?;
    let facts = watch.time(Phase::Probe, probe(&session, request.engine.listen, request.deadline)).await?;
    if facts.access == crate::Access::None {
        return Err(Error::NotAllowed { user: facts.user, reason: facts.refusal });
    }
    if facts.agent.path.is_empty() {
        let said = "the agent is not installed".to_owned();
        return Err(Error::Step { step: "renewing the certificate", said });
    }
    let plan = Plan::only_certificate(&facts, request);
    let made = converge(&session, &facts, &plan, request, None, new_key, &mut watch).await?;
    let server_certificate = made.map_or_else(|| wharf_pki::Certificate::parse(&facts.agent.server), Ok)?;
    let verified = verify::verify(&session, &facts, request, &server_certificate);
    let version = watch.time(Phase::Verify, verified).await?;
    Ok(outcome(&session, facts, plan, server_certificate, version, watch))
}
