//! The driver's verbs; each is a file of its own.

use std::sync::Arc;
use std::time::Duration;

use wharf_arm::{Call, Method, download};
use wharf_driver::{
    About, Account, Admission, Capabilities, Context, Door, Driver, Found, Known, MachineSpec, Observation,
    Plan, Power, Result, Settles, State, StillPaid, Survey,
};

use crate::action::Action;
use crate::client::{self, Connection};
use crate::config::Config;
use crate::kind::MACHINES;
use crate::resource::Resource;
use crate::{admission, destroy, found, mark, observe, perform, plan, power, survey};

/// Machines in Azure, as one account.
#[derive(Debug)]
pub struct Azure {
    config: Config,
    connection: Arc<Connection>,
}

/// A cloud finishes requests whose sender is gone, and its answers lag.
const VISIBLE_AFTER: Duration = Duration::from_secs(30);
/// A console without a storage account of its own is known from here on.
const CONSOLE: &str = "2020-06-01";

impl Driver for Azure {
    const ABOUT: About = About {
        name: "azure",
        aliases: &[],
        summary: "a virtual machine in Azure: public, sovereign, or an Azure Stack Hub",
        capabilities: Capabilities {
            power: true,
            adopts: false,
            provisions: true,
            takes_host_key: true,
            console: true,
            address_changes: true,
            still_paid: StillPaid {
                stopped: "its disk and its public address are still paid for: `wharf rm` ends that",
                killed: "it is off and still paid for: `wharf stop` gives its place back, `wharf rm` ends all that it costs",
                over: "when its time is over it powers itself off and is still paid for: `wharf gc --yes` ends that",
            },
        },
        version: 1,
        settles: Settles::After(VISIBLE_AFTER),
    };
    type Config = Config;
    type Action = Action;
    type Resource = Resource;

    async fn connect(config: Config, cx: &Context) -> Result<Self> {
        let connection = client::connect(&config, cx).await?;
        Ok(Self { config, connection })
    }

    fn account(&self) -> Option<Account> {
        let arm = &self.connection.arm;
        let tenant = self.connection.tenant.as_deref().unwrap_or("none");
        Some(Account(format!(
            "subscription {}, tenant {tenant}, at {}",
            arm.subscription(),
            arm.cloud().endpoint
        )))
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
        plan::plan(&self.connection.arm, &self.config, spec, cx.session.client()).await
    }

    async fn perform(&self, action: &Action, _: &[Resource], cx: &Context) -> Result<Resource> {
        perform::perform(&self.connection.arm, action, cx).await
    }

    async fn settle(&self, action: &Action, cx: &Context) -> Result<Option<Resource>> {
        perform::settle(&self.connection.arm, action, cx).await
    }

    async fn observe(&self, machines: &[Known<'_, Resource>], cx: &Context) -> Result<Vec<Observation>> {
        observe::observe(&self.connection.arm, &self.config, machines, &cx.session).await
    }

    async fn power(&self, made: &[Resource], to: Power, cx: &Context) -> Result<()> {
        power::power(&self.connection.arm, made, to, cx).await
    }

    async fn admission(&self, made: &[Resource], cx: &Context) -> Result<Admission> {
        admission::admission(&self.connection.arm, &self.config, made, cx).await
    }

    async fn admit(&self, made: &[Resource], door: Door<'_>, cx: &Context) -> Result<()> {
        admission::admit(&self.connection.arm, &self.config, made, door, cx).await
    }

    async fn destroy(&self, resource: &Resource, cx: &Context) -> Result<()> {
        destroy::destroy(&self.connection.arm, resource, cx).await
    }

    async fn find_owned(&self, _: &Context) -> Result<Found<Resource>> {
        found::find_owned(&self.connection.arm, &self.config).await
    }

    async fn mark(&self, resource: &Resource, cx: &Context) -> Result<()> {
        mark::mark(&self.connection.arm, &self.config, resource, cx).await
    }

    async fn console(&self, made: &[Resource], _: &Context) -> Result<Option<String>> {
        let arm = &self.connection.arm;
        let Some(machine) = made.iter().find(|one| one.machine.is_some()) else { return Ok(None) };
        if arm.version(MACHINES)? < CONSOLE {
            return Ok(None);
        }
        let path = format!("{}/retrieveBootDiagnosticsData", machine.id);
        let call = Call::new(Method::POST, "asking for the console", MACHINES, &path);
        let Some(reply) = arm.find(&call).await? else { return Ok(None) };
        match reply["serialConsoleLogBlobUri"].as_str() {
            Some(url) => download(&self.connection.http, url).await.map(Some),
            None => Ok(None),
        }
    }
}
