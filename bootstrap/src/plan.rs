//! From what the host is to what is done to it. Pure: no host is touched here.

use serde::{Deserialize, Serialize};
use wharf_pki::{Certificate, Usage};

use crate::executable::Executable;
use crate::service::{self, Service};
use crate::{Access, Cgroup, Error, Facts, Folder, Request, registries, rotate};

/// What will be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The steps, those with nothing to do included.
    pub steps: Vec<Step>,
    /// Where the agent is, or will be.
    #[serde(skip)]
    pub(crate) agent: String,
    #[serde(skip)]
    pub(crate) upload: bool,
    #[serde(skip)]
    pub(crate) certificate: bool,
    /// The list of certificates that were taken back is to be brought.
    #[serde(skip)]
    pub(crate) revoked: bool,
    /// The authorities of registries are to be brought, or taken away.
    #[serde(skip)]
    pub(crate) registries: bool,
    #[serde(skip)]
    pub(crate) service: Option<Service>,
    #[serde(skip)]
    pub(crate) start: Verb,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What kind of change it is.
    pub verb: Verb,
    /// What it is about.
    pub name: String,
    /// One line for a person.
    pub summary: String,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Nothing: it is as it should be.
    Keep,
    /// Makes something new.
    Create,
    /// Puts something else in its place.
    Replace,
    /// Starts something.
    Start,
    /// Stops and starts something; containers live on.
    Restart,
}

impl Plan {
    /// Judges the host, and says what is to be done. Whatever speaks against it is an error.
    pub(crate) fn new(facts: &Facts, request: &Request, executable: &Executable) -> Result<Self, Error> {
        supported(facts, executable)?;
        if facts.access == Access::None {
            return Err(Error::NotAllowed { user: facts.user.clone(), reason: facts.refusal.clone() });
        }
        free_port(facts, request.engine.listen)?;
        let agent = place(facts, executable)?;
        let upload = facts.agent.path != agent || facts.agent.sha256 != executable.sha256;
        let wanted = service::definition(facts.init, &agent, &request.flags(), &request.options.environment);
        let service = (facts.agent.service.trim_end() != wanted.text.trim_end()
            || !facts.agent.enabled && wanted.at_boot)
            .then_some(wanted);
        let start = match (facts.agent.running, upload || service.is_some()) {
            (false, _) => Verb::Start,
            (true, true) => Verb::Restart,
            (true, false) => Verb::Keep,
        };
        let certificate = !certificate_holds(facts, request);
        let revoked = revoked_lacks(facts, request);
        let registries = registries::differ(facts, request);
        let mut plan =
            Self { steps: Vec::new(), agent, upload, certificate, revoked, registries, service, start };
        plan.steps = plan.describe(facts, request);
        Ok(plan)
    }

    /// The same, but with a new certificate in any case.
    pub(crate) fn with_certificate(mut self) -> Self {
        if let Some(step) = self.steps.iter_mut().find(|step| step.name == "certificate") {
            step.verb = Verb::Replace;
        }
        Self { certificate: true, ..self }
    }

    /// Only a new certificate.
    pub(crate) fn only_certificate(facts: &Facts, request: &Request) -> Self {
        Self { certificate: true, ..Self::only_revoked(facts, request) }
    }

    /// Only the list of certificates that were taken back.
    pub(crate) fn only_revoked(facts: &Facts, request: &Request) -> Self {
        Self {
            steps: Vec::new(),
            agent: facts.agent.path.clone(),
            upload: false,
            certificate: false,
            revoked: revoked_lacks(facts, request),
            registries: false,
            service: None,
            start: if facts.agent.running { Verb::Keep } else { Verb::Start },
        }
    }

