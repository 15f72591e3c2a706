//! The real bootstrap: what the engine wants of a host, said to `wharf-bootstrap` over SSH and to the agent over TLS.
//!
//! Nothing is decided here but how one crate's words become the other's: which keys sign in, which host keys are good,
//! and which of the engine's kinds a failure is.

mod error;
mod target;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use wharf_bootstrap::{Endpoint, Event, Phase, Progress, Request};
use wharf_driver::Clock;
use wharf_ssh::Session;
use wharfd_client::{Client, Credentials, Dial, Duplex};

use self::error::{of_bootstrap, of_engine, of_ssh, of_way};
use crate::bootstrap::{Bootstrap, Engine, Host, Outcome, Provision, Ran, Upgrade};
use crate::{EngineFacts, EngineOptions, Error, JumpKeys, Kind, Person, PlannedStep, Result, Timing};

/// Bootstraps over SSH.
#[derive(Debug)]
pub(crate) struct OverSsh {
    /// The agent's executable, where one was found.
    agent: Option<PathBuf>,
    person: Person,
    clock: Arc<dyn Clock>,
}

impl OverSsh {
    pub(crate) const fn new(agent: Option<PathBuf>, person: Person, clock: Arc<dyn Clock>) -> Self {
        Self { agent, person, clock }
    }

    fn agent(&self) -> Result<PathBuf> {
        self.agent.clone().ok_or_else(|| {
            Error::new(
                Kind::Refused,
                "the agent's executable, wharfd, is neither beside the program nor named",
            )
            .hint("build it with runtime-agent/build.sh, then name it with --agent or WHARF_AGENT")
        })
    }

    fn request(&self, wish: &Provision) -> Result<Request> {
        let Provision { host, names, options, .. } = wish;
        let name = |text: &String| text.parse().map_err(|e| not_a_name(text, &e));
        Ok(Request {
            target: target::of(host, &self.person)?,
            machine: host.machine.to_string(),
            names: names.iter().map(name).collect::<Result<_>>()?,
            engine: Endpoint {
                host: host.reach.engine_host.clone(),
                port: host.reach.engine_port,
                listen: options.port,
            },
            agent: self.agent()?,
            authority: Arc::clone(&wish.authority),
            revoked: wish.revoked.clone(),
            client: Arc::clone(&wish.client),
            options: flags(options),
            rotate_host_key: wish.rotate_host_key,
            now: self.clock.wall().into(),
            connect_by: self.connect_by(host),
            deadline: host.deadline,
        })
    }

    fn visit(&self, host: &Host) -> Result<wharf_bootstrap::Visit> {
        let target = target::of(host, &self.person)?;
        Ok(wharf_bootstrap::Visit { target, connect_by: self.connect_by(host), deadline: host.deadline })
    }

    /// A host that was there before answers or does not; one that was just made may still be starting.
    fn connect_by(&self, host: &Host) -> Instant {
        let patience = if target::was_there_before(host) { EXISTING } else { STARTING };
        host.deadline.min(self.clock.now() + patience)
    }

    async fn tunnel(&self, host: &Host, port: u16) -> Result<wharf_ssh::Stream> {
        let visit = self.visit(host)?;
        let session = Session::connect(&visit.target, visit.connect_by).await.map_err(of_way)?;
        session.into_tunnel("127.0.0.1", port, visit.deadline).await.map_err(of_way)
    }

    /// An engine behind other hosts is asked through them: over one connection, which is enough for one question.
    async fn client(&self, engine: &Engine) -> Result<Client> {
        let credentials = Credentials {
            authority: engine.authority_pem.clone(),
            certificate: engine.client.certificate.pem().to_owned(),
            key: engine.client.key_pem.expose().to_owned(),
            machine: Some(engine.machine.to_string()),
        };
        let Some(host) = &engine.through else {
            return Client::tcp(&engine.host, engine.port, &credentials).map_err(of_engine);
        };
        let stream = Mutex::new(Some(self.tunnel(host, engine.listen).await?));
        let dial = Dial::new(move || {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            let stream = stream.ok_or_else(|| std::io::Error::other("the tunnel was for one question"));
            Box::pin(std::future::ready(stream.map(|stream| Box::new(stream) as Box<dyn Duplex>)))
        });
        Client::through(dial, &engine.host, &credentials).map_err(of_engine)
    }

