//! What the driver does that leaves something behind. Every action is fully resolved and holds no secret.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{DiskWish, Eviction, Port};
use crate::kind::Kind;

/// Makes one thing, or joins one that the store's machines share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its id.
    pub id: String,
    /// Where.
    pub location: String,
    /// Tags that the person wants beside ours.
    pub tags: BTreeMap<String, String>,
    /// Whether the machines of the store share it.
    pub shared: bool,
    /// Whether one that is there and not ours is joined as it is, because the person named it.
    pub joins: bool,
    /// What it is.
    pub what: What,
}

/// What is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A resource group.
    Group,
    /// A virtual network with one subnet.
    Network {
        /// The subnet's name.
        subnet: String,
        /// What both span.
        prefix: String,
    },
    /// A network security group that lets these in.
    Firewall {
        /// Who may reach SSH and the engine.
        allowed: Vec<String>,
        /// The engine's port.
        engine_port: u16,
        /// Further ports for everybody.
        open: Vec<Port>,
        /// The client that SSH is open for at first, from wherever it comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<String>,
    },
    /// A public address.
    Address {
        /// Whether it is a Standard one.
        standard: bool,
        /// The label of its name.
        label: Option<String>,
        /// The zone that it is in.
        zone: Option<String>,
    },
    /// A network interface.
    Interface {
        /// The id of the subnet.
        subnet: String,
        /// The id of the firewall.
        firewall: String,
        /// The id of the public address.
        address: Option<String>,
        /// The private address, where the person chose it.
        private: Option<Ipv4Addr>,
        /// Whether it goes straight to the hardware.
        accelerated: bool,
    },
    /// A virtual machine with its system disk.
    Machine(Box<Machine>),
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its size.
    pub size: String,
    /// The image: publisher, offer, SKU and version, or an id.
    pub image: Image,
    /// The plan of a bought image: publisher, product, name.
    pub plan: Option<[String; 3]>,
    /// The system disk.
    pub disk: DiskWish,
    /// The disk's id.
    pub disk_id: String,
    /// The id of its interface.
    pub interface: String,
    /// The id of its public address.
    pub address: Option<String>,
    /// Who signs in.
    pub user: Option<String>,
    /// The engine's port.
    pub engine_port: u16,
    /// Whether only RSA keys are taken where the cloud itself puts the key.
    pub rsa_only: bool,
    /// Whether it is a trusted launch.
    pub trusted_launch: bool,
    /// Whether the cloud keeps its console.
    pub console: bool,
    /// Spare capacity.
    pub spot: Option<Eviction>,
    /// The zone.
    pub zone: Option<String>,
    /// The id of an availability set.
    pub availability_set: Option<String>,
    /// The id of a proximity placement group.
    pub proximity_group: Option<String>,
    /// Whether it has an identity of its own.
    pub system_identity: bool,
    /// The ids of identities beside that.
    pub identities: Vec<String>,
    /// The person's part of the custom data, and its SHA-256 when the plan was made.
    pub custom_data: Option<(PathBuf, String)>,
}

/// An image, with the version that is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// One of a marketplace.
    Market {
        /// Who publishes it.
        publisher: String,
        /// Of what.
        offer: String,
        /// Which.
        sku: String,
        /// The version.
        version: String,
    },
    /// One of the person's own.
    Id(String),
}

impl Action {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.what {
            What::Group => Kind::Group,
            What::Network { .. } => Kind::Network,
            What::Firewall { .. } => Kind::Firewall,
            What::Address { .. } => Kind::Address,
            What::Interface { .. } => Kind::Interface,
            What::Machine(_) => Kind::Machine,
        }
    }
}
