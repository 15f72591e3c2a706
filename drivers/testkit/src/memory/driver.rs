//! The driver: a network and a disk, made at once, and a server that needs both.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharf_driver::{
    About, Access, Account, Capabilities, Context, Driver, Error, Found, Kind, Known, MachineSpec,
    Observation, Owned, Plan, Power, Reach, Result, Settles, State, Step, StillPaid, Verb, resource_name,
};

use crate::memory::{Cloud, Config};

const KINDS: [&str; 3] = ["network", "disk", "server"];
const LONGEST_NAME: usize = 80;

/// A connection to a cloud in memory.
#[derive(Debug)]
pub struct Memory {
    config: Config,
    cloud: Arc<Cloud>,
    account: Option<Account>,
}

/// Makes one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Makes it.
    Make {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// The port where a server's engine will be.
        engine_port: u16,
    },
}

/// One thing that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The port where a server's engine is.
    pub engine_port: u16,
}

impl Driver for Memory {
    const ABOUT: About = About {
        name: "memory",
        aliases: &["none"],
        summary: "machines in the memory of this process, for tests",
        capabilities: Capabilities {
            power: true,
            adopts: false,
            provisions: true,
            takes_host_key: true,
            console: true,
            address_changes: true,
            still_paid: StillPaid::NOTHING,
        },
        version: 1,
        settles: Settles::After(Duration::from_secs(20)),
    };
    type Config = Config;
    type Action = Action;
    type Resource = Resource;

    async fn connect(config: Config, _: &Context) -> Result<Self> {
        let cloud = Cloud::named(&config.cloud);
        let account = cloud.account();
        Ok(Self { config, cloud, account })
    }

    fn account(&self) -> Option<Account> {
        self.account.clone()
    }

    async fn plan(&self, spec: &MachineSpec, now: Option<&Observation>, _: &Context) -> Result<Plan<Action>> {
        self.refuse()?;
        if now.is_some() {
            return Ok(Plan { steps: Vec::new() });
        }
        let step = |kind: &str| {
            let shared = self.config.shared && kind == "network";
            let name = if shared {
                format!("wharf-{}-{kind}", spec.owner.store.0)
            } else {
                resource_name(&spec.name, &spec.id, kind, LONGEST_NAME)
            };
            let engine_port = spec.engine_port;
            Step {
                verb: Verb::Create,
                name: name.clone(),
                action: Action::Make { kind: kind.to_owned(), name, engine_port },
                after: if kind == "server" { vec![0, 1] } else { Vec::new() },
                summary: format!("make the {kind}"),
                shared,
            }
        };
        Ok(Plan { steps: KINDS.map(step).into() })
    }

    async fn perform(&self, action: &Action, made: &[Resource], cx: &Context) -> Result<Resource> {
        let Action::Make { kind, name, engine_port } = action;
        if kind == "server" && made.len() < 2 {
            return Err(Error::new(Kind::Refused, "a server needs a network and a disk"));
        }
        self.cloud.make(name, kind, cx.key.as_str(), &cx.owner).await?;
        Ok(Resource { kind: kind.clone(), name: name.clone(), engine_port: *engine_port })
    }

    async fn settle(&self, action: &Action, cx: &Context) -> Result<Option<Resource>> {
        let Action::Make { kind, name, engine_port } = action;
        let there = self.cloud.get(name).filter(|_| !self.cloud.going(name));
        let ours = there.filter(|thing| thing.key == cx.key.as_str());
        Ok(ours.map(|_| Resource { kind: kind.clone(), name: name.clone(), engine_port: *engine_port }))
    }

    async fn observe(&self, machines: &[Known<'_, Resource>], _: &Context) -> Result<Vec<Observation>> {
        Ok(machines.iter().map(|known| self.look(*known)).collect())
    }

    async fn power(&self, made: &[Resource], to: Power, _: &Context) -> Result<()> {
        let Some(server) = server(made) else {
            return Err(Error::new(Kind::Failed, "there is no server"));
        };
        match to {
            Power::On => self.cloud.power(&server.name, true).await,
            Power::Off | Power::Kill => self.cloud.power(&server.name, false).await,
            Power::Restart => {
                self.cloud.power(&server.name, false).await?;
                self.cloud.power(&server.name, true).await
            }
        }
    }

    async fn destroy(&self, resource: &Resource, _: &Context) -> Result<()> {
        self.cloud.remove(&resource.name).await
    }

    async fn find_owned(&self, _: &Context) -> Result<Found<Resource>> {
        let owned = self.cloud.list().into_iter().filter_map(|(name, thing)| {
            let kind = KINDS.into_iter().find(|kind| thing.kind == *kind)?;
            Some(Owned {
                resource: Resource { kind: thing.kind, name: name.clone(), engine_port: 2376 },
                kind,
                step: name.clone(),
                shared: name.starts_with("wharf-"),
                name,
                stage: u8::from(kind != "server"),
                tag: thing.owner,
                lacks: Vec::new(),
                since: thing.since,
            })
        });
        Ok(Found { now: self.cloud.today(), owned: owned.collect(), strange: Vec::new() })
    }

    async fn mark(&self, resource: &Resource, _: &Context) -> Result<()> {
        self.cloud.mark(&resource.name);
        Ok(())
    }

    async fn console(&self, made: &[Resource], _: &Context) -> Result<Option<String>> {
        Ok(server(made).map(|server| format!("{} login: \n", server.name)))
    }
}

impl Memory {
    fn refuse(&self) -> Result<()> {
        let kind = match self.config.fail.as_deref() {
            None => return Ok(()),
            Some("quota") => Kind::Quota,
            Some("not-allowed") => Kind::NotAllowed,
            Some("unreachable") => Kind::Unreachable,
            Some(_) => Kind::Refused,
        };
        Err(Error::new(kind, "the cloud in memory was told to refuse").hint("leave `--memory-fail` out"))
    }

    /// Says no more than it must.
    fn look(&self, known: Known<'_, Resource>) -> Observation {
        let there: Vec<_> =
            known.made.iter().filter_map(|one| Some((one, self.cloud.get(&one.name)?))).collect();
        let server = there.iter().find(|(one, _)| one.kind == "server");
        let state = match server {
            Some((_, thing)) if thing.on => State::Running,
            Some(_) => State::Stopped,
            None if there.is_empty() => State::Absent,
            None => State::Partial,
        };
        let asked = known.state != Some(state);
        let reach = server.filter(|(_, thing)| thing.on && asked).map(|(one, thing)| {
            let address = format!("192.0.2.{}", thing.address);
            Reach {
                ssh_host: address.clone(),
                ssh_port: 22,
                ssh_user: "root".to_owned(),
                engine_host: address,
                engine_port: one.engine_port,
                url: None,
                access: Access::default(),
            }
        });
        Observation { state, reach, warnings: Vec::new() }
    }
}

fn server(made: &[Resource]) -> Option<&Resource> {
    made.iter().find(|one| one.kind == "server")
}
