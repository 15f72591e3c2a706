//! What the driver does that leaves something behind. Every action is fully resolved and holds no secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{Disk, Metadata, Port, Spot};

/// Makes one thing, or joins one that the store's machines share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name, by which it is found again.
    pub name: String,
    /// Tags that the person wants beside ours.
    pub tags: BTreeMap<String, String>,
    /// What it is.
    pub what: What,
}

/// What is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A security group.
    Group(Group),
    /// An instance.
    Machine(Box<Machine>),
    /// An elastic address for the instance.
    Address,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The VPC that it is in.
    pub vpc: String,
    /// Whether the machines of the store share it.
    pub shared: bool,
    /// Who may reach SSH and the engine: networks.
    pub allowed: Vec<String>,
    /// The SSH port.
    pub ssh_port: u16,
    /// The engine's port.
    pub engine_port: u16,
    /// Further ports for everybody.
    pub open: Vec<Port>,
    /// The client that SSH is open for at first, from wherever it comes.
    pub client: Option<String>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The image's id.
    pub image: String,
    /// The device that its system is on.
    pub root_device: String,
    /// The instance type.
    pub instance_type: String,
    /// Where it may be, in order of preference: the next one is tried when a zone has no room.
    pub places: Vec<Place>,
    /// The name of our group, made or joined by another step.
    pub group: Option<String>,
    /// Groups that were there before.
    pub groups: Vec<String>,
    /// The system disk.
    pub disk: Disk,
    /// Whether it has a public address from the start.
    pub public: bool,
    /// How many IPv6 addresses it has.
    pub ipv6: i32,
    /// Whether the first of them stays its first for ever.
    pub primary_ipv6: bool,
    /// Spare capacity.
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
    /// Who signs in.
    pub user: Option<String>,
    /// The SSH port.
    pub ssh_port: u16,
    /// The engine's port.
    pub engine_port: u16,
    /// The person's part of the user data, and its SHA-256 when the plan was made.
    pub user_data: Option<(PathBuf, String)>,
}

/// One place that an instance may be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The subnet.
    pub subnet: String,
    /// Its zone.
    pub zone: String,
}
