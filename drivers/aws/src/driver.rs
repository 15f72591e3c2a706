//! The driver's verbs; each is a file of its own.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wharf_driver::{
    About, Account, Admission, Context, Door, Driver, Error, Found, Known, MachineSpec, Observation, Plan,
    Power, Result, State, Survey,
};

use crate::action::Action;
use crate::client::{self, Connection};
use crate::config::Config;
use crate::resource::Resource;
use crate::settings::ABOUT;
use crate::{admission, destroy, found, observe, perform, plan, power, survey, tags};

/// Machines in EC2, as one account in one region.
#[derive(Debug)]
pub struct Aws {
    config: Config,
    connection: Arc<Connection>,
}

impl Driver for Aws {
    const ABOUT: About = ABOUT;
    type Config = Config;
    type Action = Action;
    type Resource = Resource;

    async fn connect(config: Config, cx: &Context) -> Result<Self> {
        let connection = client::connect(&config, cx).await?;
        Ok(Self { config, connection })
    }

    fn account(&self) -> Option<Account> {
        let Connection { partition, account, region, endpoint, .. } = &*self.connection;
        let at = endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        Some(Account(format!("account {account}, region {region}, partition {partition}{at}")))
    }

    async fn survey(&self, _: &Context) -> Result<Survey> {
        survey::survey(&self.connection, &self.config).await
    }

    async fn plan(
        &self,
        spec: &MachineSpec,
        now: Option<&Observation>,
        cx: &Context,
    ) -> Result<Plan<Action>> {
        if now.is_some_and(|now| !matches!(now.state, State::Absent | State::Partial)) {
            return Ok(Plan { steps: Vec::new() });
        }
        plan::plan(&self.connection, &self.config, spec, cx.session.client()).await
    }

    async fn perform(&self, action: &Action, made: &[Resource], cx: &Context) -> Result<Resource> {
        perform::perform(&self.connection, action, made, cx).await
    }

    async fn settle(&self, action: &Action, cx: &Context) -> Result<Option<Resource>> {
        perform::settle(&self.connection, action, cx).await
    }

    async fn observe(&self, machines: &[Known<'_, Resource>], cx: &Context) -> Result<Vec<Observation>> {
        observe::observe(&self.connection, &self.config, machines, cx).await
    }

    async fn power(&self, made: &[Resource], to: Power, cx: &Context) -> Result<()> {
        power::power(&self.connection, made, to, cx).await
    }

    async fn admission(&self, made: &[Resource], cx: &Context) -> Result<Admission> {
        admission::admission(&self.connection, &self.config, made, cx).await
    }

    async fn admit(&self, made: &[Resource], door: Door<'_>, cx: &Context) -> Result<()> {
        admission::admit(&self.connection, &self.config, made, door, cx).await
    }

    async fn destroy(&self, resource: &Resource, cx: &Context) -> Result<()> {
        destroy::destroy(&self.connection, resource, cx).await
    }

    async fn find_owned(&self, _: &Context) -> Result<Found<Resource>> {
        found::find_owned(&self.connection, &self.config).await
    }

    async fn mark(&self, resource: &Resource, cx: &Context) -> Result<()> {
        let id = match resource {
            Resource::Group { shared: true, .. } => return Ok(()),
            Resource::Group { id, .. } | Resource::Instance { id, .. } | Resource::Address { id, .. } => id,
        };
        let tags = tags::of(resource.name(), &cx.owner, &self.config.tags).collect();
        let call = self.connection.ec2.create_tags().resources(id).set_tags(Some(tags));
        self.connection.call("CreateTags", call.send()).await.map_err(Error::from)?;
        Ok(())
    }

    async fn console(&self, made: &[Resource], _: &Context) -> Result<Option<String>> {
        let Some(id) = Resource::instance(made) else { return Ok(None) };
        let call = |latest: bool| self.connection.ec2.get_console_output().instance_id(id).latest(latest);
        let answer = match self.connection.call("GetConsoleOutput", call(true).send()).await {
            // Only newer types show it while they run.
            Err(trouble) if trouble.is("UnsupportedOperation") => {
                self.connection.call("GetConsoleOutput", call(false).send()).await
            }
            answer => answer,
        };
        let output = answer.map_err(Error::from)?.output;
        let bytes = output.and_then(|text| STANDARD.decode(text.split_whitespace().collect::<String>()).ok());
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty()))
    }
}