    async fn provision_host(&self, wish: &Provision) -> Result<Outcome> {
        let request = self.request(wish)?;
        let agent = request.agent.clone();
        let digest = tokio::task::spawn_blocking(move || digest(&agent));
        let done = wharf_bootstrap::provision(&request, &progress(&wish.host)).await.map_err(of_bootstrap)?;
        outcome(&done, digest.await.map_err(|e| Error::new(Kind::Failed, e.to_string()))??)
    }

    async fn upgrade_host(&self, wish: &Provision) -> Result<Upgrade> {
        let request = self.request(wish)?;
        let agent = request.agent.clone();
        let digest = tokio::task::spawn_blocking(move || digest(&agent));
        match wharf_bootstrap::upgrade(&request, &progress(&wish.host)).await.map_err(of_bootstrap)? {
            wharf_bootstrap::Upgrade::Done { outcome: done, before } => {
                let agent = digest.await.map_err(|e| Error::new(Kind::Failed, e.to_string()))??;
                Ok(Upgrade::Done { outcome: Box::new(outcome(&done, agent)?), before })
            }
            wharf_bootstrap::Upgrade::RolledBack { because, before } => {
                Ok(Upgrade::RolledBack { because: Arc::new(of_bootstrap(*because)), before })
            }
        }
    }

    /// Until the host has gone down, so that nobody takes the old engine's answer for the new one's.
    async fn wait_until_down(&self, host: &Host) {
        let until = host.deadline.min(self.clock.now() + GOING_DOWN);
        while self.clock.now() < until && self.is_up(host).await {
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    async fn is_up(&self, host: &Host) -> bool {
        if host.reach.access.jumps.is_empty() {
            let place = (host.reach.engine_host.as_str(), host.reach.engine_port);
            return tokio::net::TcpStream::connect(place).await.is_ok();
        }
        let Ok(target) = target::of(host, &self.person) else { return false };
        Session::connect(&target, self.clock.now() + ANSWERS).await.is_ok()
    }
}

impl Bootstrap for OverSsh {
    fn check(&self) -> Result<()> {
        self.agent().map(drop)
    }

    fn plan<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Vec<PlannedStep>>> {
        Box::pin(async move {
            let (request, progress) = (self.request(wish)?, progress(&wish.host));
            let plan = wharf_bootstrap::preview(&request, &progress).await.map_err(of_bootstrap)?.plan;
            let step = |step: wharf_bootstrap::Step| PlannedStep {
                part: "bootstrap",
                verb: format!("{:?}", step.verb).to_lowercase(),
                name: step.name,
                summary: step.summary,
            };
            Ok(plan.steps.into_iter().map(step).collect())
        })
    }

    fn provision<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(self.provision_host(wish))
    }

    fn certify<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let (request, progress) = (self.request(wish)?, progress(&wish.host));
            let renewed = wharf_bootstrap::renew_certificate(&request, false, &progress).await;
            Ok(seconds(&renewed.map_err(of_bootstrap)?.server_certificate))
        })
    }

    fn revoke<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (request, progress) = (self.request(wish)?, progress(&wish.host));
            wharf_bootstrap::revoke(&request, &progress).await.map_err(of_bootstrap)
        })
    }

    fn upgrade<'a>(&'a self, wish: &'a Provision) -> BoxFuture<'a, Result<Upgrade>> {
        Box::pin(self.upgrade_host(wish))
    }

    fn purge<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let removed = wharf_bootstrap::remove(&self.visit(host)?, true, &progress(host)).await;
            removed.map(drop).map_err(of_bootstrap)
        })
    }

    fn restart<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            wharf_bootstrap::restart(&self.visit(host)?, &progress(host)).await.map_err(of_bootstrap)?;
            self.wait_until_down(host).await;
            Ok(())
        })
    }

    fn run<'a>(
        &'a self,
        host: &'a Host,
        command: Option<&'a str>,
        input: &'a [u8],
    ) -> BoxFuture<'a, Result<Ran>> {
        Box::pin(async move {
            let visit = self.visit(host)?;
            let session = Session::connect(&visit.target, visit.connect_by).await.map_err(of_ssh)?;
            host.accept.shown(session.host_key().to_string(), jump_keys(&session)).await?;
            let Some(command) = command else { return Ok(Ran::default()) };
            let output = session.run(command, input, visit.deadline).await.map_err(of_ssh)?;
            Ok(Ran { status: output.status, stdout: output.stdout, stderr: output.stderr })
        })
    }

    fn tunnel<'a>(&'a self, host: &'a Host, port: u16) -> BoxFuture<'a, Result<Box<dyn Duplex>>> {
        Box::pin(async move {
            let stream = Self::tunnel(self, host, port).await?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }

    fn ask<'a>(&'a self, engine: &'a Engine) -> BoxFuture<'a, Result<EngineFacts>> {
        Box::pin(async move {
            let version = self.client(engine).await?.version().await.map_err(of_engine)?;
            Ok(EngineFacts { version: version.version, api_version: version.api_version })
        })
    }
}

fn outcome(done: &wharf_bootstrap::Outcome, agent: String) -> Result<Outcome> {
    Ok(Outcome {
        host_keys: done.host_keys.iter().map(ToString::to_string).collect(),
        engine: done.engine_version.clone(),
        expires: seconds(&done.server_certificate),
        agent,
        facts: serde_json::to_value(&done.facts).map_err(|e| Error::new(Kind::Failed, e.to_string()))?,
        timings: done.timings.iter().map(timing).collect(),
    })
}

fn flags(options: &EngineOptions) -> wharf_bootstrap::EngineOptions {
    wharf_bootstrap::EngineOptions {
        labels: options.labels.clone(),
        registry_mirrors: options.registry_mirrors.clone(),
        insecure_registries: options.insecure_registries.clone(),
        registry_authorities: options.registry_authorities.clone(),
        environment: options.environment.clone(),
        extra: options.arguments.clone(),
    }
}

/// What the bootstrap says, as the engine's progress; the new host keys, into the journal.
fn progress(host: &Host) -> Progress {
    let (say, accept, changes) = (host.progress.clone(), host.accept.clone(), host.changes.clone());
    let tell = move |event| match event {
        Event::Started(phase) => {
            if !matches!(phase, Phase::Connect | Phase::Probe) {
                changes.begin();
            }
            say.say(sentence(phase));
        }
        Event::Uploaded { sent, total } if total > 0 => {
            say.say(&format!("uploading the agent: {} %", sent * 100 / total));
        }
        Event::Note(line) => say.say(&line),
        _ => {}
    };
    let shown = accept.clone();
    Progress::new(tell)
        .on_connected(move |session| {
            let accept = shown.clone();
            async move {
                let (host, jumps) = (session.host_key().to_string(), jump_keys(&session));
                accept.shown(host, jumps).await.map_err(|e| e.to_string())
            }
        })
        .on_host_keys(move |keys| {
            let accept = accept.clone();
            let keys = keys.iter().map(ToString::to_string).collect();
            async move { accept.keys(keys).await.map_err(|e| e.to_string()) }
        })
}

/// What the hosts on the way proved to have.
fn jump_keys(session: &Session) -> Vec<JumpKeys> {
    let keys = session.jumps().map(|(hop, key)| JumpKeys {
        host: hop.host.clone(),
        port: hop.port,
        keys: vec![key.to_string()],
    });
    keys.collect()
}

const fn sentence(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect => "waiting for SSH",
        Phase::Probe => "looking at the host",
        Phase::Prepare => "uploading the agent",
        Phase::Activate => "starting the engine",
        Phase::Verify => "asking the engine over mutual TLS",
        Phase::RotateHostKey => "replacing the SSH host key",
        Phase::Remove => "removing the engine from the host",
    }
}

