//! Where a repository may be fetched from: mirrors, the registry itself, and whether plain HTTP is allowed.

use std::net::IpAddr;
use std::path::PathBuf;

use super::error::{Error, Result};
use super::reference::DEFAULT_DOMAIN;

/// Docker Hub's registry, which doesn't live under its name.
const HUB: &str = "registry-1.docker.io";

/// What the configuration says about registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Tried in order before Docker Hub.
    pub(crate) mirrors: Vec<String>,
    /// Host, host and port, or CIDR.
    pub(crate) insecure: Vec<String>,
    /// Folders of `<host:port>/*.crt`.
    pub(crate) certificates: Vec<PathBuf>,
}

/// One place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Scheme, host and port, without a slash at the end.
    pub(crate) base: String,
    /// What `certs.d` and the credentials know it as.
    pub(crate) host: String,
    pub(crate) verify: bool,
    /// Only the registry itself gets the user's password.
    pub(crate) mirror: bool,
}

impl Settings {
    /// Everywhere that a domain's repositories may be, best first.
    pub(crate) fn endpoints(&self, domain: &str) -> Result<Vec<Endpoint>> {
        let mut endpoints = Vec::new();
        if domain == DEFAULT_DOMAIN {
            for mirror in &self.mirrors {
                endpoints.push(self.mirror(mirror)?);
            }
            endpoints.push(Endpoint {
                base: format!("https://{HUB}"),
                host: HUB.into(),
                verify: true,
                mirror: false,
            });
            return Ok(endpoints);
        }
        let verify = !self.is_insecure(domain);
        let at = |scheme: &str| Endpoint {
            base: format!("{scheme}://{domain}"),
            host: domain.to_owned(),
            verify,
            mirror: false,
        };
        endpoints.push(at("https"));
        if !verify {
            endpoints.push(at("http"));
        }
        Ok(endpoints)
    }

    fn mirror(&self, mirror: &str) -> Result<Endpoint> {
        let base = mirror.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("https://{base}") };
        let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        let host = host.filter(|host| !host.is_empty()).ok_or_else(|| Error::Address(mirror.to_owned()))?;
        let host = host.split('/').next().unwrap_or(host).to_owned();
        Ok(Endpoint { verify: !self.is_insecure(&host), base, host, mirror: true })
    }

    /// Loopback is insecure by default, as with dockerd: nobody can listen there who isn't on the machine.
    pub(crate) fn is_insecure(&self, domain: &str) -> bool {
        let host = host_of(domain);
        let address: Option<IpAddr> = host.parse().ok();
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        self.insecure.iter().any(|entry| {
            let entry =
                entry.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches('/');
            entry == domain || entry == host || address.is_some_and(|address| cidr_holds(entry, address))
        })
    }
}

fn host_of(domain: &str) -> &str {
    match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => domain.split(':').next().unwrap_or(domain),
    }
}

fn cidr_holds(cidr: &str, address: IpAddr) -> bool {
    let Some((network, bits)) = cidr.split_once('/') else { return false };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(settings: &Settings, domain: &str) -> Vec<String> {
        settings.endpoints(domain).unwrap().into_iter().map(|endpoint| endpoint.base).collect()
    }

    #[test]
    fn mirrors_stand_before_docker_hub_and_nowhere_else() {
        let settings = Settings { mirrors: vec!["http://m:5000/".into(), "n".into()], ..Settings::default() };
        assert_eq!(
            bases(&settings, "docker.io"),
            ["http://m:5000", "https://n", "https://registry-1.docker.io"]
        );
        assert_eq!(bases(&settings, "ghcr.io"), ["https://ghcr.io"]);
    }

    #[test]
    fn plain_http_only_where_it_was_asked_for_or_never_leaves_the_machine() {
        let insecure = vec!["10.0.0.0/8".into(), "reg.example:5000".into(), "plain.example".into()];
        let settings = Settings { insecure, ..Settings::default() };
        for domain in [
            "127.0.0.1:5000",
            "127.1.2.3",
            "localhost:5000",
            "[::1]:5000",
            "10.1.2.3:80",
            "reg.example:5000",
            "plain.example:1",
        ] {
            assert_eq!(bases(&settings, domain), [format!("https://{domain}"), format!("http://{domain}")]);
        }
        for domain in ["reg.example", "11.0.0.1", "[fe80::1]:5000", "localhost.example"] {
            assert_eq!(bases(&settings, domain), [format!("https://{domain}")]);
        }
    }
}