    fn describe(&self, facts: &Facts, request: &Request) -> Vec<Step> {
        let verb = |change: bool, there: bool| match (change, there) {
            (false, _) => Verb::Keep,
            (true, false) => Verb::Create,
            (true, true) => Verb::Replace,
        };
        let step = |verb: Verb, name: &str, summary: String| Step { verb, name: name.to_owned(), summary };
        let names: Vec<_> = request.names.iter().map(ToString::to_string).collect();
        let mut steps = vec![
            step(
                verb(self.upload, !facts.agent.path.is_empty()),
                "agent",
                format!("the agent, {}", self.agent),
            ),
            step(
                verb(self.certificate, !facts.agent.server.is_empty()),
                "certificate",
                format!("the engine's certificate for {}, its key made on the host", names.join(", ")),
            ),
            step(
                verb(self.service.is_some(), !facts.agent.service.is_empty()),
                "service",
                format!("the service, {}", service::path(facts.init)),
            ),
            step(self.start, "engine", format!("the engine, on port {}", request.engine.listen)),
        ];
        if request.revoked.number > 0 {
            let there = !facts.agent.revoked.is_empty();
            let what = "the list of clients' certificates that were taken back".to_owned();
            steps.insert(2, step(verb(self.revoked, there), "revoked", what));
        }
        let (wanted, there) = (&request.options.registry_authorities, &facts.agent.registries);
        if !wanted.is_empty() || self.registries {
            let what = format!("the authorities of registries, {}", registries::FOLDER);
            let at = steps.len() - 1;
            steps.insert(at, step(verb(self.registries, !there.is_empty()), "registries", what));
        }
        if rotate::wanted(facts, request) {
            steps.push(step(
                Verb::Replace,
                "host-key",
                "the SSH host key, by one made on the host".to_owned(),
            ));
        }
        steps
    }
}

fn supported(facts: &Facts, executable: &Executable) -> Result<(), Error> {
    if facts.system != "Linux" || !executable.architecture.is(&facts.architecture) {
        let host = format!("{} on {}", facts.system, facts.architecture);
        return Err(Error::Architecture { host, agent: executable.architecture });
    }
    let kernel = |lacks: &str| Err(Error::Kernel { release: facts.kernel.clone(), lacks: lacks.to_owned() });
    if version(&facts.kernel) < LEAST_KERNEL {
        let (major, minor) = LEAST_KERNEL;
        return kernel(&format!("it takes at least {major}.{minor}"));
    }
    match (facts.overlay, facts.nf_tables, facts.cgroup) {
        (false, _, _) => kernel("it lacks overlayfs"),
        (_, false, _) => kernel("it lacks nf_tables"),
        (_, _, Cgroup::None) => kernel("no control groups are mounted"),
        _ => Ok(()),
    }
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn free_port(facts: &Facts, port: u16) -> Result<(), Error> {
    let ours = facts.port_owner == "wharfd" || facts.port_owner.is_empty() && facts.agent.running;
    if facts.port_taken && !ours {
        return Err(Error::PortTaken { port, owner: facts.port_owner.clone() });
    }
    Ok(())
}

/// Where the agent is, when that is still a good place; else the first good one.
fn place(facts: &Facts, executable: &Executable) -> Result<String, Error> {
    let needed = executable.kilobytes() + SPARE;
    if facts.data.free < needed {
        return Err(Error::DiskFull { path: facts.data.path.clone(), free: facts.data.free, needed });
    }
    let here = |folder: &&Folder| facts.agent.path == format!("{}/wharfd", folder.path);
    let candidates =
        facts.folders.iter().filter(here).chain(facts.folders.iter().filter(|folder| !here(folder)));
    let mut tried = Vec::new();
    let mut full = None;
    for folder in candidates {
        let same = here(&folder) && facts.agent.sha256 == executable.sha256;
        match folder {
            Folder { no_exec: true, path, .. } => tried.push(format!("{path} is mounted noexec")),
            Folder { read_only: true, path, .. } if !same => tried.push(format!("{path} is read-only")),
            Folder { path, free, .. } if !same && *free < needed => {
                full = Some(Error::DiskFull { path: path.clone(), free: *free, needed });
            }
            Folder { path, .. } => return Ok(format!("{path}/wharfd")),
        }
    }
    Err(full.unwrap_or_else(|| Error::NoFolder { tried: tried.join("; ") }))
}

/// Whether what is there is what we would make now.
fn certificate_holds(facts: &Facts, request: &Request) -> bool {
    let ours = facts.agent.authority.trim() == request.authority.certificate().pem().trim();
    let Ok(server) = Certificate::parse(&facts.agent.server) else { return false };
    facts.agent.key
        && ours
        && server.usage() == Some(Usage::Server)
        && server.machine() == Some(request.machine.as_str())
        && server.covers(&request.names)
        && !server.needs_renewal(request.now)
}

/// Whether the host's list lacks one that ours has.
fn revoked_lacks(facts: &Facts, request: &Request) -> bool {
    !request.revoked.stand_in(&facts.agent.revoked)
}

/// `clone3` and `pidfd_open`, which containers are started and known with.
const LEAST_KERNEL: (u32, u32) = (5, 4);
/// Kilobytes that must be free beside the agent, or its first image would fail.
const SPARE: u64 = 32 * 1024;

#[cfg(test)]
mod tests;