fn timing(timing: &wharf_bootstrap::Timing) -> Timing {
    let what = serde_json::to_value(timing.phase).ok().and_then(|name| Some(name.as_str()?.to_owned()));
    let milliseconds = u64::try_from(timing.took.as_millis()).unwrap_or(u64::MAX);
    Timing { what: what.unwrap_or_default(), milliseconds }
}

fn seconds(certificate: &wharf_pki::Certificate) -> u64 {
    u64::try_from(certificate.not_after().unix_timestamp()).unwrap_or_default()
}

fn digest(agent: &PathBuf) -> Result<String> {
    let bytes = std::fs::read(agent).map_err(|e| {
        Error::new(Kind::Refused, format!("cannot read the agent {}: {e}", agent.display())).caused_by(e)
    })?;
    Ok(hex::encode(Sha256::digest(bytes)))
}

fn not_a_name(text: &str, error: &wharf_pki::Error) -> Error {
    Error::new(Kind::Refused, format!("`{text}` cannot stand in a certificate: {error}"))
        .hint("give --tls-san an address or a host name")
}

/// How long a host that is there may take to answer SSH.
const EXISTING: Duration = Duration::from_secs(15);
/// How long a machine that was just made or started may take.
const STARTING: Duration = Duration::from_secs(180);
/// How long a host may take to go down once it was told to.
const GOING_DOWN: Duration = Duration::from_secs(60);
/// How long a host that is up takes at most to let us in.
const ANSWERS: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
