//! The engine, asked or handed through: straight where it is reached from here, over SSH where it is not.

use std::time::{Duration, Instant};

use wharf_driver::{MachineName, Reach};

use crate::bootstrap::{Duplex, Engine, Host};
use crate::engine::work::bounded;
use crate::journal::Machine;
use crate::{Call, EngineFacts, Error, Kind, Result, Wharf};

/// What one connection may take to open.
const OPENING: Duration = Duration::from_secs(30);
/// Ports that no system hands out by itself, and few services are known by.
const LOOPBACK_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A way to a machine's engine over SSH, through whatever lies between.
#[derive(Debug)]
pub struct Tunnel<'a> {
    wharf: &'a Wharf,
    host: Host,
    port: u16,
}

impl Wharf {
    /// The way to the engine's port inside the machine. Nothing is connected yet.
    ///
    /// # Errors
    /// When there is no such machine, or it has no address yet.
    pub async fn tunnel(&self, name: &MachineName, call: &Call) -> Result<Tunnel<'_>> {
        let machine = self.machine(name).await?;
        let host = self.visited(&machine, call, self.clock.now()).await?;
        let port = listens(&machine, &host.reach);
        Ok(Tunnel { wharf: self, host, port })
    }

    /// Asks one machine's engine what it is.
    ///
    /// # Errors
    /// When it does not answer, and why.
    pub async fn engine(&self, name: &MachineName, call: &Call) -> Result<EngineFacts> {
        let machine = self.machine(name).await?;
        let until = self.clock.now() + call.deadline;
        self.ask_engine(&machine, call, until).await?.ok_or_else(|| {
            Error::new(Kind::Refused, format!("machine `{name}` has no engine yet"))
                .hint(format!("`wharf create {name}` continues an unfinished machine"))
        })
    }

    /// Asks the engine; `None` when there is none yet.
    pub(crate) async fn ask_engine(
        &self,
        machine: &Machine,
        call: &Call,
        until: Instant,
    ) -> Result<Option<EngineFacts>> {
        if machine.reach.is_none() || machine.provisioned.is_none() {
            return Ok(None);
        }
        let engine = self.engine_of(machine, call, until).await?;
        bounded(self, call, until, "asking the engine", self.bootstrap.ask(&engine)).await.map(Some)
    }

    /// Whom to ask, and the way there.
    pub(crate) async fn engine_of(&self, machine: &Machine, call: &Call, until: Instant) -> Result<Engine> {
        let reach = reach_of(machine)?;
        // Only the way through other hosts needs a key to sign in with, which may not be at hand.
        let through = if is_behind(&reach) { Some(self.visited(machine, call, until).await?) } else { None };
        let identity = self.identity(call).await?;
        Ok(Engine {
            machine: machine.id.clone(),
            listen: listens(machine, &reach),
            through,
            host: reach.engine_host,
            port: reach.engine_port,
            authority_pem: identity.authority_pem,
            client: identity.client,
        })
    }
}

impl Tunnel<'_> {
    /// Opens a connection of its own to the engine's port.
    ///
    /// # Errors
    /// Which host on the way did not let us through, and why.
    pub async fn open(&self) -> Result<Box<dyn Duplex>> {
        let deadline = self.wharf.clock.now() + OPENING;
        let host = Host { deadline, ..self.host.clone() };
        self.wharf.bootstrap.tunnel(&host, self.port).await
    }
}

/// How the machine is reached.
pub(crate) fn reach_of(machine: &Machine) -> Result<Reach> {
    let name = &machine.name;
    machine.reach.clone().ok_or_else(|| {
        Error::new(Kind::Refused, format!("machine `{name}` has no address yet"))
            .hint(format!("`wharf create {name}` continues an unfinished machine"))
    })
}

/// Whether the engine's port cannot be reached from here.
pub(crate) fn is_behind(reach: &Reach) -> bool {
    !reach.access.jumps.is_empty()
}

/// The port of this computer at which the docker client finds an engine that is behind other hosts. Always the same
/// for a machine, so that contexts and terminals need not be told anew.
pub(crate) fn loopback_port(machine: &Machine) -> Option<u16> {
    machine.reach.as_ref().filter(|reach| is_behind(reach))?;
    let number = u32::from_str_radix(machine.id.short(), 16).ok()?;
    let offset = number % u32::from(LOOPBACK_PORTS.end - LOOPBACK_PORTS.start);
    Some(LOOPBACK_PORTS.start + u16::try_from(offset).ok()?)
}

/// Where the engine listens inside the machine: nothing forwards ports on a host that was taken over.
fn listens(machine: &Machine, reach: &Reach) -> u16 {
    if machine.adopts { reach.engine_port } else { machine.options.port }
}
