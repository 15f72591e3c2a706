//! From a wish to steps: group → (network ∥ firewall ∥ address) → interface → machine. Everything that can be refused is
//! refused here, with reads alone.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use wharf_arm::{Arm, Call};
use wharf_driver::{Error, Kind as Failure, MachineSpec, Plan, Result, Step, Verb};

use crate::action::{Action, Machine, What};
use crate::catalog::{self, Found, Size};
use crate::config::{Config, NetworkName};
use crate::kind::{DISKS, Kind, NETWORKS};
use crate::names;
use crate::seed;

/// What the whole plan is about.
struct Draft<'a> {
    arm: &'a Arm,
    config: &'a Config,
    spec: &'a MachineSpec,
    client: &'a str,
    location: String,
    group: String,
    stamp: bool,
}

pub(crate) async fn plan(
    arm: &Arm,
    config: &Config,
    spec: &MachineSpec,
    client: &str,
) -> Result<Plan<Action>> {
    let location = catalog::location(arm, config.location.as_deref())?;
    let stamp = catalog::is_stamp(arm)?;
    refuse_on_stamp(config, stamp)?;
    let (image, size) = catalog::choose(arm, config, &location).await?;
    catalog::check_quota(arm, &location, &size, config.spot.is_some()).await?;
    let group = match &config.group {
        _ if config.alone => names::own(spec, Kind::Group),
        Some(group) => group.clone(),
        None => names::shared(&spec.owner.store, &location, Kind::Group),
    };
    let draft = Draft { arm, config, spec, client, location, group, stamp };
    draft.check_existing().await?;
    draft.steps(&image, &size)
}

/// The kinds of disks that a stamp has.
const STAMP_DISKS: &[&str] = &["Standard_LRS", "Premium_LRS"];

/// What a stamp does not have is said before anything is made.
fn refuse_on_stamp(config: &Config, stamp: bool) -> Result<()> {
    let wanted = [
        (config.zone.is_some(), "--azure-zone", "availability zones"),
        (config.accelerated, "--azure-accelerated-networking", "accelerated networking"),
        (config.spot.is_some(), "--azure-spot", "spot machines"),
        (config.disk.ephemeral, "--azure-ephemeral-disk", "ephemeral disks"),
        (config.trusted_launch == Some(true), "--azure-trusted-launch", "trusted launch"),
        (config.system_identity, "--azure-system-identity", "managed identities"),
        (!config.identities.is_empty(), "--azure-identity", "managed identities"),
        (config.disk.encryption_set.is_some(), "--azure-disk-encryption-set", "disk encryption sets"),
        (!STAMP_DISKS.contains(&&*config.disk.kind), "--azure-storage-type", "disks of this kind"),
        (config.proximity_group.is_some(), "--azure-proximity-placement-group", "proximity placement groups"),
    ];
    match wanted.iter().find(|(wanted, _, _)| stamp && *wanted) {
        Some((_, flag, what)) => Err(Error::new(Failure::Refused, format!("this endpoint has no {what}"))
            .hint(format!("leave {flag} out; an Azure Stack Hub has fewer features than public Azure"))),
        None => Ok(()),
    }
}

