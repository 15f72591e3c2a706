//! The clouds that there are: which api-versions each advertises, what they are called, and in what they differ.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::description::profiles;

/// A cloud to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Public Azure: Entra, the newest versions.
    Public,
    /// US Gov: Entra, versions that lag.
    UsGov,
    /// China: Entra, versions that lag.
    China,
    /// Azure Stack Hub with the profile `2020-09-01-hybrid`.
    Hub2020,
    /// Azure Stack Hub with the profile `2019-03-01-hybrid`.
    Hub2019,
    /// Azure Stack Hub with the profile `2018-03-01-hybrid`.
    Hub2018,
}

/// Who signs clients in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentitySystem {
    /// Entra: a tenant in every path, `v2.0`, scopes.
    Entra,
    /// AD FS: no tenant in any path, resources.
    Adfs,
}

/// Namespace → type → versions, newest first.
pub(crate) type Advertised = BTreeMap<String, BTreeMap<String, Vec<String>>>;

const ALL: &[(Flavour, &str)] = &[
    (Flavour::Public, "public"),
    (Flavour::UsGov, "usgov"),
    (Flavour::China, "china"),
    (Flavour::Hub2020, "hub-2020-09-01"),
    (Flavour::Hub2019, "hub-2019-03-01"),
    (Flavour::Hub2018, "hub-2018-03-01"),
];

impl Flavour {
    /// Every flavour.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|(flavour, _)| *flavour)
    }

    /// Whether this is an Azure Stack Hub.
    pub fn is_hub(self) -> bool {
        matches!(self, Self::Hub2020 | Self::Hub2019 | Self::Hub2018)
    }

    /// Who signs clients in, unless the configuration says otherwise.
    pub fn identity(self) -> IdentitySystem {
        if self.is_hub() { IdentitySystem::Adfs } else { IdentitySystem::Entra }
    }

    /// The regions that there are.
    pub fn locations(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Public => &[
                ("eastus", "East US"),
                ("westus", "West US"),
                ("westus2", "West US 2"),
                ("westeurope", "West Europe"),
                ("northeurope", "North Europe"),
            ],
            Self::UsGov => &[("usgovvirginia", "USGov Virginia"), ("usgovarizona", "USGov Arizona")],
            Self::China => &[("chinanorth3", "China North 3"), ("chinaeast2", "China East 2")],
            _ => &[("stamp1", "stamp1")],
        }
    }

    /// The name that discovery answers with.
    pub fn cloud_name(self) -> &'static str {
        match self {
            Self::Public => "AzureCloud",
            Self::UsGov => "AzureUSGovernment",
            Self::China => "AzureChinaCloud",
            _ => "AzureStack",
        }
    }

    /// The suffix of a public address's name: `LABEL.LOCATION.` before it.
    pub fn address_suffix(self) -> &'static str {
        match self {
            Self::Public => "cloudapp.azure.com",
            Self::UsGov => "cloudapp.usgovcloudapi.net",
            Self::China => "cloudapp.chinacloudapi.cn",
            _ => "cloudapp.stamp.example",
        }
    }

    /// The last version that a lagging cloud knows.
    fn newest(self) -> &'static str {
        if self == Self::Public { "9999" } else { "2024-07-31" }
    }

    /// Every type with the versions that this cloud answers to.
    pub(crate) fn advertised(self) -> Advertised {
        // A stamp still answers to the profiles before its own.
        let all = ["2020-09-01-hybrid", "2019-03-01-hybrid", "2018-03-01-hybrid"];
        let own = match self {
            Self::Hub2020 => &all[..],
            Self::Hub2019 => &all[1..],
            Self::Hub2018 => &all[2..],
            Self::Public | Self::UsGov | Self::China => return continuous(self.newest()),
        };
        let mut advertised = Advertised::new();
        let named = own.iter().flat_map(|profile| profiles()[*profile].as_object().into_iter().flatten());
        for (namespace, types) in named {
            let Some(namespace) = proper_namespace(namespace) else { continue };
            for (kind, versions) in types.as_object().into_iter().flatten() {
                let versions = versions.as_array().into_iter().flatten().filter_map(|v| v.as_str());
                let kind = kind.replace("publicIpAddresses", "publicIPAddresses");
                let known = advertised.entry(namespace.to_owned()).or_default().entry(kind).or_default();
                known.extend(versions.map(str::to_owned));
                // The profile before these: what az's templates for machines name on every stamp.
                if namespace == "Microsoft.Network" {
                    known.push("2015-06-15".to_owned());
                }
                known.sort_unstable_by(|a, b| b.cmp(a));
                known.dedup();
            }
        }
        complete_profile(&mut advertised);
        advertised
    }
}

