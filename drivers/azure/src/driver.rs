//! The driver's verbs; each is a file of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wharf_arm::{Call, Method, download};
use wharf_driver::{
    About, Account, Admission, Capabilities, Context, Door, Driver, MachineSpec, Observation, OwnerTag, Plan,
    Power, Result, Settles, State, StillPaid, Survey,
};

use crate::action::Action;
use crate::client::{self, Connection};
use crate::config::Config;
use crate::kind::{GROUPS, Kind, MACHINES};
use crate::resource::{Parts, Resource};
use crate::{admission, destroy, observe, perform, plan, power, survey, tags};

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

    async fn observe(&self, machines: &[&[Resource]], cx: &Context) -> Result<Vec<Observation>> {
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

    async fn find_owned(&self, cx: &Context) -> Result<Vec<(Resource, OwnerTag, SystemTime)>> {
        let arm = &self.connection.arm;
        let path = format!("/subscriptions/{}/resources", arm.subscription());
        let filter = format!("tagName eq '{}' and tagValue eq '{}'", tags::STORE, cx.owner.store.0);
        let query = [("$filter", filter.as_str())];
        let found =
            arm.list(&Call::get("looking for everything of ours", GROUPS, &path).asking(&query)).await?;
        let groups = format!("/subscriptions/{}/resourcegroups", arm.subscription());
        let groups = arm.list(&Call::get("looking for groups of ours", GROUPS, &groups)).await?;
        let mine = |(_, owner, _): &(Resource, OwnerTag, SystemTime)| owner.store == cx.owner.store;
        Ok(found.iter().chain(&groups).filter_map(owned).filter(mine).collect())
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

/// A thing that carries our tags, as a resource.
fn owned(body: &serde_json::Value) -> Option<(Resource, OwnerTag, SystemTime)> {
    let (owner, since) = tags::read(body)?;
    let (id, arm) = (body["id"].as_str()?.to_owned(), body["type"].as_str().unwrap_or(GROUPS));
    let shared = tags::says_shared(body);
    let kinds = [Kind::Group, Kind::Network, Kind::Firewall, Kind::Address, Kind::Interface, Kind::Machine];
    let kind = if arm.eq_ignore_ascii_case("Microsoft.Resources/resourceGroups") || arm == GROUPS {
        Kind::Group
    } else {
        kinds.into_iter().find(|kind| kind.arm().eq_ignore_ascii_case(arm))?
    };
    let sibling = |kind: &str, suffix: &str| {
        let base = id.strip_suffix("-vm")?;
        let (group, name) = base.split_once("/providers/Microsoft.Compute/virtualMachines/")?;
        Some(format!("{group}/providers/{kind}/{name}-{suffix}"))
    };
    let machine = (kind == Kind::Machine).then(|| {
        Some(Parts {
            disk: sibling(crate::kind::DISKS, "disk")?,
            interface: sibling(Kind::Interface.arm(), Kind::Interface.suffix())?,
            address: sibling(Kind::Address.arm(), Kind::Address.suffix()),
            user: None,
            engine_port: 2376,
        })
    });
    let machine = match machine {
        Some(None) => return None,
        Some(parts) => parts,
        None => None,
    };
    Some((Resource { kind, id, ours: true, shared, machine }, owner, since))
}
