//! Making a network.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use wharfd_api_types::network::{IpamConfig, NetworkCreateRequest};

use super::record::{Bridged, Driver, Network, Pool};
use super::wire::now;
use super::{Networks, addresses, random_id};
use crate::engine::error::{Error, Result};
use crate::net::{self, Address, Subnet};

impl Networks {
    /// Makes a user-defined bridge network. Its bridge comes with the first container.
    pub(crate) async fn create(&self, request: NetworkCreateRequest) -> Result<Network> {
        check(&request)?;
        let id = random_id()?;
        let configs = request.ipam.as_ref().and_then(|ipam| ipam.config.clone()).unwrap_or_default();
        let (on_ipv6, on_ipv4): (Vec<_>, Vec<_>) = configs.into_iter().partition(is_ipv6);
        let pool = self.pool(&only(on_ipv4, "IPv4")?).await?;
        let pool_ipv6 = match request.enable_ipv6 {
            Some(true) => Some(self.pool_ipv6(&only(on_ipv6, "IPv6")?).await?),
            // As dockerd: subnets of a family that is off are not looked at.
            _ => None,
        };
        let bridge = match request.options.get("com.docker.network.bridge.name") {
            Some(name) => checked_link(name)?.to_owned(),
            None => format!("br-{}", id.get(..12).unwrap_or(&id)),
        };
        let is_adopted = self.shared.kernel.has_link(&bridge).await;
        let is_adopted = is_adopted.map_err(|e| Error::internal("looking for the bridge", e))?;
        let driver = Bridged { bridge, pool, pool_ipv6, is_default: false, is_adopted };
        let network = Network {
            created: now(),
            driver: Driver::Bridge(driver),
            internal: request.internal,
            attachable: request.attachable,
            options: request.options,
            labels: request.labels,
            ipam_options: request.ipam.and_then(|ipam| ipam.options),
            name: request.name,
            id,
        };
        self.keep_if_new(network.clone())?;
        self.tell("create", &network, None);
        Ok(network)
    }

    /// Of two requests for one name, or for one subnet, the second is refused.
    fn keep_if_new(&self, network: Network) -> Result<()> {
        let mut state = self.state();
        for other in state.networks.values() {
            if other.name == network.name {
                return Err(Error::conflict(format!("network with name {} already exists", network.name)));
            }
            if network.bridged().zip(other.bridged()).is_some_and(|(ours, theirs)| meet(ours, theirs)) {
                return Err(overlap());
            }
            let bridge = network.bridged().map(|bridged| &bridged.bridge);
            if bridge.is_some() && bridge == other.bridged().map(|bridged| &bridged.bridge) {
                return Err(Error::forbidden(format!(
                    "conflicts with network {} ({}): networks have same bridge name",
                    other.id, other.name
                )));
            }
        }
        // Reserved under the lock, recorded after it: the disk may be slow.
        state.networks.insert(network.id.clone(), network.clone());
        drop(state);
        let id = network.id.clone();
        self.keep(network).inspect_err(|_| {
            self.state().networks.remove(&id);
        })
    }

    /// The addresses that a client asked for, or a subnet that nobody has.
    async fn pool(&self, config: &IpamConfig) -> Result<Pool<std::net::Ipv4Addr>> {
        if config.subnet.is_empty() {
            refuse_without_subnet(config)?;
            let subnet = self.free_subnet().await?;
            return Ok(Pool { subnet, gateway: subnet.first(), range: None, auxiliary: BTreeMap::new() });
        }
        let pool: Pool<std::net::Ipv4Addr> = asked_for(config)?;
        let routed = self.routed_elsewhere().await?;
        if routed.iter().any(|routed| routed.overlaps(pool.subnet)) { Err(overlap()) } else { Ok(pool) }
    }

    /// The same for IPv6.
    async fn pool_ipv6(&self, config: &IpamConfig) -> Result<Pool<Ipv6Addr>> {
        if !net::host_has_ipv6() {
            return Err(Error::invalid("cannot make a network with IPv6: this host has none"));
        }
        let routed = self.routed_elsewhere_ipv6().await?;
        if !config.subnet.is_empty() {
            let pool: Pool<Ipv6Addr> = asked_for(config)?;
            return if routed.iter().any(|it| it.overlaps(pool.subnet)) { Err(overlap()) } else { Ok(pool) };
        }
        refuse_without_subnet(config)?;
        for _ in 0..CHOICES {
            let mut random = [0; 7];
            getrandom::fill(&mut random)
                .map_err(|e| Error::internal("choosing a subnet", std::io::Error::other(e.to_string())))?;
            let subnet = addresses::local_subnet(random);
            if !routed.iter().any(|routed| routed.overlaps(subnet)) {
                return Ok(Pool { subnet, gateway: subnet.first(), range: None, auxiliary: BTreeMap::new() });
            }
        }
        Err(Error::invalid("all IPv6 subnets that were tried are routed elsewhere"))
    }
}

/// How often a subnet may be chosen.
const CHOICES: usize = 16;

