//! What would be done: the plan, and nothing after it.

use serde::Serialize;

use crate::probe::probe;
use crate::progress::{Phase, Progress};
use crate::provision::{Agent, Watch, connect};
use crate::{Error, Facts, Plan, Request};

/// A host, and what would be done to it.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// What the host is and has.
    pub facts: Facts,
    /// What would be done.
    pub plan: Plan,
}

/// Looks and plans. The host is only read from.
pub async fn preview(request: &Request, progress: &Progress) -> Result<Preview, Error> {
    let mut watch = Watch::new(progress);
    let agent = Agent::read(request);
    let session = watch.time(Phase::Connect, connect(&request.visit(), progress)).await?;
    let facts = watch.time(Phase::Probe, probe(&session, request.engine.listen, request.deadline)).await?;
    let plan = Plan::new(&facts, request, &agent.await?.executable)?;
    Ok(Preview { facts, plan })
}
