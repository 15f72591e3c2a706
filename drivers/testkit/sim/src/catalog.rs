//! What is on offer: sizes, images and where. The real catalogues run to thousands; these are the ones that a container
//! host is made from, with the properties that decide whether a request fits.

use crate::flavour::Flavour;

/// A machine's size.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// As `Standard_B2s`.
    pub name: &'static str,
    /// Processors.
    pub cores: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// Local disk in MiB; 0 without one.
    pub local: u32,
    /// The family that its quota is of.
    pub family: &'static str,
    /// Hypervisor generations, as `V1,V2`.
    pub generations: &'static str,
    /// The most data disks.
    pub data_disks: u32,
    /// Can have accelerated networking.
    pub accelerated: bool,
    /// Can hold its system on the local disk.
    pub ephemeral: bool,
    /// Can be a trusted launch.
    pub trusted: bool,
    /// Can be spot.
    pub spot: bool,
    /// `x64` or `Arm64`.
    pub architecture: &'static str,
    hub: bool,
    lagging: bool,
}

#[rustfmt::skip]
#[expect(clippy::too_many_arguments, reason = "one row of the table below")]
const fn size(
    name: &'static str, cores: u32, memory: u32, local: u32, family: &'static str, generations: &'static str, can: u8, hub: bool,
    lagging: bool,
) -> Size {
    let (accelerated, ephemeral, trusted, spot) = (can & 1 != 0, can & 2 != 0, can & 4 != 0, can & 8 != 0);
    Size { name, cores, memory, local, family, generations, data_disks: cores * 2, accelerated, ephemeral, trusted, spot,
           architecture: if can & 16 != 0 { "Arm64" } else { "x64" }, hub, lagging }
}

/// What `can` is made of.
const FAST: u8 = 1;
const EPHEMERAL: u8 = 2;
const TRUSTED: u8 = 4;
const SPOT: u8 = 8;
const ARM: u8 = 16;

#[rustfmt::skip]
const SIZES: &[Size] = &[
    size("Standard_A1", 1, 1792, 71_680, "standardA0_A7Family", "V1", 0, true, true),
    size("Standard_A2", 2, 3584, 138_240, "standardA0_A7Family", "V1", 0, true, true),
    size("Standard_A1_v2", 1, 2048, 10_240, "standardAv2Family", "V1", SPOT, true, true),
    size("Standard_A2_v2", 2, 4096, 20_480, "standardAv2Family", "V1", SPOT, true, true),
    size("Standard_D1_v2", 1, 3584, 51_200, "standardDv2Family", "V1", SPOT, true, true),
    size("Standard_D2_v2", 2, 7168, 102_400, "standardDv2Family", "V1", FAST | SPOT, true, true),
    size("Standard_DS1_v2", 1, 3584, 7168, "standardDSv2Family", "V1,V2", EPHEMERAL | TRUSTED | SPOT, true, true),
    size("Standard_DS2_v2", 2, 7168, 14_336, "standardDSv2Family", "V1,V2", FAST | EPHEMERAL | TRUSTED | SPOT, true, true),
    size("Standard_B1s", 1, 1024, 4096, "standardBSFamily", "V1,V2", TRUSTED, false, true),
    size("Standard_B1ms", 1, 2048, 4096, "standardBSFamily", "V1,V2", TRUSTED, false, true),
    size("Standard_B2s", 2, 4096, 8192, "standardBSFamily", "V1,V2", TRUSTED, false, true),
    size("Standard_B2ms", 2, 8192, 16_384, "standardBSFamily", "V1,V2", TRUSTED, false, true),
    size("Standard_B2ts_v2", 2, 1024, 0, "standardBsv2Family", "V1,V2", FAST | TRUSTED, false, false),
    size("Standard_B2ls_v2", 2, 4096, 0, "standardBsv2Family", "V1,V2", FAST | TRUSTED, false, false),
    size("Standard_B2s_v2", 2, 8192, 0, "standardBsv2Family", "V1,V2", FAST | TRUSTED, false, false),
    size("Standard_B2pls_v2", 2, 4096, 0, "standardBpsv2Family", "V2", FAST | ARM, false, false),
    size("Standard_D2s_v3", 2, 8192, 16_384, "standardDSv3Family", "V1,V2", FAST | EPHEMERAL | TRUSTED | SPOT, false, true),
    size("Standard_D4s_v3", 4, 16_384, 32_768, "standardDSv3Family", "V1,V2", FAST | EPHEMERAL | TRUSTED | SPOT, false, true),
    size("Standard_D2a_v4", 2, 8192, 51_200, "standardDAv4Family", "V1,V2", FAST | TRUSTED | SPOT, false, true),
    size("Standard_D2s_v5", 2, 8192, 0, "standardDSv5Family", "V1,V2", FAST | TRUSTED | SPOT, false, true),
    size("Standard_D2ds_v5", 2, 8192, 76_800, "standardDDSv5Family", "V1,V2", FAST | EPHEMERAL | TRUSTED | SPOT, false, true),
    size("Standard_D4s_v5", 4, 16_384, 0, "standardDSv5Family", "V1,V2", FAST | TRUSTED | SPOT, false, true),
    size("Standard_D2s_v6", 2, 8192, 0, "standardDSv6Family", "V2", FAST | TRUSTED | SPOT, false, false),
    size("Standard_F2s_v2", 2, 4096, 16_384, "standardFSv2Family", "V1,V2", FAST | EPHEMERAL | TRUSTED | SPOT, true, true),
];