/// What a client wrote about one family, checked.
fn asked_for<A: Address>(config: &IpamConfig) -> Result<Pool<A>> {
    let subnet: Subnet<A> = parse(&config.subnet, "subnet")?;
    if subnet.prefix() + 2 > A::BITS {
        return Err(Error::invalid(format!("subnet {subnet} is too small for a bridge")));
    }
    let gateway = if config.gateway.is_empty() { subnet.first() } else { parse(&config.gateway, "gateway")? };
    let range: Option<Subnet<A>> =
        if config.ip_range.is_empty() { None } else { Some(parse(&config.ip_range, "ip-range")?) };
    if !subnet.contains(gateway) {
        return Err(Error::invalid(format!(
            "invalid network config:\ninvalid gateway {gateway}: parent subnet {subnet} does not contain it"
        )));
    }
    if range.is_some_and(|range| !subnet.contains(range.base()) || range.prefix() < subnet.prefix()) {
        return Err(Error::invalid(format!(
            "invalid network config:\ninvalid ip-range {}: it is not within subnet {subnet}",
            config.ip_range
        )));
    }
    let auxiliary = config.auxiliary_addresses.iter();
    let auxiliary: Result<BTreeMap<String, A>> =
        auxiliary.map(|(name, address)| Ok((name.clone(), parse(address, "auxiliary address")?))).collect();
    let auxiliary = auxiliary?;
    if let Some((name, address)) = auxiliary.iter().find(|(_, address)| !subnet.contains(**address)) {
        return Err(Error::forbidden(format!(
            "auxiliary address: ({name}:{address}) must belong to the master pool: {subnet}"
        )));
    }
    Ok(Pool { subnet, gateway, range, auxiliary })
}

fn refuse_without_subnet(config: &IpamConfig) -> Result<()> {
    if config.gateway.is_empty() && config.ip_range.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("invalid network config:\nan IP range or gateway needs a subnet"))
}

fn is_ipv6(config: &IpamConfig) -> bool {
    [&config.subnet, &config.gateway, &config.ip_range].iter().any(|text| text.contains(':'))
}

fn only(mut configs: Vec<IpamConfig>, family: &str) -> Result<IpamConfig> {
    if configs.len() > 1 {
        return Err(Error::invalid(format!("a bridge network takes one {family} subnet")));
    }
    Ok(configs.pop().unwrap_or_default())
}

fn meet(ours: &Bridged, theirs: &Bridged) -> bool {
    let on_ipv6 = ours.pool_ipv6.as_ref().zip(theirs.pool_ipv6.as_ref());
    ours.pool.subnet.overlaps(theirs.pool.subnet)
        || on_ipv6.is_some_and(|(ours, theirs)| ours.subnet.overlaps(theirs.subnet))
}

fn check(request: &NetworkCreateRequest) -> Result<()> {
    let name = request.name.as_str();
    if name.trim().is_empty() {
        return Err(Error::invalid("network name cannot be blank"));
    }
    if matches!(name, "bridge" | "host" | "none" | "default") {
        return Err(Error::forbidden(format!("operation is not permitted on predefined {name} network ")));
    }
    match request.driver.as_str() {
        "" | "bridge" => {}
        one @ ("host" | "null") => {
            return Err(Error::forbidden(format!("only one instance of \"{one}\" network is allowed")));
        }
        "overlay" => {
            return Err(Error::unavailable(
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect \
                 this node to swarm and try again.",
            ));
        }
        other => return Err(Error::not_found(format!("could not find plugin {other}: plugin not found"))),
    }
    if request.enable_ipv4 == Some(false) {
        let why = match request.enable_ipv6 {
            Some(true) => "networks without IPv4 are not supported by this engine",
            _ => "IPv4 or IPv6 must be enabled",
        };
        return Err(Error::invalid(why));
    }
    if request.config_only || request.ingress || !matches!(request.scope.as_str(), "" | "local") {
        return Err(Error::invalid("swarm networks are not supported by this engine"));
    }
    options(request)?;
    let driver = request.ipam.as_ref().map_or("", |ipam| ipam.driver.as_str());
    if !matches!(driver, "" | "default") {
        return Err(Error::not_found(format!("could not find plugin {driver}: plugin not found")));
    }
    Ok(())
}

/// Values that could not be meant.
fn options(request: &NetworkCreateRequest) -> Result<()> {
    const BOOLEANS: [&str; 4] = ["true", "false", "1", "0"];
    const SWITCHES: [&str; 3] = ["default_bridge", "enable_icc", "enable_ip_masquerade"];
    for (option, value) in &request.options {
        let switch =
            option.strip_prefix("com.docker.network.bridge.").is_some_and(|name| SWITCHES.contains(&name));
        let why = if switch && !BOOLEANS.contains(&value.to_ascii_lowercase().as_str()) {
            "strconv.ParseBool"
        } else if option == "com.docker.network.driver.mtu" && value.parse::<u32>().is_err() {
            "strconv.Atoi"
        } else {
            continue;
        };
        return Err(Error::invalid(format!(
            "failed to parse {option} value: {value} ({why}: parsing {value:?}: invalid syntax)"
        )));
    }
    Ok(())
}

fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T> {
    text.parse().map_err(|_| Error::invalid(format!("invalid network config:\ninvalid {what} {text}")))
}

/// A link's name: short, and nothing that could be taken for a path or a pattern.
fn checked_link(name: &str) -> Result<&str> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !name.is_empty() && name.len() < 16 && !name.starts_with('.') && name.chars().all(fine) {
        return Ok(name);
    }
    Err(Error::invalid(format!("invalid bridge name {name:?}: up to 15 letters, digits and _.- are allowed")))
}

fn overlap() -> Error {
    Error::forbidden("invalid pool request: Pool overlaps with other one on this address space")
}
