//! Published ports: from what a client asks for to ports of the host that nobody else has.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use wharfd_api_types::container::PortBindings;
use wharfd_api_types::network::PortBinding;

use super::record::{Port, Sandbox};
use super::{Networks, PlaceV6};
use crate::engine::error::{Error, Result};
use crate::net::{self, Protocol, Proxy};

/// One wish: a container's port on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) protocol: Protocol,
    pub(super) container: u16,
    /// The same port on each of them.
    addresses: Vec<IpAddr>,
    /// Tried in order; zero takes any free one.
    ports: RangeInclusive<u16>,
}

/// Where a port is published when nobody says where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Everywhere(Vec<IpAddr>);

impl Everywhere {
    /// Where the network says, else every address of the host.
    pub(super) fn of_the_host(binding: Option<Ipv4Addr>) -> Self {
        if let Some(address) = binding {
            return Self(vec![address.into()]);
        }
        let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::UNSPECIFIED.into()];
        if net::host_has_ipv6() {
            addresses.push(Ipv6Addr::UNSPECIFIED.into());
        }
        Self(addresses)
    }
}

/// Reads what `docker run -p` and `-P` turn into.
pub(super) fn wishes(bindings: &PortBindings, all: &[String], everywhere: &Everywhere) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    for (port, places) in bindings {
        let (container, protocol) = container_port(port)?;
        for place in places.iter().flatten() {
            let ports = host_ports(&place.host_port)?;
            let addresses = host_addresses(&place.host_ip, everywhere)?;
            wishes.push(Wish { protocol, container, addresses, ports });
        }
    }
    let placed = |port: &str| bindings.get(port).and_then(Option::as_ref).is_some_and(|p| !p.is_empty());
    for port in all.iter().filter(|port| !placed(port)) {
        let (container, protocol) = container_port(port)?;
        wishes.push(Wish { protocol, container, addresses: everywhere.0.clone(), ports: 0..=0 });
    }
    Ok(wishes)
}

/// Ports of the host that are a container's now.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) ports: Vec<Port>,
    /// What holds those on IPv4 addresses, for as long as the container runs.
    pub(super) sockets: Vec<OwnedFd>,
    /// What holds the others, for as long as the daemon runs.
    pub(super) proxies: BTreeMap<PlaceV6, Proxy>,
}

/// Where a container is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside {
    pub(super) address: Ipv4Addr,
    pub(super) address_ipv6: Option<Ipv6Addr>,
}

/// Takes the ports of the host, all or none. `others` are those of other containers.
pub(super) fn take(wishes: &[Wish], container: Inside, others: &[Port]) -> Result<Taken> {
    let mut taken = Taken::default();
    for wish in wishes {
        let one = wish.take(container, others)?;
        taken.ports.extend(one.ports);
        taken.sockets.extend(one.sockets);
        taken.proxies.extend(one.proxies);
    }
    Ok(taken)
}

impl Networks {
    /// Passes on what comes to the container's ports on IPv6 addresses, to where it is now. What cannot be had any more
    /// is for the log: the container runs, and its other ports work.
    pub(super) fn serve_ipv6(&self, sandbox: &Sandbox) {
        let wanted: BTreeMap<PlaceV6, SocketAddrV4> = sandbox.ports.iter().filter_map(on_ipv6).collect();
        let mut proxies = self.shared.proxies();
        let held = proxies.entry(sandbox.container.clone()).or_default();
        held.retain(|place, _| wanted.contains_key(place));
        for (place, to) in wanted {
            if let Some(proxy) = held.get(&place) {
                proxy.lead_to(to);
                continue;
            }
            match Proxy::start(place.0, place.1, to) {
                Ok(proxy) => drop(held.insert(place, proxy)),
                Err(error) => tracing::warn!(%error, container = sandbox.name, "a port stays closed"),
            }
        }
    }
}

fn on_ipv6(port: &Port) -> Option<(PlaceV6, SocketAddrV4)> {
    match port.host {
        SocketAddr::V6(place) => Some(((port.protocol, place), port.container)),
        SocketAddr::V4(_) => None,
    }
}

/// As inspect shows them.
pub(super) fn bindings(ports: &[Port]) -> PortBindings {
    let mut bindings = PortBindings::new();
    for port in ports {
        let key = format!("{}/{}", port.container.port(), port.protocol.as_str());
        let place =
            PortBinding { host_ip: port.host.ip().to_string(), host_port: port.host.port().to_string() };
        bindings.entry(key).or_default().get_or_insert_default().push(place);
    }
    bindings
}

