//! The kinds of resources: what they are called, and whose they are.

use crate::cloud::Style;

/// A kind of resource that this cloud has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    // In the order in which a group's delete takes them.
    Machine,
    Interface,
    PublicAddress,
    VirtualNetwork,
    SecurityGroup,
    Disk,
    AvailabilitySet,
    ProximityGroup,
}

const ALL: &[(Kind, &str, &str)] = &[
    (Kind::Machine, "Microsoft.Compute", "virtualMachines"),
    (Kind::Interface, "Microsoft.Network", "networkInterfaces"),
    (Kind::PublicAddress, "Microsoft.Network", "publicIPAddresses"),
    (Kind::VirtualNetwork, "Microsoft.Network", "virtualNetworks"),
    (Kind::SecurityGroup, "Microsoft.Network", "networkSecurityGroups"),
    (Kind::Disk, "Microsoft.Compute", "disks"),
    (Kind::AvailabilitySet, "Microsoft.Compute", "availabilitySets"),
    (Kind::ProximityGroup, "Microsoft.Compute", "proximityPlacementGroups"),
];

impl Kind {
    /// The kind of `namespace`/`name`, in any case.
    pub(crate) fn find(namespace: &str, name: &str) -> Option<Self> {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        ALL.iter().find(|(_, n, k)| same(n, namespace) && same(k, name)).map(|(kind, _, _)| *kind)
    }

    /// `Microsoft.Compute`.
    pub(crate) fn namespace(self) -> &'static str {
        ALL.iter().find(|(kind, _, _)| *kind == self).map_or("", |(_, namespace, _)| namespace)
    }

    /// `virtualMachines`.
    pub(crate) fn name(self) -> &'static str {
        ALL.iter().find(|(kind, _, _)| *kind == self).map_or("", |(_, _, name)| name)
    }

    /// `Microsoft.Compute/virtualMachines`.
    pub(crate) fn full(self) -> String {
        format!("{}/{}", self.namespace(), self.name())
    }

    /// The provider as the descriptions call it.
    pub(crate) fn provider(self) -> &'static str {
        if self.namespace() == "Microsoft.Compute" { "compute" } else { "network" }
    }

    /// Whose long-running operations it has.
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Disk => Style::Disk,
            _ if self.namespace() == "Microsoft.Compute" => Style::Compute,
            _ => Style::Network,
        }
    }

    /// The short name with which compute's complaints begin.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Machine => "vm",
            Self::Disk => "disk",
            Self::AvailabilitySet => "availabilitySet",
            _ => "resource",
        }
    }

    /// What the network provider calls a write of it.
    pub(crate) fn write_name(self) -> &'static str {
        match self {
            Self::VirtualNetwork => "PutVirtualNetworkOperation",
            Self::SecurityGroup => "PutNetworkSecurityGroupOperation",
            Self::PublicAddress => "PutPublicIpAddressOperation",
            Self::Interface => "PutNicOperation",
            _ => "PutOperation",
        }
    }
}