/// What a stamp answers to although its profile leaves it unnamed: the parts of what it does name.
fn complete_profile(advertised: &mut Advertised) {
    let copy = |types: &mut BTreeMap<String, Vec<String>>, from: &str, to: &str| {
        if let Some(versions) = types.get(from).cloned() {
            types.entry(to.to_owned()).or_insert(versions);
        }
    };
    if let Some(types) = advertised.get_mut("Microsoft.Compute") {
        for part in [
            "locations",
            "locations/operations",
            "locations/publishers",
            "locations/usages",
            "locations/vmSizes",
        ] {
            copy(types, "virtualMachines", part);
        }
        copy(types, "disks", "locations/diskoperations");
    }
    if let Some(types) = advertised.get_mut("Microsoft.Network") {
        let parts = [
            "virtualNetworks/subnets",
            "networkSecurityGroups/securityRules",
            "locations/operations",
            "locations/operationResults",
        ];
        for part in parts {
            copy(types, "virtualNetworks", part);
        }
    }
    if let Some(types) = advertised.get_mut("Microsoft.Resources") {
        for (from, to) in [
            ("resourceGroups", "subscriptions/resourceGroups"),
            ("subscriptions/resourceGroups", "resourceGroups"),
            ("resources", "subscriptions/resources"),
            ("subscriptions/resources", "resources"),
            ("providers", "subscriptions/providers"),
            ("resourceGroups", "subscriptions/operationresults"),
        ] {
            copy(types, from, to);
        }
        // The list of providers is asked for in this version before any other is known.
        for kind in ["providers", "subscriptions/providers"] {
            let versions = types.entry(kind.to_owned()).or_default();
            versions.push("2016-09-01".to_owned());
            versions.dedup();
        }
    }
}

fn proper_namespace(lower: &str) -> Option<&'static str> {
    match lower {
        "microsoft.compute" => Some("Microsoft.Compute"),
        "microsoft.network" => Some("Microsoft.Network"),
        "microsoft.resources" => Some("Microsoft.Resources"),
        "microsoft.storage" => Some("Microsoft.Storage"),
        "microsoft.authorization" => Some("Microsoft.Authorization"),
        "microsoft.keyvault" => Some("Microsoft.KeyVault"),
        _ => None,
    }
}

/// What a cloud that is updated all the time advertises, up to `newest`.
fn continuous(newest: &str) -> Advertised {
    let mut advertised = Advertised::new();
    for (namespace, types, versions) in CONTINUOUS {
        let mut versions: Vec<_> =
            versions.iter().filter(|v| **v <= newest).map(|v| (*v).to_owned()).collect();
        versions.reverse();
        let into = advertised.entry((*namespace).to_owned()).or_default();
        into.extend(types.iter().map(|kind| ((*kind).to_owned(), versions.clone())));
    }
    advertised
}

