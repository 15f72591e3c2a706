//! From a wish to steps: security group → instance → elastic address. Everything that can be refused is refused here,
//! with reads alone, and those that do not need each other go at once.

use std::collections::BTreeMap;

use wharf_driver::{Error, Kind, MachineSpec, Plan, Result, Step, Verb};

use crate::action::{Action, Group, Machine, Place, What};
use crate::client::Connection;
use crate::config::{Config, Disk};
use crate::image::Found;
use crate::names;
use crate::offer::Offer;
use crate::seed;

/// What an image that says nothing else gets.
const ROOT_GIB: i32 = 16;

/// What the whole plan is about.
struct Draft<'a> {
    connection: &'a Connection,
    config: &'a Config,
    spec: &'a MachineSpec,
    client: &'a str,
}

pub(crate) async fn plan(
    connection: &Connection,
    config: &Config,
    spec: &MachineSpec,
    client: &str,
) -> Result<Plan<Action>> {
    let user_data = match &config.user_data {
        Some(file) => Some((file.clone(), seed::check(file)?)),
        None => None,
    };
    let Offer { wished, image, vpc, places, groups } = &*connection.offers.of(connection, config).await?;
    let draft = Draft { connection, config, spec, client };
    let disk = disk(&config.disk, image)?;
    let mut steps = Vec::new();
    let group = groups.is_empty().then(|| draft.group(vpc));
    let machine = Machine {
        image: image.id.clone(),
        root_device: config.disk.device.clone().unwrap_or_else(|| image.root_device.clone()),
        instance_type: wished.name.clone(),
        places: places.clone(),
        group: group.as_ref().map(|step| step.action.name.clone()),
        groups: groups.clone(),
        disk,
        // An elastic one takes its place, and two are not paid for.
        public: config.public_address,
        ipv6: config.ipv6,
        primary_ipv6: config.primary_ipv6,
        spot: config.spot.clone(),
        profile: config.profile.clone(),
        key_pair: config.key_pair.clone(),
        placement_group: config.placement_group.clone(),
        tenancy: config.tenancy.clone(),
        monitoring: config.monitoring,
        ebs_optimized: config.ebs_optimized,
        metadata: config.metadata.clone(),
        user: config.user.clone(),
        ssh_port: config.ssh_port,
        engine_port: spec.engine_port,
        user_data,
    };
    steps.extend(group);
    let after = (0..steps.len()).collect();
    steps.push(draft.machine(machine, image, after));
    if config.elastic {
        let needs = vec![steps.len() - 1];
        steps.push(draft.own("ip", What::Address, needs, "elastic address", ""));
    }
    Ok(Plan { steps })
}

fn disk(wished: &Disk, image: &Found) -> Result<Disk> {
    let least = image.size_gib.unwrap_or(1);
    let size = wished.size_gib.unwrap_or_else(|| ROOT_GIB.max(least));
    if size < least {
        let message = format!("a disk of {size} GiB is too small: the image has {least}");
        return Err(
            Error::new(Kind::Refused, message).hint("ask for more with --aws-root-size, or leave it out")
        );
    }
    Ok(Disk { size_gib: Some(size), ..wished.clone() })
}

impl Draft<'_> {
    fn group(&self, vpc: &str) -> Step<Action> {
        let config = self.config;
        let wish = Group {
            vpc: vpc.to_owned(),
            shared: !config.me,
            allowed: config.allowed.clone(),
            ssh_port: config.ssh_port,
            engine_port: self.spec.engine_port,
            open: config.open_ports.clone(),
            client: config.me.then(|| self.client.to_owned()),
        };
        if config.me {
            let port = self.spec.engine_port;
            let detail = format!(", letting {} in to SSH first, and to port {port} then", self.client);
            return self.own("sg", What::Group(wish), Vec::new(), "security group", &detail);
        }
        let who: Vec<&str> = config
            .allowed
            .iter()
            .map(|one| if one == "0.0.0.0/0" { "anybody" } else { one })
            .filter(|one| *one != "::/0")
            .collect();
        // Another wish is another group: nothing that is shared is ever changed.
        let place = format!(
            "{} {} {}",
            self.connection.account,
            self.connection.region,
            serde_json::to_string(&wish).unwrap_or_default()
        );
        let name = names::shared(&self.spec.owner.store, &names::digest(place, 12));
        let summary = format!(
            "make or join the security group {name} in {vpc}, letting {} in to SSH and port {}",
            who.join(", "),
            self.spec.engine_port
        );
        // The same for every machine that shares it, whatever tags each of them has.
        let action = Action { name: name.clone(), tags: BTreeMap::new(), what: What::Group(wish) };
        Step { verb: Verb::Create, name, shared: true, action, after: Vec::new(), summary }
    }

    fn machine(&self, machine: Machine, image: &Found, after: Vec<usize>) -> Step<Action> {
        let zones: Vec<&str> = machine.places.iter().map(|Place { zone, .. }| zone.as_str()).collect();
        let spot = if machine.spot.is_some() { ", spot" } else { "" };
        let plain = if machine.disk.encrypted { ", encrypted" } else { "" };
        let detail = format!(
            ", {}, {} {}, {} GiB {}{plain}{spot}, in {}",
            machine.instance_type,
            image.id,
            image.name,
            machine.disk.size_gib.unwrap_or(ROOT_GIB),
            machine.disk.kind,
            zones.join(" or ")
        );
        self.own("vm", What::Machine(Box::new(machine)), after, "instance", &detail)
    }

    fn own(&self, kind: &str, what: What, after: Vec<usize>, noun: &str, detail: &str) -> Step<Action> {
        let name = names::own(self.spec, kind);
        let summary = format!("make the {noun} {name}{detail}");
        let action = Action { name: name.clone(), tags: self.config.tags.clone(), what };
        Step { verb: Verb::Create, name, shared: false, action, after, summary }
    }
}