impl Wish {
    /// The first port of the range that is free on every address.
    fn take(&self, container: Inside, others: &[Port]) -> Result<Taken> {
        let reached = self.reached(container)?;
        // A port that the kernel chose for one address may be somebody's on the next: then it chooses again.
        let any = *self.ports.start() == 0;
        let mut refused = None;
        for port in self.ports.clone().chain(std::iter::repeat_n(0, if any { CHOICES } else { 0 })) {
            match self.take_port(port, container, &reached) {
                Ok(taken) => return Ok(taken),
                Err(net::Error::PortTaken(place)) => refused = refused.or(Some(place)),
                Err(error @ net::Error::NoSctp) => {
                    return Err(Error::unimplemented(format!(
                        "cannot publish {}/sctp: {error}",
                        self.container
                    )));
                }
                Err(error) => return Err(Error::internal("publishing a port", error)),
            }
        }
        Err(refused.map_or_else(
            || Error::invalid("invalid port specification: an empty range"),
            |place| self.refusal(place, others),
        ))
    }

    /// The addresses of the host by which the container can be reached: SCTP is not passed on from IPv6 to IPv4.
    fn reached(&self, container: Inside) -> Result<Vec<IpAddr>> {
        let crosses = self.protocol != Protocol::Sctp || container.address_ipv6.is_some();
        let reached: Vec<IpAddr> =
            self.addresses.iter().copied().filter(|address| address.is_ipv4() || crosses).collect();
        match self.addresses.first() {
            Some(address) if reached.is_empty() => Err(Error::invalid(format!(
                "cannot publish {}/sctp on {address}: the container has no IPv6 address, and SCTP is not passed on from \
                 IPv6 to IPv4",
                self.container
            ))),
            _ => Ok(reached),
        }
    }

    fn take_port(&self, port: u16, container: Inside, reached: &[IpAddr]) -> net::Result<Taken> {
        let to = SocketAddrV4::new(container.address, self.container);
        let mut taken = Taken::default();
        let mut port = port;
        for address in reached {
            let host: SocketAddr = match *address {
                IpAddr::V4(address) => {
                    let reserved = net::reserve(self.protocol, address, port)?;
                    port = reserved.port;
                    taken.sockets.push(reserved.socket);
                    SocketAddrV4::new(address, port).into()
                }
                IpAddr::V6(address) => {
                    let proxy = Proxy::start(self.protocol, SocketAddrV6::new(address, port, 0, 0), to)?;
                    port = proxy.port();
                    let place = SocketAddrV6::new(address, port, 0, 0);
                    taken.proxies.insert((self.protocol, place), proxy);
                    place.into()
                }
            };
            let direct = container.address_ipv6.filter(|_| host.is_ipv6());
            let container_ipv6 = direct.map(|inside| SocketAddrV6::new(inside, self.container, 0, 0));
            taken.ports.push(Port { protocol: self.protocol, host, container: to, container_ipv6 });
        }
        Ok(taken)
    }

    fn refusal(&self, place: SocketAddr, others: &[Port]) -> Error {
        let same = |port: &&Port| port.protocol == self.protocol && port.host.port() == place.port();
        if others.iter().any(|port| same(&port)) {
            let text = format!("Bind for {place} failed: port is already allocated");
            return Error::new(crate::engine::error::Kind::Internal, text);
        }
        Error::internal("driver failed programming external connectivity", net::Error::PortTaken(place))
    }
}

/// How often the kernel may choose a port.
const CHOICES: usize = 16;

/// `80`, `80/tcp`, `53/udp`, `3868/sctp`.
pub(super) fn container_port(text: &str) -> Result<(u16, Protocol)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let port = port.parse().ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| Error::invalid(format!("invalid port specification: \"{text}\"")))?;
    match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Ok((port, Protocol::Tcp)),
        "udp" => Ok((port, Protocol::Udp)),
        "sctp" => Ok((port, Protocol::Sctp)),
        _ => Err(Error::invalid(format!("invalid protocol: {protocol}"))),
    }
}