/// Namespace, types, versions oldest first. A version that no description is of is validated by the next that has one.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);
#[rustfmt::skip]
const CONTINUOUS: &[Row] = &[
    ("Microsoft.Compute",
     &["virtualMachines", "availabilitySets", "proximityPlacementGroups", "locations", "locations/usages", "locations/vmSizes",
       "locations/publishers", "locations/operations", "images", "sshPublicKeys", "virtualMachineScaleSets",
       "virtualMachines/extensions"],
     &["2015-06-15", "2016-03-30", "2017-03-30", "2017-12-01", "2018-04-01", "2018-06-01", "2018-10-01", "2019-03-01",
       "2019-07-01", "2019-12-01",
       "2020-06-01", "2020-12-01", "2021-03-01", "2021-04-01", "2021-07-01", "2021-11-01", "2022-03-01", "2022-08-01",
       "2022-11-01", "2023-03-01", "2023-07-01", "2023-09-01", "2024-03-01", "2024-07-01", "2024-11-01", "2025-04-01",
       "2025-11-01", "2026-04-01"]),
    ("Microsoft.Compute", &["disks", "snapshots", "diskEncryptionSets", "locations/diskoperations"],
     &["2017-03-30", "2018-04-01", "2018-06-01", "2018-09-30", "2019-03-01", "2019-07-01", "2019-11-01", "2020-05-01",
       "2020-06-30", "2020-09-30", "2020-12-01", "2021-04-01", "2021-08-01", "2021-12-01", "2022-03-02", "2022-07-02",
       "2023-01-02", "2023-04-02", "2023-10-02", "2024-03-02", "2025-01-02", "2026-03-02"]),
    ("Microsoft.Compute", &["galleries"],
     &["2018-06-01", "2019-03-01", "2019-07-01", "2019-12-01", "2020-09-30", "2021-07-01", "2021-10-01", "2022-01-03",
       "2022-03-03", "2022-08-03", "2023-07-03", "2024-03-03", "2025-03-03"]),
    ("Microsoft.Compute", &["skus"], &["2017-09-01", "2019-04-01", "2021-07-01"]),
    ("Microsoft.Network",
     &["virtualNetworks", "virtualNetworks/subnets", "networkSecurityGroups", "networkSecurityGroups/securityRules",
       "publicIPAddresses", "networkInterfaces", "locations", "locations/usages", "locations/operations",
       "locations/operationResults", "loadBalancers", "routeTables", "natGateways", "applicationSecurityGroups"],
     &["2015-05-01-preview", "2015-06-15", "2016-03-30", "2016-06-01", "2016-07-01", "2016-08-01", "2016-09-01", "2016-10-01",
       "2016-11-01", "2016-12-01", "2017-03-01", "2017-04-01", "2017-06-01", "2017-08-01", "2017-09-01", "2017-10-01",
       "2017-11-01", "2018-01-01", "2018-02-01", "2018-03-01", "2018-04-01", "2018-05-01", "2018-06-01", "2018-07-01",
       "2018-08-01", "2018-10-01", "2018-11-01", "2018-12-01", "2019-02-01", "2019-04-01", "2019-06-01", "2019-07-01",
       "2019-08-01", "2019-09-01", "2019-11-01", "2019-12-01", "2020-01-01", "2020-03-01", "2020-04-01", "2020-05-01",
       "2020-06-01", "2020-07-01", "2020-08-01", "2020-11-01", "2021-01-01", "2021-02-01", "2021-03-01", "2021-04-01",
       "2021-05-01", "2021-06-01", "2021-08-01", "2021-12-01", "2022-01-01", "2022-05-01", "2022-07-01", "2022-09-01",
       "2022-11-01", "2023-02-01", "2023-04-01", "2023-05-01", "2023-06-01", "2023-09-01", "2023-11-01", "2024-01-01",
       "2024-03-01", "2024-05-01", "2024-07-01", "2024-10-01", "2025-01-01", "2025-03-01", "2025-05-01", "2025-07-01",
       "2025-09-01", "2026-03-01"]),
    ("Microsoft.Resources",
     &["resourceGroups", "subscriptions/resourceGroups", "resources", "subscriptions/resources", "providers",
       "subscriptions/providers", "deployments", "subscriptions/operationresults"],
     &["2016-02-01", "2016-07-01", "2016-09-01", "2017-05-10", "2018-02-01", "2018-05-01", "2019-03-01", "2019-05-01",
       "2019-05-10", "2019-07-01", "2019-08-01", "2019-10-01",
       "2020-06-01", "2020-10-01", "2021-01-01", "2021-04-01", "2022-09-01", "2024-03-01", "2024-07-01", "2024-11-01",
       "2025-03-01", "2025-04-01"]),
    ("Microsoft.Resources", &["subscriptions", "subscriptions/locations", "tenants"],
     &["2016-06-01", "2018-06-01", "2019-06-01", "2019-11-01", "2020-01-01", "2021-01-01", "2022-12-01"]),
    ("Microsoft.Storage", &["storageAccounts"], &["2019-06-01", "2023-01-01"]),
    ("Microsoft.KeyVault", &["vaults"], &["2019-09-01", "2023-07-01"]),
    ("Microsoft.ManagedIdentity", &["userAssignedIdentities"], &["2018-11-30", "2023-01-31"]),
];

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ALL.iter().find(|(flavour, _)| flavour == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Flavour {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        ALL.iter().find(|(_, name)| *name == s).map(|(flavour, _)| *flavour).ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|(_, name)| *name).collect();
            format!("no such cloud: `{s}`; there are {}", names.join(", "))
        })
    }
}
