//! Another agent under running containers; one that does not answer is taken back.

use wharf_driver::MachineName;

use crate::bootstrap::Upgrade;
use crate::engine::keys::Keys;
use crate::engine::work::Work;
use crate::journal::Event;
use crate::{Call, Error, Kind, Phase, Result, Wharf};

/// What an upgrade did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Upgraded {
    /// The version that was there.
    pub from: String,
    /// The version that is there.
    pub to: String,
    /// Whether anything changed: the same version may be another build.
    pub changed: bool,
}

impl Wharf {
    /// Puts this program's agent in the place of the machine's. Containers go on.
    ///
    /// # Errors
    /// What stopped it; when the new agent was no good, the one before it is in force again.
    pub async fn upgrade(&self, name: &MachineName, call: &Call) -> Result<Upgraded> {
        self.bootstrap.check()?;
        let work = Work::existing(self, name, call).await?;
        work.has_engine()?;
        let driver = work.driver(&work.machine()?).await?;
        work.find_address(&driver).await?;
        let keys = Keys::of(&self.vault, &work.ledger, name).await?;
        work.phase(Phase::Upgrading)?;
        let wish = work.wish(&keys).await?;
        let before = work.machine()?.provisioned.map(|engine| engine.agent).unwrap_or_default();
        work.record(Event::Upgrading { agent: before.clone() }).await?;
        let done = work.bounded("upgrading the agent", self.bootstrap.upgrade(&wish)).await;
        match done.map_err(|error| work.explain(error))? {
            Upgrade::Done { outcome, before: from } => {
                let changed = outcome.agent != before;
                let to = outcome.engine.clone();
                work.record(Event::Provisioned {
                    engine: outcome.engine,
                    names: work.machine()?.provisioned.map(|engine| engine.names).unwrap_or_default(),
                    expires: outcome.expires,
                    agent: outcome.agent,
                    facts: outcome.facts,
                })
                .await?;
                work.export().await?;
                Ok(Upgraded { from, to, changed })
            }
            Upgrade::RolledBack { because, before } => {
                work.record(Event::RolledBack { because: because.to_string() }).await?;
                let message = format!("the new agent was taken back, and {before} answers again: {because}");
                let rolled_back = Error::new(Kind::Failed, message);
                let rolled_back = because
                    .facts()
                    .iter()
                    .fold(rolled_back, |error, (name, value)| error.fact(name, value.clone()));
                Err(rolled_back
                    .hint(format!("containers go on; `wharf logs {name}` has what the new agent said")))
            }
        }
    }
}
