//! Published ports: from what a client asks for to ports of the host that nobody else has.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use wharfd_api_types::container::PortBindings;
use wharfd_api_types::network::PortBinding;

use super::record::Port;
use crate::engine::error::{Error, Result};
use crate::net::{self, Protocol};

/// One wish: a container's port on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) protocol: Protocol,
    pub(super) container: u16,
    address: Ipv4Addr,
    /// Tried in order; zero takes any free one.
    ports: RangeInclusive<u16>,
}

/// Reads what `docker run -p` and `-P` turn into.
pub(super) fn wishes(bindings: &PortBindings, all: &[String]) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    for (port, places) in bindings {
        let (container, protocol) = container_port(port)?;
        for place in places.iter().flatten() {
            let ports = host_ports(&place.host_port)?;
            wishes.push(Wish { protocol, container, address: host_address(&place.host_ip)?, ports });
        }
    }
    let placed = |port: &str| bindings.get(port).and_then(Option::as_ref).is_some_and(|p| !p.is_empty());
    for port in all.iter().filter(|port| !placed(port)) {
        let (container, protocol) = container_port(port)?;
        wishes.push(Wish { protocol, container, address: Ipv4Addr::UNSPECIFIED, ports: 0..=0 });
    }
    Ok(wishes)
}

/// Takes the ports of the host, all or none. `others` are those of other containers.
pub(super) fn take(
    wishes: &[Wish],
    container: Ipv4Addr,
    others: &[Port],
) -> Result<(Vec<Port>, Vec<OwnedFd>)> {
    let mut ports = Vec::new();
    let mut sockets = Vec::new();
    for wish in wishes {
        let reserved = wish.reserve(others)?;
        ports.push(Port {
            protocol: wish.protocol,
            host: SocketAddrV4::new(wish.address, reserved.port),
            container: SocketAddrV4::new(container, wish.container),
        });
        sockets.push(reserved.socket);
    }
    Ok((ports, sockets))
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
    /// The first port of the range that is free.
    fn reserve(&self, others: &[Port]) -> Result<net::Reserved> {
        let mut refused = None;
        for port in self.ports.clone() {
            match net::reserve(self.protocol, self.address, port) {
                Ok(reserved) => return Ok(reserved),
                Err(error @ net::Error::PortTaken(_)) => refused = Some(error),
                Err(error) => return Err(Error::internal("publishing a port", error)),
            }
        }
        let first = SocketAddrV4::new(self.address, *self.ports.start());
        let ours =
            others.iter().any(|port| port.protocol == self.protocol && port.host.port() == first.port());
        Err(match refused {
            Some(error) if !ours => Error::internal("driver failed programming external connectivity", error),
            _ => Error::new(
                crate::engine::error::Kind::Internal,
                format!("Bind for {first} failed: port is already allocated"),
            ),
        })
    }
}

/// `80`, `80/tcp`, `53/udp`.
pub(super) fn container_port(text: &str) -> Result<(u16, Protocol)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let port = port.parse().ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| Error::invalid(format!("invalid port specification: \"{text}\"")))?;
    match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Ok((port, Protocol::Tcp)),
        "udp" => Ok((port, Protocol::Udp)),
        "sctp" => Err(Error::unimplemented("publishing SCTP ports is not supported by this engine")),
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

fn host_address(text: &str) -> Result<Ipv4Addr> {
    match text {
        "" => Ok(Ipv4Addr::UNSPECIFIED),
        text if text.contains(':') => Err(Error::invalid(format!(
            "publishing on an IPv6 address is not supported by this engine: {text}"
        ))),
        text => text.parse().map_err(|_| Error::invalid(format!("invalid IP address: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, all: &[&str]) -> Result<Vec<Wish>> {
        let all: Vec<String> = all.iter().map(|port| (*port).to_owned()).collect();
        wishes(&serde_json::from_str(json).unwrap(), &all)
    }

    #[test]
    fn reads_addresses_ranges_and_ports_for_the_kernel_to_choose() {
        let asked = r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8000-8002"},{}],"53/udp":[{"HostPort":"53"}],"9":null}"#;
        let wishes = parse(asked, &["80/tcp", "443/tcp", "9"]).unwrap();
        let shown: Vec<String> = wishes
            .iter()
            .map(|w| {
                format!(
                    "{}:{}-{} {}/{}",
                    w.address,
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
                "0.0.0.0:53-53 53/udp",
                "127.0.0.1:8000-8002 80/tcp",
                "0.0.0.0:0-0 80/tcp",
                "0.0.0.0:0-0 443/tcp",
                "0.0.0.0:0-0 9/tcp"
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
            r#"{"1":[{"HostIp":"::1"}]}"#,
            r#"{"1":[{"HostIp":"nowhere"}]}"#,
        ] {
            assert!(parse(wrong, &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_taken_port_is_told_in_dockerds_words_and_a_range_goes_on() {
        let local = |json: &str| parse(&json.replace('~', r#""HostIp":"127.0.0.1""#), &[]).unwrap();
        let container = Ipv4Addr::new(172, 17, 0, 2);
        let (first, _sockets) = take(&local(r#"{"80":[{~}]}"#), container, &[]).unwrap();
        let port = first[0].host.port();
        let again = local(&format!(r#"{{"80":[{{~,"HostPort":"{port}"}}]}}"#));
        let refused = take(&again, container, &first).unwrap_err().to_string();
        assert_eq!(refused, format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        let foreign = take(&again, container, &[]).unwrap_err().to_string();
        assert!(foreign.ends_with("address already in use"), "{foreign}");
        let range = local(&format!(r#"{{"80":[{{~,"HostPort":"{port}-{}"}}]}}"#, port.saturating_add(50)));
        let (next, _sockets) = take(&range, container, &first).unwrap();
        assert!(next[0].host.port() > port);
        assert!(bindings(&next)["80/tcp"].as_ref().unwrap()[0].host_ip == "127.0.0.1");
    }
}
