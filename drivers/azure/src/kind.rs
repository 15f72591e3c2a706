//! The kinds of things that a machine is made of.

use serde::{Deserialize, Serialize};
use wharf_arm::Tested;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The resource group.
    Group,
    /// The virtual network, with its subnet.
    Network,
    /// The network security group.
    Firewall,
    /// The public address.
    Address,
    /// The network interface.
    Interface,
    /// The machine with its system disk.
    Machine,
}

pub(crate) const GROUPS: &str = "Microsoft.Resources/resourceGroups";
pub(crate) const MACHINES: &str = "Microsoft.Compute/virtualMachines";
pub(crate) const DISKS: &str = "Microsoft.Compute/disks";
pub(crate) const SKUS: &str = "Microsoft.Compute/skus";
pub(crate) const SUBSCRIPTIONS: &str = "Microsoft.Resources/subscriptions";
pub(crate) const NETWORKS: &str = "Microsoft.Network/virtualNetworks";
pub(crate) const FIREWALLS: &str = "Microsoft.Network/networkSecurityGroups";
pub(crate) const ADDRESSES: &str = "Microsoft.Network/publicIPAddresses";
pub(crate) const INTERFACES: &str = "Microsoft.Network/networkInterfaces";

const NETWORK_VERSIONS: &[&str] = &["2017-10-01", "2018-11-01", "2021-02-01", "2023-11-01", "2024-05-01"];
const COMPUTE_VERSIONS: &[&str] =
    &["2017-03-30", "2017-12-01", "2020-06-01", "2021-03-01", "2024-07-01", "2024-11-01"];

/// The versions that the bodies here were checked against.
pub(crate) const TESTED: Tested = Tested(&[
    (GROUPS, &["2018-02-01", "2018-05-01", "2019-10-01", "2020-06-01", "2021-04-01", "2024-03-01"]),
    (SUBSCRIPTIONS, &["2016-06-01"]),
    (MACHINES, COMPUTE_VERSIONS),
    (DISKS, &["2017-03-30", "2019-07-01"]),
    (SKUS, &["2017-09-01", "2019-04-01", "2021-07-01"]),
    (NETWORKS, NETWORK_VERSIONS),
    (FIREWALLS, NETWORK_VERSIONS),
    (ADDRESSES, NETWORK_VERSIONS),
    (INTERFACES, NETWORK_VERSIONS),
]);

impl Kind {
    /// Its type, as ARM spells it.
    #[must_use]
    pub const fn arm(self) -> &'static str {
        match self {
            Self::Group => GROUPS,
            Self::Network => NETWORKS,
            Self::Firewall => FIREWALLS,
            Self::Address => ADDRESSES,
            Self::Interface => INTERFACES,
            Self::Machine => MACHINES,
        }
    }

    /// For sentences.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Group => "resource group",
            Self::Network => "virtual network",
            Self::Firewall => "network security group",
            Self::Address => "public address",
            Self::Interface => "network interface",
            Self::Machine => "virtual machine",
        }
    }

    /// At the end of its name.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Network => "vnet",
            Self::Firewall => "nsg",
            Self::Address => "ip",
            Self::Interface => "nic",
            Self::Machine => "vm",
        }
    }

    /// How long its name may be. A machine's is its host's as well.
    pub(crate) const fn longest(self) -> usize {
        match self {
            Self::Group => 90,
            Self::Network | Self::Machine => 64,
            Self::Firewall | Self::Address | Self::Interface => 80,
        }
    }
}
