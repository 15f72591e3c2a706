//! What a person may set for Azure. Every option of docker-machine's driver is here by its name, with today's defaults,
//! and what that one lacked. Who signs in is the person's and stands in no configuration: see [`Takes::Personal`].

mod parse;

pub(crate) use parse::{endpoint, simple};

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wharf_driver::{Configure, Mistake, Setting, Settings, Takes};

use crate::Azure;

/// The configuration, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Where Azure Resource Manager answers.
    pub endpoint: String,
    /// The tenant; `None` asks the endpoint whose the subscription is.
    pub tenant: Option<String>,
    /// The subscription; `None` is the only one that the account sees.
    pub subscription: Option<String>,
    /// Certificates of authorities that are believed beside the system's.
    pub authority: Option<PathBuf>,
    /// Where; `None` is the endpoint's only location, or a usual one.
    pub location: Option<String>,
    /// Sizes in order of preference; the first that is offered wins.
    pub sizes: Vec<String>,
    /// Images in order of preference; the first that is offered wins.
    pub images: Vec<String>,
    /// The resource group; `None` is the store's own.
    pub group: Option<String>,
    /// Whether the machine has a group, network and firewall for itself.
    pub alone: bool,
    /// The virtual network, and the group that it is in where that is another one; `None` is the store's own.
    pub network: Option<NetworkName>,
    /// The subnet.
    pub subnet: String,
    /// What a subnet of ours spans.
    pub subnet_prefix: String,
    /// The network security group; `None` is the store's own.
    pub firewall: Option<String>,
    /// Whether the machine has a public address.
    pub public_address: bool,
    /// Whether it is reached by its private address all the same.
    pub use_private: bool,
    /// The label of the public address's name.
    pub label: Option<String>,
    /// The private address; `None` lets the cloud choose.
    pub private_address: Option<Ipv4Addr>,
    /// Who may reach SSH and the engine: prefixes, or `*`.
    pub allowed: Vec<String>,
    /// Whether the person who makes the machine may, from wherever they are; and whoever is let in later.
    #[serde(default)]
    pub me: bool,
    /// Further ports that everybody may reach.
    pub open_ports: Vec<Port>,
    /// An availability set that is there.
    pub availability_set: Option<String>,
    /// A proximity placement group that is there.
    pub proximity_group: Option<String>,
    /// The availability zone.
    pub zone: Option<String>,
    /// The system disk.
    pub disk: DiskWish,
    /// Spare capacity that may be taken away: what happens then.
    pub spot: Option<Eviction>,
    /// Whether the network goes straight to the hardware.
    pub accelerated: bool,
    /// Whether the machine has an identity of its own.
    pub system_identity: bool,
    /// Identities that it has beside that.
    pub identities: Vec<String>,
    /// Whether it is a trusted launch; `None`: where size and image allow.
    pub trusted_launch: Option<bool>,
    /// The plan of a bought image: publisher, product, name; `None` is what the image says.
    pub plan: Option<[String; 3]>,
    /// A file that cloud-init reads beside ours.
    pub custom_data: Option<PathBuf>,
    /// Tags beside ours.
    pub tags: BTreeMap<String, String>,
    /// Who signs in over SSH; `None` is who signs in to every machine of ours.
    pub user: Option<String>,
    /// The SSH jump hosts to a machine without a public address.
    pub jumps: Vec<wharf_driver::Jump>,
}

/// A virtual network by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkName {
    /// The group; `None` is the machine's.
    pub group: Option<String>,
    /// Its name.
    pub name: String,
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
pub struct DiskWish {
    /// In GiB; `None` is the image's own size.
    pub size_gib: Option<u32>,
    /// `Standard_LRS` and the like.
    pub kind: String,
    /// The id of a disk encryption set.
    pub encryption_set: Option<String>,
    /// Whether it is on the host's own disk and lost when the machine is stopped.
    pub ephemeral: bool,
}

/// What happens to a machine whose capacity is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Eviction {
    /// It is stopped, and its disk is kept.
    Deallocate,
    /// It is removed.
    Delete,
}

impl Configure for Azure {
    const SETTINGS: &'static [Setting] = SETTINGS;
    const PLACE: Option<&'static str> = Some("azure-endpoint");