impl Draft<'_> {
    /// A network of another group must be there.
    async fn check_existing(&self) -> Result<()> {
        let Some(NetworkName { group: Some(group), name }) = &self.config.network else { return Ok(()) };
        let id = names::id(self.arm.subscription(), group, NETWORKS, name);
        let subnet = format!("{id}/subnets/{}", self.config.subnet);
        let call = Call::get("looking for the subnet", NETWORKS, &subnet);
        match self.arm.find(&call).await? {
            Some(_) => Ok(()),
            None => {
                let message = format!(
                    "there is no subnet `{}` in the network `{name}` of group `{group}`",
                    self.config.subnet
                );
                Err(Error::new(Failure::Refused, message)
                    .hint("networks of other groups are used as they are; name one with --azure-vnet and --azure-subnet"))
            }
        }
    }

    fn steps(&self, image: &Found, size: &Size) -> Result<Plan<Action>> {
        let config = self.config;
        let mut steps = vec![self.group_step()];
        let network = self.network();
        let (network_at, firewall_at) = (steps.len(), steps.len() + 1);
        steps.push(network);
        steps.push(self.firewall());
        let address = config.public_address.then(|| self.address());
        let address_id = address.as_ref().map(|step| step.action.id.clone());
        let mut needs = vec![network_at, firewall_at];
        if let Some(address) = address {
            needs.push(steps.len());
            steps.push(address);
        }
        let subnet = format!("{}/subnets/{}", steps[network_at].action.id, config.subnet);
        let what = What::Interface {
            subnet,
            firewall: steps[firewall_at].action.id.clone(),
            address: address_id.clone(),
            private: config.private_address,
            accelerated: config.accelerated,
        };
        let interface = self.own(Kind::Interface, what, needs, "");
        let interface_id = interface.action.id.clone();
        steps.push(interface);
        let machine = self.machine(image, size, interface_id, address_id)?;
        let summary = describe(&machine);
        let needs = vec![steps.len() - 1];
        steps.push(self.own(Kind::Machine, What::Machine(Box::new(machine)), needs, &summary));
        Ok(Plan { steps })
    }

    fn group_step(&self) -> Step<Action> {
        let id = names::group_id(self.arm.subscription(), &self.group);
        self.step(id, What::Group, self.config.group.is_some(), Vec::new(), "")
    }

    fn network(&self) -> Step<Action> {
        let config = self.config;
        let what = What::Network { subnet: config.subnet.clone(), prefix: config.subnet_prefix.clone() };
        let wished = config.network.as_ref();
        let group = wished.and_then(|network| network.group.clone()).unwrap_or_else(|| self.group.clone());
        let name = wished.map_or_else(|| self.common(Kind::Network, &what), |network| network.name.clone());
        let id = names::id(self.arm.subscription(), &group, NETWORKS, &name);
        self.step(id, what, wished.is_some(), vec![0], "")
    }

    fn firewall(&self) -> Step<Action> {
        let config = self.config;
        let what = What::Firewall {
            allowed: config.allowed.clone(),
            engine_port: self.spec.engine_port,
            open: config.open_ports.clone(),
            client: config.me.then(|| self.client.to_owned()),
        };
        if config.me {
            let summary = format!(
                "letting {} in to SSH first, and to port {} then",
                self.client, self.spec.engine_port
            );
            return self.own(Kind::Firewall, what, vec![0], &summary);
        }
        let name = config.firewall.clone().unwrap_or_else(|| self.common(Kind::Firewall, &what));
        let id = self.id(Kind::Firewall, &name);
        let who =
            config.allowed.iter().map(|one| if one == "*" { "anybody" } else { one }).collect::<Vec<_>>();
        let summary = format!("letting {} in to SSH and port {}", who.join(", "), self.spec.engine_port);
        self.step(id, what, config.firewall.is_some(), vec![0], &summary)
    }

    fn address(&self) -> Step<Action> {
        let what = What::Address {
            standard: !self.stamp,
            label: self.config.label.clone(),
            zone: self.config.zone.clone(),
        };
        self.own(Kind::Address, what, vec![0], if self.stamp { "Basic" } else { "Standard" })
    }

    fn machine(
        &self,
        image: &Found,
        size: &Size,
        interface: String,
        address: Option<String>,
    ) -> Result<Machine> {
        let config = self.config;
        if let (Some(size), Some(least)) = (config.disk.size_gib, image.size_gib)
            && u64::from(size) < least
        {
            let message = format!("a disk of {size} GiB is too small: the image has {least}");
            return Err(Error::new(Failure::Refused, message)
                .hint("ask for more with --azure-disk-size, or leave it out"));
        }
        let can_trust = !self.stamp && image.trusted_launch && size.trusted_launch;
        if config.trusted_launch == Some(true) && !can_trust {
            let message = format!("size {} and this image are no trusted launch together", size.name);
            return Err(Error::new(Failure::Refused, message)
                .hint("use an image of generation 2 and a size that takes it"));
        }
        let custom_data = match &config.custom_data {
            Some(file) => Some((file.clone(), hex::encode(Sha256::digest(seed::read(file)?)))),
            None => None,
        };
        let in_group = |kind: &str, name: &Option<String>| {
            name.as_ref().map(|name| names::id(self.arm.subscription(), &self.group, kind, name))
        };
        Ok(Machine {
            size: size.name.clone(),
            image: image.image.clone(),
            plan: config.plan.clone().or_else(|| image.plan.clone()),
            disk: config.disk.clone(),
            disk_id: names::id(self.arm.subscription(), &self.group, DISKS, &names::disk(self.spec)),
            interface,
            address,
            user: config.user.clone(),
            engine_port: self.spec.engine_port,
            rsa_only: self.stamp,
            trusted_launch: config.trusted_launch.unwrap_or(can_trust) && can_trust,
            console: !self.stamp,
            spot: config.spot,
            zone: config.zone.clone(),
            availability_set: in_group("Microsoft.Compute/availabilitySets", &config.availability_set),
            proximity_group: in_group("Microsoft.Compute/proximityPlacementGroups", &config.proximity_group),
            system_identity: config.system_identity,
            identities: config.identities.clone(),
            custom_data,
        })
    }

    /// The name of what machines share, or this one's alone. Another wish is another thing: nothing that is shared is
    /// ever changed.
    fn common(&self, kind: Kind, wish: &What) -> String {
        if self.config.alone {
            return names::own(self.spec, kind);
        }
        let digest = hex::encode(Sha256::digest(serde_json::to_vec(wish).unwrap_or_default()));
        let digest = digest.get(..6).unwrap_or(&digest);
        format!("{}-{digest}", names::shared(&self.spec.owner.store, &self.location, kind))
    }

    fn id(&self, kind: Kind, name: &str) -> String {
        names::id(self.arm.subscription(), &self.group, kind.arm(), name)
    }

    fn own(&self, kind: Kind, what: What, after: Vec<usize>, detail: &str) -> Step<Action> {
        let id = self.id(kind, &names::own(self.spec, kind));
        let action = Action {
            id,
            location: self.location.clone(),
            tags: self.config.tags.clone(),
            shared: false,
            joins: false,
            what,
        };
        finish(&self.arm.cloud().endpoint, action, after, detail)
    }

    fn step(&self, id: String, what: What, joins: bool, after: Vec<usize>, detail: &str) -> Step<Action> {
        let shared = !self.config.alone;
        // The same for every machine that shares it, whatever tags each of them has.
        let tags = if shared { BTreeMap::new() } else { self.config.tags.clone() };
        let action = Action { id, location: self.location.clone(), tags, shared, joins, what };
        finish(&self.arm.cloud().endpoint, action, after, detail)
    }
}

fn finish(endpoint: &str, action: Action, after: Vec<usize>, detail: &str) -> Step<Action> {
    let noted = names::last(&action.id).to_owned();
    // What is shared is known by more than its own name: another group or account may have one that is called the same.
    let name = if action.shared { names::everywhere(endpoint, &action.id) } else { noted.clone() };
    let begin = if action.shared || action.joins { "make or join" } else { "make" };
    let noun = action.kind().noun();
    let detail = if detail.is_empty() { String::new() } else { format!(", {detail}") };
    let summary = format!("{begin} the {noun} {noted} in {}{detail}", action.location);
    Step { verb: Verb::Create, name, shared: action.shared, action, after, summary }
}

fn describe(machine: &Machine) -> String {
    let image = match &machine.image {
        crate::action::Image::Market { publisher, offer, sku, version } => {
            format!("{publisher}:{offer}:{sku}:{version}")
        }
        crate::action::Image::Id(id) => id.clone(),
    };
    let trusted = if machine.trusted_launch { ", trusted launch" } else { "" };
    let spot = if machine.spot.is_some() { ", spot" } else { "" };
    format!("{}, {image}, disk {}{trusted}{spot}", machine.size, machine.disk.kind)
}
