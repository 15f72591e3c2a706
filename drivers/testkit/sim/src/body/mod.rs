//! What stands behind a simulated machine: nothing, an sshd, or a real host that whoever starts the cloud plugs in.

mod sshd;
mod turns;

use std::fmt;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

pub use sshd::SshdBodies;
pub use turns::{Turn, Turns};

/// The future that a body's verbs return.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Makes bodies.
pub trait Bodies: fmt::Debug + Send + Sync {
    /// Makes a body and boots it. It returns once the system would tell the cloud that it is up; an error is the reason
    /// why the machine's create fails.
    fn create(&self, birth: Birth) -> Doing<'_, Arc<dyn Body>>;

    /// The next free public address, where bodies can be reached only at certain ones.
    fn next_address(&self) -> Option<Ipv4Addr> {
        None
    }

    /// Whether machines have bodies at all.
    fn real(&self) -> bool {
        true
    }
}

/// One machine's body.
pub trait Body: fmt::Debug + Send + Sync {
    /// Gives it another public address, or takes it away; at once if it is on.
    fn move_to(&self, public: Option<String>) -> Doing<'_, ()>;
    /// Boots it again; its disk is as it was.
    fn start(&self) -> Doing<'_, ()>;
    /// Takes its power.
    fn stop(&self) -> Doing<'_, ()>;
    /// Takes it away with everything that it was.
    fn destroy(&self) -> Doing<'_, ()>;
    /// Lets in what every list of rules lets in, and drops the rest. A list decides by its first rule that matches and
    /// refuses when none does; without a list everything is let in.
    fn admit(&self, rules: Vec<Vec<Rule>>) -> Doing<'_, ()>;
    /// What its console shows.
    fn console(&self) -> Doing<'_, String>;
}

/// What a body is born with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// The machine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the system calls itself.
    pub host_name: String,
    /// The first user, who may do everything by sudo.
    pub user: String,
    /// Public keys that sign in as this user.
    pub keys: Vec<String>,
    /// Custom data, decoded.
    pub custom_data: Option<Vec<u8>>,
    /// User data, decoded.
    pub user_data: Option<Vec<u8>>,
    /// Whether the image runs cloud-init: without it, custom data lies there and nothing reads it.
    pub cloud_init: bool,
    /// `publisher:offer:sku:version`.
    pub image: String,
    /// Processors.
    pub cores: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// The address inside.
    pub private_address: Option<String>,
    /// The address outside, where it has one.
    pub public_address: Option<String>,
    /// What may come in.
    pub rules: Vec<Vec<Rule>>,
}

/// One inbound rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The lowest decides.
    pub priority: u16,
    /// Lets in, or keeps out.
    pub allow: bool,
    /// `tcp`, `udp`, `icmp` or `*`.
    pub protocol: String,
    /// Prefixes, `*`, or tags such as `Internet` and `VirtualNetwork`.
    pub sources: Vec<String>,
    /// From and to, both included.
    pub ports: Vec<(u16, u16)>,
}

/// No bodies: machines are records alone.
#[derive(Debug)]
pub struct NoBodies;

impl Bodies for NoBodies {
    fn create(&self, birth: Birth) -> Doing<'_, Arc<dyn Body>> {
        Box::pin(async move { Err(format!("{} can have no body", birth.name)) })
    }

    fn real(&self) -> bool {
        false
    }
}

/// Whether a list of rules lets a TCP connection from `source` to `port` in. `inside` says whether a source is of the
/// virtual network.
pub fn lets_in(lists: &[Vec<Rule>], source: std::net::IpAddr, port: u16, inside: bool) -> bool {
    lists.iter().all(|rules| {
        let mut rules: Vec<_> = rules.iter().collect();
        rules.sort_by_key(|rule| rule.priority);
        let matching = rules.into_iter().find(|rule| {
            ["tcp", "*"].contains(&rule.protocol.as_str())
                && rule.ports.iter().any(|(first, last)| (*first..=*last).contains(&port))
                && rule.sources.iter().any(|prefix| covers(prefix, source, inside))
        });
        matching.is_some_and(|rule| rule.allow)
    })
}

fn covers(prefix: &str, source: std::net::IpAddr, inside: bool) -> bool {
    match prefix.to_ascii_lowercase().as_str() {
        "*" | "any" | "0.0.0.0/0" | "::/0" => true,
        "internet" => !inside,
        "virtualnetwork" => inside,
        text => {
            let (host, bits) = text.split_once('/').unwrap_or((text, ""));
            match (host.parse::<std::net::IpAddr>(), source) {
                (Ok(std::net::IpAddr::V4(net)), std::net::IpAddr::V4(from)) => {
                    let bits: u32 = bits.parse().unwrap_or(32);
                    let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
                    u32::from(net) & mask == u32::from(from) & mask
                }
                (Ok(std::net::IpAddr::V6(net)), std::net::IpAddr::V6(from)) => {
                    let bits: u32 = bits.parse().unwrap_or(128);
                    let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
                    u128::from(net) & mask == u128::from(from) & mask
                }
                _ => false,
            }
        }
    }
}
