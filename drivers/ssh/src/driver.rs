//! The driver: it looks, and changes nothing.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpStream;
use wharf_driver::{
    About, Capabilities, Context, Driver, Error, Found, Kind, Known, MachineSpec, Observation, Plan, Power,
    Reach, Result, Settles, State, Step, StillPaid, Verb, resource_name,
};

use crate::{Action, Config, Resource};

const ENGINE_PORT: u16 = 2376;
const DIAL: Duration = Duration::from_secs(5);
const LONGEST_NAME: usize = 255;

/// One host.
#[derive(Debug, Clone)]
pub struct Ssh {
    config: Config,
}

impl Driver for Ssh {
    const ABOUT: About = About {
        name: "ssh",
        aliases: &["generic"],
        summary: "a machine that exists already and answers SSH",
        capabilities: Capabilities {
            power: false,
            adopts: true,
            provisions: true,
            takes_host_key: false,
            console: false,
            address_changes: false,
            still_paid: StillPaid::NOTHING,
        },
        version: 1,
        settles: Settles::AtOnce,
    };
    type Config = Config;
    type Action = Action;
    type Resource = Resource;

    async fn connect(config: Config, _: &Context) -> Result<Self> {
        Ok(Self { config })
    }

    async fn plan(&self, spec: &MachineSpec, now: Option<&Observation>, _: &Context) -> Result<Plan<Action>> {
        if now.is_some() {
            return Ok(Plan { steps: Vec::new() });
        }
        self.check_key()?;
        let Config { address, port, user, .. } = &self.config;
        Ok(Plan {
            steps: vec![Step {
                verb: Verb::Adopt,
                name: resource_name(&spec.name, &spec.id, "host", LONGEST_NAME),
                action: Action::Adopt {
                    address: address.clone(),
                    engine_port: self.config.engine_port.unwrap_or(spec.engine_port),
                },
                after: Vec::new(),
                summary: format!("take over the host {user}@{address}:{port}, changing nothing on it"),
                shared: false,
            }],
        })
    }

    async fn perform(&self, action: &Action, _: &[Resource], _: &Context) -> Result<Resource> {
        Ok(taken_over(action))
    }

    async fn settle(&self, action: &Action, _: &Context) -> Result<Option<Resource>> {
        Ok(Some(taken_over(action)))
    }

    async fn observe(&self, machines: &[Known<'_, Resource>], cx: &Context) -> Result<Vec<Observation>> {
        Ok(join_all(machines.iter().map(|known| self.look(known.made, cx))).await)
    }

    async fn power(&self, _: &[Resource], _: Power, _: &Context) -> Result<()> {
        Err(Error::new(Kind::Refused, "driver `ssh` has no power over the hosts it takes over")
            .hint("use the host's own commands, or its hoster's"))
    }

    async fn destroy(&self, _: &Resource, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn find_owned(&self, cx: &Context) -> Result<Found<Resource>> {
        Ok(Found::nothing(cx.session.clock().wall()))
    }

    async fn console(&self, _: &[Resource], _: &Context) -> Result<Option<String>> {
        Ok(None)
    }
}

impl Ssh {
    /// A key that is not there is found before anything else is tried.
    fn check_key(&self) -> Result<()> {
        let Some(key) = &self.config.key else { return Ok(()) };
        let opened = std::fs::File::open(key);
        opened.map(drop).map_err(|e| {
            Error::new(Kind::Refused, format!("cannot read the key {}: {e}", key.display()))
                .hint("name the private key that the host knows with `--ssh-key`")
                .caused_by(e)
        })
    }

    async fn look(&self, made: &[Resource], cx: &Context) -> Observation {
        let Config { address, port, user, .. } = &self.config;
        let engine_port = made.first().map_or(self.config.engine_port.unwrap_or(ENGINE_PORT), |host| {
            let Resource::Host { engine_port, .. } = host;
            *engine_port
        });
        let reach = Reach {
            ssh_host: address.clone(),
            ssh_port: *port,
            ssh_user: user.clone(),
            engine_host: address.clone(),
            engine_port,
            url: None,
            access: self.config.access(),
        };
        let (state, warnings) = match self.dial(cx).await {
            // Behind a jump host only that one was asked.
            Ok(()) if self.config.jumps.is_empty() => (State::Running, Vec::new()),
            Ok(()) => (State::Unknown, Vec::new()),
            Err(warning) => (State::Unknown, vec![warning]),
        };
        Observation { state, reach: Some(reach), warnings }
    }

    /// Whether anybody answers where the first connection goes.
    async fn dial(&self, cx: &Context) -> Result<(), String> {
        let (host, port) = self.config.first_hop();
        let wait = cx.deadline.saturating_duration_since(Instant::now()).min(DIAL);
        match tokio::time::timeout(wait, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("nobody answers SSH at {host}:{port}: {error}")),
            Err(_) => Err(format!("nobody answers SSH at {host}:{port} within {} ms", wait.as_millis())),
        }
    }
}

fn taken_over(action: &Action) -> Resource {
    let Action::Adopt { address, engine_port } = action;
    Resource::Host { address: address.clone(), engine_port: *engine_port }
}
