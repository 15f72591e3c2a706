//! Another agent under running containers: their shims keep them, the new daemon finds them again, and one that does
//! not is taken back.
//!
//! The agent that was there stays beside the new one, under a name of its own, until the new one answers over mutual TLS
//! and knows the containers. An upgrade that was cut off leaves it there, and the next one goes back to it if need be.

use std::time::Instant;

use wharf_pki::Certificate;
use wharf_ssh::{Command, Session};
use wharfd_client::Client;

use crate::probe::probe;
use crate::progress::{Phase, Progress};
use crate::provision::{Agent, Outcome, Watch, connect, converge, outcome};
use crate::remote::{self, as_root, quote};
use crate::service::{self, Service};
use crate::{Error, Facts, Plan, Request, Verb, verify};

/// How an upgrade ended, where the engine answers.
#[derive(Debug)]
pub enum Upgrade {
    /// The new agent is in force, or was before.
    Done {
        /// What there is now.
        outcome: Box<Outcome>,
        /// The version that was there before.
        before: String,
    },
    /// The new agent was no good, and the one before it is in force again.
    RolledBack {
        /// What was wrong with the new one.
        because: Box<Error>,
        /// The version that answers.
        before: String,
    },
}

/// Puts the request's agent in the place of the one that is there. The engine must answer.
pub async fn upgrade(request: &Request, progress: &Progress) -> Result<Upgrade, Error> {
    let mut watch = Watch::new(progress);
    let agent = Agent::read(request);
    let session = watch.time(Phase::Connect, connect(&request.visit(), progress)).await?;
    let facts = watch.time(Phase::Probe, probe(&session, request.engine.listen, request.deadline)).await?;
    let agent = agent.await?;
    let plan = Plan::new(&facts, request, &agent.executable)?;
    // Certificates are somebody else's business: whichever agent stays must fit them.
    let plan = Plan { certificate: false, revoked: false, registries: false, ..plan };
    let client = verify::client(&session, request, &request.client).map_err(Error::Client)?;
    let (before, containers) = before(&client, &facts).await?;
    let certificate = Certificate::parse(&facts.agent.server)?;
    let swap = Swap { session: &session, facts: &facts, request, before: before_path(&facts) };
    if plan.upload {
        swap.keep().await?;
    }
    let made = converge(&session, &facts, &plan, request, Some(&agent), false, &mut watch).await;
    let healthy = async {
        made?;
        let verified = verify::verify(&session, &facts, request, &certificate);
        let version = watch.time(Phase::Verify, verified).await?;
        knows(&client, &containers).await?;
        Ok(version)
    };
    match healthy.await {
        Ok(version) => {
            if plan.upload {
                swap.forget().await?;
            }
            let outcome = Box::new(outcome(&session, facts, plan, certificate, version, watch));
            Ok(Upgrade::Done { outcome, before })
        }
        Err(because) if plan.start == Verb::Keep => Err(because),
        Err(because) => {
            swap.undo(plan.upload, &certificate, &because).await?;
            Ok(Upgrade::RolledBack { because: Box::new(because), before })
        }
    }
}

/// The version that is there and the containers that it knows. What does not answer cannot be gone back to.
async fn before(client: &Client, facts: &Facts) -> Result<(String, Vec<String>), Error> {
    let unfit = |said: String| Error::Step { step: STEP, said };
    if facts.agent.path.is_empty() {
        return Err(unfit("the agent is not installed".to_owned()));
    }
    let silent = |error: wharfd_client::Error| unfit(format!("the engine does not answer: {error}"));
    Ok((client.version().await.map_err(silent)?.version, containers(client).await.map_err(silent)?))
}

async fn containers(client: &Client) -> Result<Vec<String>, wharfd_client::Error> {
    #[derive(serde::Deserialize)]
    struct Container {
        #[serde(rename = "Id")]
        id: String,
    }
    let all: Vec<Container> = client.get("/containers/json?all=1").await?;
    Ok(all.into_iter().map(|container| container.id).collect())
}

/// Some may have ended and been removed meanwhile; an engine that knows none of them has lost them.
async fn knows(client: &Client, before: &[String]) -> Result<(), Error> {
    let lost = |said: String| Error::Step { step: STEP, said };
    let now = containers(client)
        .await
        .map_err(|error| lost(format!("the new agent does not list them: {error}")))?;
    if before.is_empty() || before.iter().any(|id| now.contains(id)) {
        return Ok(());
    }
    Err(lost(format!("the new agent knows none of the {} containers", before.len())))
}

fn before_path(facts: &Facts) -> String {
    let (folder, _) = facts.agent.path.rsplit_once('/').unwrap_or(("", ""));
    format!("{folder}/.wharfd.before")
}

/// The two agents on one host.
struct Swap<'a> {
    session: &'a Session,
    facts: &'a Facts,
    request: &'a Request,
    before: String,
}

impl Swap<'_> {
    /// One that an interrupted upgrade left is the good one.
    async fn keep(&self) -> Result<(), Error> {
        let (agent, before) = (quote(&self.facts.agent.path), quote(&self.before));
        self.run(&format!("set -eu\n[ -e {before} ] || ln {agent} {before} 2>/dev/null || {{ cp -p {agent} {before}.new && mv {before}.new {before}; }}\n"))
            .await
    }

    async fn forget(&self) -> Result<(), Error> {
        self.run(&format!("rm -f {}\n", quote(&self.before))).await
    }

    /// Goes back, and sees that what was there before answers.
    async fn undo(&self, uploaded: bool, certificate: &Certificate, because: &Error) -> Result<(), Error> {
        let init = self.facts.init;
        let mut script = format!(
            "set -eu\numask 022\nfail() {{ {{ echo {}; {}; }} >&2 || :; }}\n",
            quote(remote::LOG),
            service::log(init)
        );
        if uploaded {
            script += &format!("mv -f {} {}\n", quote(&self.before), quote(&self.facts.agent.path));
        }
        let there = self.facts.agent.service.trim_end();
        let service = (!there.is_empty()).then(|| Service {
            path: service::path(init),
            mode: service::mode(init),
            text: format!("{there}\n"),
            at_boot: self.facts.agent.enabled,
        });
        script += &service::activate(init, service.as_ref(), Verb::Restart);
        // Whatever the new one took of the time, there is some for the way back.
        let deadline = self.request.deadline.max(Instant::now() + WAY_BACK);
        let back = async {
            remote::run(
                self.session,
                "going back",
                Command::new(as_root(self.facts.access, &script)),
                deadline,
            )
            .await?;
            let request = Request { deadline, ..self.request.clone() };
            verify::verify(self.session, self.facts, &request, certificate).await
        };
        let failed = |error: Error| Error::Step {
            step: STEP,
            said: format!("{because}; and the agent that was there before does not come back: {error}"),
        };
        back.await.map(drop).map_err(failed)
    }

    async fn run(&self, script: &str) -> Result<(), Error> {
        let command = Command::new(as_root(self.facts.access, script));
        remote::run(self.session, STEP, command, self.request.deadline).await.map(drop)
    }
}

const STEP: &str = "upgrading the agent";
const WAY_BACK: std::time::Duration = std::time::Duration::from_secs(60);
