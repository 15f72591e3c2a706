//! The driver: it remembers an address.

use serde::{Deserialize, Serialize};
use wharf_driver::{
    About, Access, Capabilities, Context, Driver, Error, Found, HostKeyTrust, Kind, Known, MachineSpec,
    Observation, Plan, Power, Reach, Result, Settles, State, Step, StillPaid, Verb, resource_name,
};

use crate::Config;

/// An address under a name.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    config: Config,
}

/// What naming it does and leaves: a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Where the engine is.
    pub url: String,
}

const LONGEST_NAME: usize = 255;

impl Driver for Elsewhere {
    const ABOUT: About = About {
        name: "none",
        aliases: &[],
        summary: "an engine that somebody else looks after: its address under a name",
        capabilities: Capabilities {
            power: false,
            adopts: true,
            provisions: false,
            takes_host_key: false,
            console: false,
            address_changes: false,
            still_paid: StillPaid::NOTHING,
        },
        version: 1,
        settles: Settles::AtOnce,
    };
    type Config = Config;
    type Action = Named;
    type Resource = Named;

    async fn connect(config: Config, _: &Context) -> Result<Self> {
        Ok(Self { config })
    }

    async fn plan(&self, spec: &MachineSpec, now: Option<&Observation>, _: &Context) -> Result<Plan<Named>> {
        if now.is_some() {
            return Ok(Plan { steps: Vec::new() });
        }
        let url = self.config.url.clone();
        let step = Step {
            verb: Verb::Adopt,
            name: resource_name(&spec.name, &spec.id, "address", LONGEST_NAME),
            summary: format!("remember the engine at {url}, and do nothing to it"),
            action: Named { url },
            after: Vec::new(),
            shared: false,
        };
        Ok(Plan { steps: vec![step] })
    }

    async fn perform(&self, action: &Named, _: &[Named], _: &Context) -> Result<Named> {
        Ok(action.clone())
    }

    async fn settle(&self, action: &Named, _: &Context) -> Result<Option<Named>> {
        Ok(Some(action.clone()))
    }

    async fn observe(&self, machines: &[Known<'_, Named>], _: &Context) -> Result<Vec<Observation>> {
        let (host, port) = self.config.place();
        let reach = Reach {
            ssh_host: host.clone(),
            ssh_port: 22,
            ssh_user: "root".to_owned(),
            engine_host: host,
            engine_port: port,
            url: Some(self.config.url.clone()),
            access: Access { host_key: HostKeyTrust::Known, ..Access::default() },
        };
        // As docker-machine said: nobody is asked, so nothing speaks against it.
        let seen = |_: &Known<'_, Named>| Observation {
            state: State::Running,
            reach: Some(reach.clone()),
            warnings: Vec::new(),
        };
        Ok(machines.iter().map(seen).collect())
    }

    async fn power(&self, _: &[Named], _: Power, _: &Context) -> Result<()> {
        Err(Error::new(Kind::Refused, "driver `none` has no power over anything")
            .hint("somebody else looks after that engine"))
    }

    async fn destroy(&self, _: &Named, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn find_owned(&self, cx: &Context) -> Result<Found<Named>> {
        Ok(Found::nothing(cx.session.clock().wall()))
    }

    async fn console(&self, _: &[Named], _: &Context) -> Result<Option<String>> {
        Ok(None)
    }
}
