//! The whole way, and the way back to it: what is right is kept, what is missing or wrong is made.

use std::sync::Arc;
use std::time::Instant;

use wharf_pki::Certificate;
use wharf_ssh::{HostKey, Session};

use crate::executable::Executable;
use crate::prepare::Work;
use crate::probe::probe;
use crate::progress::{Event, Phase, Progress, Timing};
use crate::verify::Version;
use crate::{Error, Facts, Plan, Request, Step, Verb, Visit, rotate, verify};

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the probe found, before.
    pub facts: Facts,
    /// The host keys that are good from now on.
    pub host_keys: Vec<HostKey>,
    /// The certificate that the engine serves with.
    pub server_certificate: Certificate,
    /// What the engine calls itself.
    pub engine_version: String,
    /// The newest API version it speaks.
    pub api_version: String,
    /// What was done.
    pub steps: Vec<Step>,
    /// How long each phase took.
    pub timings: Vec<Timing>,
}

/// Makes the host a container host, or repairs one.
pub async fn provision(request: &Request, progress: &Progress) -> Result<Outcome, Error> {
    let mut watch = Watch::new(progress);
    let agent = Agent::read(request);
    let session = watch.time(Phase::Connect, connect(&request.visit(), progress)).await?;
    let facts = watch.time(Phase::Probe, probe(&session, request.engine.listen, request.deadline)).await?;
    let agent = agent.await?;
    let mut plan = Plan::new(&facts, request, &agent.executable)?;
    let made = converge(&session, &facts, &plan, request, Some(&agent), false, &mut watch).await?;
    let kept = made.is_none();
    let mut certificate = made.map_or_else(|| Certificate::parse(&facts.agent.server), Ok)?;
    let verified = verify::verify(&session, &facts, request, &certificate);
    let mut version = watch.time(Phase::Verify, verified).await;
    if kept && matches!(version, Err(Error::Handshake { .. })) {
        // What looked right is not what the engine serves with.
        plan = plan.with_certificate();
        let only = Plan {
            upload: false,
            revoked: false,
            registries: false,
            service: None,
            start: Verb::Keep,
            ..plan.clone()
        };
        let made = converge(&session, &facts, &only, request, None, false, &mut watch).await?;
        certificate = made.unwrap_or(certificate);
        let verified = verify::verify(&session, &facts, request, &certificate);
        version = watch.time(Phase::Verify, verified).await;
    }
    let version = version?;
    let mut rotated = None;
    if rotate::wanted(&facts, request) {
        let rotation = rotate::rotate(&session, &facts, request, progress);
        rotated = Some(watch.time(Phase::RotateHostKey, rotation).await?);
    }
    let outcome = outcome(&session, facts, plan, certificate, version, watch);
    Ok(match rotated {
        Some(host_keys) => Outcome { host_keys, ..outcome },
        None => outcome,
    })
}

/// What came of a change that was verified: the host key is the one that answered.
pub(crate) fn outcome(
    session: &Session,
    facts: Facts,
    plan: Plan,
    server_certificate: Certificate,
    version: Version,
    watch: Watch<'_>,
) -> Outcome {
    Outcome {
        facts,
        host_keys: vec![session.host_key().clone()],
        server_certificate,
        engine_version: version.version,
        api_version: version.api_version,
        steps: plan.steps,
        timings: watch.timings,
    }
}

pub(crate) async fn connect(visit: &Visit, progress: &Progress) -> Result<Session, Error> {
    let session = Session::connect(&visit.target, visit.connect_by.min(visit.deadline)).await?;
    progress.connected(&session).await.map_err(Error::Unrecorded)?;
    Ok(session)
}

/// Carries out a plan. Returns the certificate that was made.
pub(crate) async fn converge(
    session: &Session,
    facts: &Facts,
    plan: &Plan,
    request: &Request,
    agent: Option<&Agent>,
    new_key: bool,
    watch: &mut Watch<'_>,
) -> Result<Option<Certificate>, Error> {
    let work = Work { session, facts, request, plan, progress: watch.progress };
    let input = match agent {
        Some(agent) if plan.upload => Some((agent.executable.as_ref(), agent.packed(facts.gzip).await?)),
        _ => None,
    };
    let asked = watch.time(Phase::Prepare, work.prepare(input, new_key)).await?;
    let certificate = asked.map(|asked| work.sign(&asked)).transpose()?;
    let activating = async {
        // Before the engine starts, so that its first pull believes them.
        work.registries().await?;
        work.activate(certificate.as_ref()).await
    };
    watch.time(Phase::Activate, activating).await?;
    Ok(certificate)
}

/// The agent to install. It is read while the connection is made, and packed while the host is probed.
pub(crate) struct Agent {
    pub(crate) executable: Arc<Executable>,
    packed: tokio::sync::Mutex<Option<tokio::task::JoinHandle<std::io::Result<Vec<u8>>>>>,
}

impl Agent {
    /// Begins to read; the future waits for it.
    pub(crate) fn read(request: &Request) -> impl Future<Output = Result<Self, Error>> + use<> {
        let path = request.agent.clone();
        let reading = tokio::task::spawn_blocking(move || Executable::read(&path).map(Arc::new));
        let reading = tokio::spawn(async move {
            let executable = reading.await.map_err(gone)??;
            let packing = Arc::clone(&executable);
            let packing = tokio::task::spawn_blocking(move || packing.gzip());
            Ok(Self { executable, packed: tokio::sync::Mutex::new(Some(packing)) })
        });
        async move { reading.await.map_err(gone)? }
    }

    async fn packed(&self, gzip: bool) -> Result<Arc<[u8]>, Error> {
        let packing = self.packed.lock().await.take();
        let (true, Some(packing)) = (gzip, packing) else {
            return Ok(Arc::from(self.executable.bytes.as_slice()));
        };
        let packed = packing.await.map_err(gone)?;
        let failed =
            |error: std::io::Error| Error::Step { step: "packing the agent", said: error.to_string() };
        Ok(Arc::from(packed.map_err(failed)?))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn gone(error: tokio::task::JoinError) -> Error {
    Error::Step { step: "reading the agent", said: error.to_string() }
}

/// Tells when phases begin and end, and remembers how long they took.
pub(crate) struct Watch<'a> {
    pub(crate) progress: &'a Progress,
    pub(crate) timings: Vec<Timing>,
}

impl<'a> Watch<'a> {
    pub(crate) const fn new(progress: &'a Progress) -> Self {
        Self { progress, timings: Vec::new() }
    }

    pub(crate) async fn time<T>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.progress.tell(Event::Started(phase));
        let begun = Instant::now();
        let result = work.await?;
        let timing = Timing { phase, took: begun.elapsed() };
        self.timings.push(timing);
        self.progress.tell(Event::Ended(timing));
        Ok(result)
    }
}