    fn configure(set: &Settings) -> Result<Config, Vec<Mistake>> {
        parse::configure(set)
    }
}

const fn setting(
    flag: &'static str,
    env: &'static [&'static str],
    help: &'static str,
    takes: Takes,
) -> Setting {
    Setting { flag, aliases: &[], env, help, takes, default: None, at_terminal: None }
}

const fn usual(setting: Setting, default: &'static str) -> Setting {
    Setting { default: Some(default), ..setting }
}

const fn with_person(setting: Setting, default: &'static str) -> Setting {
    Setting { at_terminal: Some(default), ..setting }
}

const fn also(setting: Setting, aliases: &'static [&'static str]) -> Setting {
    Setting { aliases, ..setting }
}

use Takes::{List, Path, Personal, PersonalPath, Secret, Switch, Text};

#[rustfmt::skip]
const SETTINGS: &[Setting] = &[
    setting("azure-endpoint", &["AZURE_ENDPOINT"], "where Azure Resource Manager answers; public Azure without it", Text("URL")),
    setting("azure-environment", &["AZURE_ENVIRONMENT"], "AzurePublicCloud, AzureUSGovernment or AzureChinaCloud, where no endpoint is named", Text("NAME")),
    setting("azure-subscription-id", &["AZURE_SUBSCRIPTION_ID"], "subscription; the only one that the account sees without it", Text("ID")),
    setting("azure-tenant-id", &["AZURE_TENANT_ID"], "tenant; the subscription's without it", Text("ID")),
    setting("azure-ca", &["AZURE_CA"], "certificates of authorities to believe beside the system's", Path("FILE")),
    setting("azure-proxy", &["AZURE_PROXY"], "the way to it out of this network; HTTPS_PROXY without it", Personal("URL")),
    setting("azure-auth", &["AZURE_AUTH"], "how to sign in: secret, certificate, workload, managed-identity, az or device", Personal("HOW")),
    setting("azure-client-id", &["AZURE_CLIENT_ID"], "application that signs in", Personal("ID")),
    setting("azure-client-secret", &["AZURE_CLIENT_SECRET"], "its secret; better in the environment than here", Secret("SECRET")),
    setting("azure-client-certificate", &["AZURE_CLIENT_CERTIFICATE_PATH"], "its certificate and private key, in PEM or PKCS#12", PersonalPath("FILE")),
    setting("azure-client-certificate-password", &["AZURE_CLIENT_CERTIFICATE_PASSWORD"], "what a PKCS#12 file is protected with; better in the environment than here", Secret("PASSWORD")),
    setting("azure-federated-token-file", &["AZURE_FEDERATED_TOKEN_FILE"], "a token that it trusts instead", PersonalPath("FILE")),
    setting("azure-location", &["AZURE_LOCATION"], "location, such as westeurope", Text("NAME")),
    setting("azure-size", &["AZURE_SIZE"], "size of the machine; several in order of preference", List("NAME")),
    setting("azure-image", &["AZURE_IMAGE"], "image, PUBLISHER:OFFER:SKU:VERSION or an id; several in order of preference", List("IMAGE")),
    setting("azure-plan", &["AZURE_PLAN"], "plan of a bought image, PUBLISHER:PRODUCT:NAME", Text("PLAN")),
    setting("azure-resource-group", &["AZURE_RESOURCE_GROUP"], "resource group; made when missing, and never removed unless made", Text("NAME")),
    setting("azure-resource-group-per-machine", &["AZURE_RESOURCE_GROUP_PER_MACHINE"], "a resource group, network and firewall for this machine alone", Switch),
    setting("azure-vnet", &["AZURE_VNET"], "virtual network; one in another group must be there", Text("[GROUP:]NAME")),
    usual(setting("azure-subnet", &["AZURE_SUBNET"], "subnet of the virtual network", Text("NAME")), "machines"),
    usual(setting("azure-subnet-prefix", &["AZURE_SUBNET_PREFIX"], "what a subnet made for it spans", Text("CIDR")), "192.168.0.0/16"),
    setting("azure-nsg", &["AZURE_NSG"], "network security group that is there, and stays as it is", Text("NAME")),
    setting("azure-no-public-ip", &["AZURE_NO_PUBLIC_IP"], "give the machine no public address", Switch),
    setting("azure-use-private-ip", &["AZURE_USE_PRIVATE_IP"], "reach it by its private address", Switch),
    setting("azure-static-public-ip", &["AZURE_STATIC_PUBLIC_IP"], "for docker-machine's users: public addresses always stay", Switch),
    setting("azure-enable-public-ip-standard-sku", &[], "for docker-machine's users: standard wherever there are such", Switch),
    setting("azure-managed-disks", &[], "for docker-machine's users: disks are always managed", Switch),
    setting("azure-dns", &["AZURE_DNS_LABEL"], "label of the public address's name", Text("LABEL")),
    setting("azure-private-ip-address", &["AZURE_PRIVATE_IP_ADDRESS"], "private address, instead of one that the cloud chooses", Text("ADDRESS")),
    with_person(usual(setting("azure-allow-from", &["AZURE_ALLOW_FROM"], "who may reach SSH and the engine: a network, me (wherever I am now), or any", List("CIDR")), "any"), "me"),
    setting("azure-open-port", &["AZURE_OPEN_PORT"], "a port that everybody may reach", List("PORT[/udp]")),
    setting("azure-availability-set", &["AZURE_AVAILABILITY_SET"], "availability set that is there", Text("NAME")),
    setting("azure-proximity-placement-group", &["AZURE_PROXIMITY_PLACEMENT_GROUP"], "proximity placement group that is there", Text("NAME")),
    also(setting("azure-zone", &["AZURE_ZONE"], "availability zone", Text("NUMBER")), &["azure-availability-zone"]),
    usual(setting("azure-storage-type", &["AZURE_STORAGE_TYPE"], "kind of the system disk", Text("KIND")), "Standard_LRS"),
    setting("azure-disk-size", &["AZURE_DISK_SIZE"], "size of the system disk, in GiB; the image's without it", Text("GIB")),
    setting("azure-disk-encryption-set", &["AZURE_DISK_ENCRYPTION_SET"], "id of a disk encryption set", Text("ID")),
    setting("azure-ephemeral-disk", &["AZURE_EPHEMERAL_DISK"], "put the system disk on the host's own: fast and free, and the machine cannot be stopped, only killed", Switch),
    setting("azure-spot", &["AZURE_SPOT"], "take spare capacity, which may be taken away", Switch),
    usual(setting("azure-spot-eviction", &["AZURE_SPOT_EVICTION"], "what happens then: deallocate or delete", Text("HOW")), "deallocate"),
    setting("azure-accelerated-networking", &["AZURE_ACCELERATED_NETWORKING"], "let the network go straight to the hardware", Switch),
    setting("azure-system-identity", &["AZURE_SYSTEM_IDENTITY"], "give the machine an identity of its own", Switch),
    setting("azure-identity", &["AZURE_IDENTITY"], "id of an identity that the machine has", List("ID")),
    setting("azure-trusted-launch", &["AZURE_TRUSTED_LAUNCH"], "yes, no, or auto: where size and image allow", Text("WHETHER")),
    setting("azure-custom-data", &["AZURE_CUSTOM_DATA_FILE"], "file that cloud-init reads beside what wharf gives it", Path("FILE")),
    also(setting("azure-tag", &["AZURE_TAGS"], "tag of everything made", List("KEY=VALUE")), &["azure-tags"]),
    setting("azure-ssh-user", &["AZURE_SSH_USER"], "who signs in over SSH", Text("NAME")),
    setting("azure-ssh-jump", &["AZURE_SSH_JUMP"], "host to go through to a machine without a public address", List("[USER@]HOST[:PORT]")),
    setting("azure-fault-domain-count", &[], "for docker-machine's users: availability sets are not made here", Text("NUMBER")),
    setting("azure-update-domain-count", &[], "for docker-machine's users: availability sets are not made here", Text("NUMBER")),
    setting("azure-docker-port", &["AZURE_DOCKER_PORT"], "for docker-machine's users: the engine's port is the same on every machine", Text("PORT")),
];