fn host_ports(text: &str) -> Result<RangeInclusive<u16>> {
    let invalid = || Error::invalid(format!("invalid port specification: \"{text}\""));
    if text.is_empty() {
        return Ok(0..=0);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range: RangeInclusive<u16> =
        first.parse().map_err(|_| invalid())?..=last.parse().map_err(|_| invalid())?;
    if range.is_empty() { Err(invalid()) } else { Ok(range) }
}

fn host_addresses(text: &str, everywhere: &Everywhere) -> Result<Vec<IpAddr>> {
    if text.is_empty() {
        return Ok(everywhere.0.clone());
    }
    let address = text.parse().map_err(|_| Error::invalid(format!("invalid IP address: {text}")))?;
    if matches!(address, IpAddr::V6(_)) && !net::host_has_ipv6() {
        return Err(Error::invalid(format!("cannot publish on {text}: this host has no IPv6")));
    }
    Ok(vec![address])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANYWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn parse(json: &str, all: &[&str]) -> Result<Vec<Wish>> {
        let all: Vec<String> = all.iter().map(|port| (*port).to_owned()).collect();
        wishes(&serde_json::from_str(json).unwrap(), &all, &Everywhere::of_the_host(Some(ANYWHERE)))
    }

    #[test]
    fn reads_addresses_ranges_and_ports_for_the_kernel_to_choose() {
        let asked = r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8000-8002"},{}],"53/udp":[{"HostPort":"53"}],
            "3868/SCTP":[{"HostPort":"3868"}],"9":null}"#;
        let wishes = parse(asked, &["80/tcp", "443/tcp", "9"]).unwrap();
        let shown: Vec<String> = wishes
            .iter()
            .map(|w| {
                format!(
                    "{}:{}-{} {}/{}",
                    w.addresses[0],
                    w.ports.start(),
                    w.ports.end(),
                    w.container,
                    w.protocol.as_str()
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "192.0.2.1:3868-3868 3868/sctp",
                "192.0.2.1:53-53 53/udp",
                "127.0.0.1:8000-8002 80/tcp",
                "192.0.2.1:0-0 80/tcp",
                "192.0.2.1:0-0 443/tcp",
                "192.0.2.1:0-0 9/tcp"
            ]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            r#"{"0":[{}]}"#,
            r#"{"x/tcp":[{}]}"#,
            r#"{"1/icmp":[{}]}"#,
            r#"{"1":[{"HostPort":"5-4"}]}"#,
            r#"{"1":[{"HostPort":"70000"}]}"#,
            r#"{"1":[{"HostIp":"nowhere"}]}"#,
        ] {
            assert!(parse(wrong, &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sctp_stays_within_its_family() {
        let both = vec![IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
        let wish = |protocol, addresses: &[IpAddr]| Wish {
            protocol,
            container: 3868,
            addresses: addresses.to_vec(),
            ports: 0..=0,
        };
        let on_ipv4 = Inside { address: Ipv4Addr::new(172, 17, 0, 2), address_ipv6: None };
        let on_both = Inside { address_ipv6: Some(Ipv6Addr::LOCALHOST), ..on_ipv4 };
        assert_eq!(wish(Protocol::Sctp, &both).reached(on_ipv4).unwrap(), both[..1]);
        assert_eq!(wish(Protocol::Sctp, &both).reached(on_both).unwrap(), both);
        assert_eq!(wish(Protocol::Tcp, &both).reached(on_ipv4).unwrap(), both);
        let refused = wish(Protocol::Sctp, &both[1..]).reached(on_ipv4).unwrap_err().to_string();
        assert!(
            refused.starts_with("cannot publish 3868/sctp on ::: the container has no IPv6 address"),
            "{refused}"
        );
    }

    #[test]
    fn a_taken_port_is_told_in_dockerds_words_and_a_range_goes_on() {
        let local = |json: &str| parse(&json.replace('~', r#""HostIp":"127.0.0.1""#), &[]).unwrap();
        let container = Inside { address: Ipv4Addr::new(172, 17, 0, 2), address_ipv6: None };
        let first = take(&local(r#"{"80":[{~}]}"#), container, &[]).unwrap();
        let port = first.ports[0].host.port();
        let again = local(&format!(r#"{{"80":[{{~,"HostPort":"{port}"}}]}}"#));
        let refused = take(&again, container, &first.ports).unwrap_err().to_string();
        assert_eq!(refused, format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        let foreign = take(&again, container, &[]).unwrap_err().to_string();
        assert!(foreign.ends_with("address already in use"), "{foreign}");
        let range = local(&format!(r#"{{"80":[{{~,"HostPort":"{port}-{}"}}]}}"#, port.saturating_add(50)));
        let next = take(&range, container, &first.ports).unwrap();
        assert!(next.ports[0].host.port() > port);
        assert!(bindings(&next.ports)["80/tcp"].as_ref().unwrap()[0].host_ip == "127.0.0.1");
    }

    #[tokio::test]
    async fn both_families_get_the_same_port_or_none() {
        if !net::host_has_ipv6() {
            return println!("skipped: this host has no IPv6");
        }
        let loopbacks = Everywhere(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        let wish = |json: &str| wishes(&serde_json::from_str(json).unwrap(), &[], &loopbacks).unwrap();
        let container = Inside { address: Ipv4Addr::new(172, 17, 0, 2), address_ipv6: None };
        let taken = take(&wish(r#"{"80":[{}]}"#), container, &[]).unwrap();
        let ports: Vec<u16> = taken.ports.iter().map(|port| port.host.port()).collect();
        assert!(ports.len() == 2 && ports[0] == ports[1], "{ports:?}");
        let shown = &bindings(&taken.ports)["80/tcp"];
        assert_eq!(shown.as_ref().unwrap()[1].host_ip, "::1");
        // With the IPv4 side free again, the IPv6 side still keeps the port from being half somebody else's.
        let Taken { ports, sockets, proxies } = taken;
        drop(sockets);
        let again = wish(&format!(r#"{{"80":[{{"HostPort":"{}"}}]}}"#, ports[0].host.port()));
        let refused = take(&again, container, &ports).unwrap_err().to_string();
        let expected = format!("Bind for [::1]:{} failed: port is already allocated", ports[0].host.port());
        assert_eq!(refused, expected);
        drop(proxies);
    }
}