/// An image.
#[derive(Debug, Clone, Copy)]
pub struct Image {
    /// Who publishes it.
    pub publisher: &'static str,
    /// Of what.
    pub offer: &'static str,
    /// Which.
    pub sku: &'static str,
    /// Versions, newest last.
    pub versions: &'static [&'static str],
    /// `V1` or `V2`.
    pub generation: &'static str,
    /// `x64` or `Arm64`.
    pub architecture: &'static str,
    /// The least size of its disk in GB.
    pub disk: u64,
    /// Must be bought: its plan's name, product and publisher.
    pub plan: bool,
    /// Can be a trusted launch.
    pub trusted: bool,
    /// Runs cloud-init when it first boots.
    pub cloud_init: bool,
    places: Places,
}

/// Where an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Places {
    /// Public, and clouds that lag.
    Public,
    /// Everywhere, stamps too (where the operator syndicated it).
    Everywhere,
}

#[rustfmt::skip]
const IMAGES: &[Image] = &[
    Image { publisher: "Canonical", offer: "0001-com-ubuntu-server-focal", sku: "20_04-lts",
            versions: &["20.04.202405080", "20.04.202505200"], generation: "V1", architecture: "x64", disk: 30, plan: false,
            trusted: false, cloud_init: true, places: Places::Everywhere },
    Image { publisher: "Canonical", offer: "UbuntuServer", sku: "18.04-LTS",
            versions: &["18.04.202306070"], generation: "V1", architecture: "x64", disk: 30, plan: false, trusted: false,
            cloud_init: true, places: Places::Everywhere },
    Image { publisher: "Canonical", offer: "0001-com-ubuntu-server-jammy", sku: "22_04-lts",
            versions: &["22.04.202506200", "22.04.202607100"], generation: "V1", architecture: "x64", disk: 30, plan: false,
            trusted: false, cloud_init: true, places: Places::Everywhere },
    Image { publisher: "Canonical", offer: "0001-com-ubuntu-server-jammy", sku: "22_04-lts-gen2",
            versions: &["22.04.202506200", "22.04.202607100"], generation: "V2", architecture: "x64", disk: 30, plan: false,
            trusted: true, cloud_init: true, places: Places::Public },
    Image { publisher: "Canonical", offer: "ubuntu-24_04-lts", sku: "server",
            versions: &["24.04.202506060", "24.04.202608120"], generation: "V2", architecture: "x64", disk: 30, plan: false,
            trusted: true, cloud_init: true, places: Places::Public },
    Image { publisher: "Canonical", offer: "ubuntu-24_04-lts", sku: "server-gen1",
            versions: &["24.04.202506060", "24.04.202608120"], generation: "V1", architecture: "x64", disk: 30, plan: false,
            trusted: false, cloud_init: true, places: Places::Public },
    Image { publisher: "Canonical", offer: "ubuntu-24_04-lts", sku: "server-arm64",
            versions: &["24.04.202608120"], generation: "V2", architecture: "Arm64", disk: 30, plan: false, trusted: false,
            cloud_init: true, places: Places::Public },
    Image { publisher: "Debian", offer: "debian-12", sku: "12-gen2",
            versions: &["0.20260712.2172"], generation: "V2", architecture: "x64", disk: 30, plan: false, trusted: true,
            cloud_init: true, places: Places::Public },
    Image { publisher: "Debian", offer: "debian-12", sku: "12",
            versions: &["0.20260712.2172"], generation: "V1", architecture: "x64", disk: 30, plan: false, trusted: false,
            cloud_init: true, places: Places::Everywhere },
    Image { publisher: "RedHat", offer: "RHEL", sku: "7-RAW",
            versions: &["7.9.2023072515"], generation: "V1", architecture: "x64", disk: 64, plan: false, trusted: false,
            cloud_init: false, places: Places::Everywhere },
    Image { publisher: "kinvolk", offer: "flatcar-container-linux", sku: "stable",
            versions: &["4230.2.1"], generation: "V1", architecture: "x64", disk: 30, plan: true, trusted: false,
            cloud_init: true, places: Places::Public },
];

/// The sizes that a cloud has.
pub fn sizes(flavour: Flavour) -> impl Iterator<Item = &'static Size> {
    SIZES.iter().filter(move |size| match flavour {
        Flavour::Public => true,
        Flavour::UsGov | Flavour::China => size.lagging,
        _ => size.hub,
    })
}

/// The images that a cloud has; a stamp has those that its operator `syndicated`.
pub fn images(flavour: Flavour, syndicated: bool) -> impl Iterator<Item = &'static Image> {
    IMAGES.iter().filter(move |image| !flavour.is_hub() || syndicated && image.places == Places::Everywhere)
}

impl Image {
    /// The version that `wanted` means: itself, or the newest for `latest`.
    pub fn version(&self, wanted: &str) -> Option<&'static str> {
        if wanted.eq_ignore_ascii_case("latest") {
            return self.versions.last().copied();
        }
        self.versions.iter().find(|version| **version == wanted).copied()
    }
}
