//! What a person may set for AWS. Every option of docker-machine's amazonec2 driver is here by its name, with today's
//! defaults, and what that one lacked. Who signs in is the person's and stands in no configuration.

mod parse;

pub(crate) use parse::{network, region_of};

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wharf_driver::{Configure, Mistake, Setting, Settings};

use crate::Aws;
use crate::settings::{PLACE, SETTINGS};

/// The configuration, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Where every service answers; `None` is each one's own place in the region.
    pub endpoint: Option<String>,
    /// The region; `None` is the person's own.
    pub region: Option<String>,
    /// The image.
    pub image: Image,
    /// Instance types in order of preference; the first that is offered wins.
    pub types: Vec<String>,
    /// The VPC; `None` is the subnet's, or the default one.
    pub vpc: Option<String>,
    /// The subnet; `None` is any of the VPC's.
    pub subnet: Option<String>,
    /// The zone, by its letter or name.
    pub zone: Option<String>,
    /// Groups that are there and stay as they are, by id or name; none: one of the store's own.
    pub groups: Vec<String>,
    /// Who may reach SSH and the engine: networks.
    pub allowed: Vec<String>,
    /// Whether the person who makes the machine may, from wherever they are; and whoever is let in later.
    pub me: bool,
    /// Further ports that everybody may reach.
    pub open_ports: Vec<Port>,
    /// Whether the machine has a public address.
    pub public_address: bool,
    /// Whether it is reached by its private address all the same.
    pub use_private: bool,
    /// Whether its public address is its own and stays when it is stopped.
    pub elastic: bool,
    /// How many IPv6 addresses it has.
    pub ipv6: i32,
    /// Whether it is reached by the first of them.
    pub ipv6_only: bool,
    /// Whether that one stays its first for ever.
    pub primary_ipv6: bool,
    /// The system disk.
    pub disk: Disk,
    /// Spare capacity that may be taken away.
    pub spot: Option<Spot>,
    /// The IAM instance profile, by name or by ARN.
    pub profile: Option<String>,
    /// A key pair that is there, beside the key that wharf makes.
    pub key_pair: Option<String>,
    /// A placement group that is there.
    pub placement_group: Option<String>,
    /// `default`, `dedicated` or `host`.
    pub tenancy: Option<String>,
    /// Whether it is watched every minute.
    pub monitoring: bool,
    /// Whether its way to its volumes is its own.
    pub ebs_optimized: bool,
    /// Its metadata.
    pub metadata: Metadata,
    /// A file that cloud-init reads beside ours.
    pub user_data: Option<PathBuf>,
    /// Tags beside ours.
    pub tags: BTreeMap<String, String>,
    /// Who signs in over SSH; `None` is who signs in to every machine of ours.
    pub user: Option<String>,
    /// The SSH port.
    pub ssh_port: u16,
    /// The SSH jump hosts to a machine without a public address.
    pub jumps: Vec<wharf_driver::Jump>,
}

/// Which image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// `ami-…`.
    Id(String),
    /// Parameters in which a publisher says which one is current, by architecture.
    Parameter {
        /// What the person called it.
        name: String,
        /// For `x86_64`, and for `arm64`.
        paths: [String; 2],
    },
    /// The newest of an owner's that is called like this, with `*` for anything.
    Newest {
        /// `self`, `amazon`, or an account.
        owner: String,
        /// Its name.
        name: String,
    },
}

/// A port of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Whether it is UDP.
    pub udp: bool,
}

/// The system disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// In GiB; `None` is 16, or the image's where that is more.
    pub size_gib: Option<i32>,
    /// `gp3` and the like.
    pub kind: String,
    /// Operations a second, where the person chose.
    pub iops: Option<i32>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// With which key; `None` is the account's own for volumes.
    pub key: Option<String>,
    /// The device; `None` is the image's.
    pub device: Option<String>,
}

/// Spare capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The most that is paid, in dollars an hour; `None` is the usual price.
    pub most: Option<String>,
}

/// What the machine may learn of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Whether there is any.
    pub enabled: bool,
    /// Whether only those who began a session are answered.
    pub tokens_required: bool,
    /// How far an answer travels: 1 ends at the machine, 2 reaches containers.
    pub hops: i32,
    /// Whether it answers by IPv6 too.
    pub ipv6: bool,
}

impl Configure for Aws {
    const SETTINGS: &'static [Setting] = SETTINGS;
    const PLACE: Option<&'static str> = Some(PLACE);

    fn configure(set: &Settings) -> Result<Config, Vec<Mistake>> {
        parse::configure(set)
    }
}
