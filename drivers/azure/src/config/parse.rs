//! From what was set to a configuration, or everything that is wrong with it at once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wharf_driver::{Jump, Mistake, Settings, is_network};

use super::{Config, DiskWish, Eviction, NetworkName, Port};

const PUBLIC: &str = "https://management.azure.com";
const ENVIRONMENTS: &[(&str, &str)] = &[
    ("AzurePublicCloud", PUBLIC),
    ("AzureCloud", PUBLIC),
    ("AzureUSGovernment", "https://management.usgovcloudapi.net"),
    ("AzureUSGovernmentCloud", "https://management.usgovcloudapi.net"),
    ("AzureChinaCloud", "https://management.chinacloudapi.cn"),
];
const SIZES: &[&str] = &[
    "Standard_B2s_v2",
    "Standard_B2s",
    "Standard_D2s_v5",
    "Standard_D2s_v3",
    "Standard_DS1_v2",
    "Standard_D1_v2",
    "Standard_A2_v2",
];
const IMAGES: &[&str] = &[
    "Canonical:ubuntu-24_04-lts:server:latest",
    "Canonical:ubuntu-24_04-lts:server-gen1:latest",
    "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest",
    "Canonical:0001-com-ubuntu-server-jammy:22_04-lts:latest",
    "Canonical:0001-com-ubuntu-server-focal:20_04-lts:latest",
    "Canonical:UbuntuServer:18.04-LTS:latest",
];
const STORAGE: &[&str] = &[
    "Standard_LRS",
    "StandardSSD_LRS",
    "Premium_LRS",
    "StandardSSD_ZRS",
    "Premium_ZRS",
    "PremiumV2_LRS",
    "UltraSSD_LRS",
];
/// Azure takes no others for the person who signs in.
const RESERVED_USERS: &[&str] = &["root", "admin", "administrator", "guest", "test", "user", "console"];

/// Reads one setting after the other and remembers what is wrong.
struct Reader<'a> {
    set: &'a Settings,
    mistakes: Vec<Mistake>,
}

pub(super) fn configure(set: &Settings) -> Result<Config, Vec<Mistake>> {
    let mut reader = Reader { set, mistakes: Vec::new() };
    let config = reader.config();
    if reader.mistakes.is_empty() { Ok(config) } else { Err(reader.mistakes) }
}

impl Reader<'_> {
    fn config(&mut self) -> Config {
        let set = self.set;
        let text = |flag: &str| set.text(flag).map(str::to_owned);
        let public_address = !set.switch("azure-no-public-ip");
        let use_private = set.switch("azure-use-private-ip") || !public_address;
        let (allowed, me) = self.allowed();
        Config {
            endpoint: self.endpoint(),
            tenant: text("azure-tenant-id"),
            subscription: text("azure-subscription-id"),
            authority: set.path("azure-ca"),
            location: text("azure-location").map(|name| simple(&name)),
            sizes: or(set.list("azure-size"), SIZES),
            images: self.images(),
            group: self.name("azure-resource-group", 90),
            alone: set.switch("azure-resource-group-per-machine"),
            network: self.network(),
            subnet: self.name("azure-subnet", 80).unwrap_or_else(|| "machines".to_owned()),
            subnet_prefix: self.prefix("azure-subnet-prefix").unwrap_or_else(|| "192.168.0.0/16".to_owned()),
            firewall: self.name("azure-nsg", 80),
            public_address,
            use_private,
            label: self.label(public_address),
            private_address: set.parse("azure-private-ip-address", &mut self.mistakes),
            allowed,
            // Nobody's own address reaches a private one, and a firewall that is there stays as it is.
            me: me && !use_private && set.text("azure-nsg").is_none(),
            open_ports: self.ports(),
            availability_set: self.name("azure-availability-set", 80),
            proximity_group: self.name("azure-proximity-placement-group", 80),
            zone: text("azure-zone"),
            disk: self.disk(),
            spot: self.spot(),
            accelerated: set.switch("azure-accelerated-networking"),
            system_identity: set.switch("azure-system-identity"),
            identities: set.list("azure-identity").to_vec(),
            trusted_launch: self.trusted_launch(),
            plan: self.plan(),
            custom_data: set.path("azure-custom-data"),
            tags: self.tags(),
            user: self.user(),
            jumps: self.jumps(),
        }
    }

    fn wrong(&mut self, flag: &'static str, message: impl Into<String>) {
        self.mistakes.push(Mistake::new(flag, message));
    }

    fn endpoint(&mut self) -> String {
        endpoint(self.set).unwrap_or_else(|mistake| {
            self.mistakes.push(mistake);
            PUBLIC.to_owned()
        })
    }

    fn images(&mut self) -> Vec<String> {
        let images = or(self.set.list("azure-image"), IMAGES);
        for image in &images {
            let parts: Vec<&str> = image.split(':').collect();
            let urn = parts.len() == 4 && parts.iter().all(|part| !part.is_empty());
            if !urn && !image.starts_with("/subscriptions/") {
                self.wrong(
                    "azure-image",
                    format!("`{image}` is neither PUBLISHER:OFFER:SKU:VERSION nor an id"),
                );
            }
        }
        images
    }

    fn network(&mut self) -> Option<NetworkName> {
        let text = self.set.text("azure-vnet")?;
        let (group, name) = match text.split_once(':') {
            Some((group, name)) => (Some(group.to_owned()), name.to_owned()),
            None => (None, text.to_owned()),
        };
        if !is_name(&name, 64) || group.as_deref().is_some_and(|group| !is_name(group, 90)) {
            self.wrong("azure-vnet", format!("`{text}` is not [GROUP:]NAME"));
        }
        Some(NetworkName { group, name })
    }

    fn name(&mut self, flag: &'static str, longest: usize) -> Option<String> {
        let name = self.set.text(flag)?.to_owned();
        if !is_name(&name, longest) {
            self.wrong(
                flag,
                format!("`{name}` is no name: letters, digits, `.`, `_` and `-`, at most {longest}"),
            );
        }
        Some(name)
    }

    fn prefix(&mut self, flag: &'static str) -> Option<String> {
        let text = self.set.text(flag)?.to_owned();
        if !is_network(&text) {
            self.wrong(flag, format!("`{text}` is no network: 10.0.0.0/16 is one"));
        }
        Some(text)
    }

    fn label(&mut self, public_address: bool) -> Option<String> {
        let label = self.set.text("azure-dns")?.to_owned();
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (3..=63).contains(&label.len())
            && label.starts_with(|c: char| c.is_ascii_lowercase())
            && !label.ends_with('-')
            && label.chars().all(inner);
        if !fits {
            self.wrong(
                "azure-dns",
                format!("`{label}` is no label: small letters, digits and dashes, 3 to 63 of them"),
            );
        } else if !public_address {
            self.wrong("azure-dns", "it names a public address, and --azure-no-public-ip wants none");
        }
        Some(label)
    }

    /// The networks, and whether it is the person who makes the machine.
    fn allowed(&mut self) -> (Vec<String>, bool) {
        let (mut allowed, mut me) = (Vec::new(), false);
        for text in self.set.list("azure-allow-from") {
            match text.as_str() {
                "any" | "*" => allowed.push("*".to_owned()),
                "me" => me = true,
                prefix if is_network(prefix) => allowed.push(prefix.to_owned()),
                address if address.parse::<IpAddr>().is_ok() => allowed.push(address.to_owned()),
                other => self
                    .wrong("azure-allow-from", format!("`{other}` is neither a network, nor `me` or `any`")),
            }
        }
        if allowed.iter().any(|one| one == "*") || allowed.is_empty() && !me {
            (vec!["*".to_owned()], false)
        } else {
            (allowed, me)
        }
    }

    fn ports(&mut self) -> Vec<Port> {
        let mut ports = Vec::new();
        for text in self.set.list("azure-open-port") {
            let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            match (number.parse::<u16>(), protocol) {
                (Ok(number @ 1..), "tcp" | "udp") => ports.push(Port { number, udp: protocol == "udp" }),
                _ => self.wrong("azure-open-port", format!("`{text}` is no port: 80 and 53/udp are some")),
            }
        }
        ports
    }

    fn disk(&mut self) -> DiskWish {
        let kind = self.set.text("azure-storage-type").unwrap_or("Standard_LRS");
        let known = STORAGE.iter().find(|known| known.eq_ignore_ascii_case(kind));
        if known.is_none() {
            self.wrong("azure-storage-type", format!("`{kind}` is none of {}", STORAGE.join(", ")));
        }
        let size_gib: Option<u32> = self.set.parse("azure-disk-size", &mut self.mistakes);
        if size_gib.is_some_and(|size| !(1..=4095).contains(&size)) {
            self.wrong("azure-disk-size", "a system disk has 1 to 4095 GiB");
        }
        let ephemeral = self.set.switch("azure-ephemeral-disk");
        if ephemeral && self.set.text("azure-disk-encryption-set").is_some() {
            self.wrong("azure-ephemeral-disk", "the host's own disk takes no disk encryption set");
        }
        DiskWish {
            size_gib,
            kind: known.map_or(kind, |known| known).to_owned(),
            encryption_set: self.set.text("azure-disk-encryption-set").map(str::to_owned),
            ephemeral,
        }
    }

    fn spot(&mut self) -> Option<Eviction> {
        let eviction = match self.set.text("azure-spot-eviction").unwrap_or("deallocate") {
            how if how.eq_ignore_ascii_case("deallocate") => Eviction::Deallocate,
            how if how.eq_ignore_ascii_case("delete") => Eviction::Delete,
            other => {
                self.wrong("azure-spot-eviction", format!("`{other}` is neither deallocate nor delete"));
                Eviction::Deallocate
            }
        };
        self.set.switch("azure-spot").then_some(eviction)
    }

    fn trusted_launch(&mut self) -> Option<bool> {
        match self.set.text("azure-trusted-launch")? {
            "auto" => None,
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            other => {
                self.wrong("azure-trusted-launch", format!("`{other}` is none of yes, no, auto"));
                None
            }
        }
    }

    fn plan(&mut self) -> Option<[String; 3]> {
        let text = self.set.text("azure-plan")?;
        match text.split(':').map(str::to_owned).collect::<Vec<_>>().try_into() {
            Ok(plan) => Some(plan),
            Err(_) => {
                self.wrong("azure-plan", format!("`{text}` is not PUBLISHER:PRODUCT:NAME"));
                None
            }
        }
    }

    /// `KEY=VALUE`, or docker-machine's `key,value,key,value`.
    fn tags(&mut self) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::new();
        let words: Vec<&str> = self.set.list("azure-tag").iter().flat_map(|text| text.split(',')).collect();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let pair = word.split_once('=').or_else(|| Some((word, words.next()?)));
            match pair {
                Some((key, value)) if is_tag(key, value) => {
                    tags.insert(key.to_owned(), value.to_owned());
                }
                _ => self.wrong("azure-tag", format!("`{word}` is not KEY=VALUE, or holds what no tag can")),
            }
        }
        if tags.len() > MOST_TAGS {
            self.wrong(
                "azure-tag",
                format!("{} tags are too many beside wharf's own: {MOST_TAGS} fit", tags.len()),
            );
        }
        tags
    }

    fn user(&mut self) -> Option<String> {
        let user = self.set.text("azure-ssh-user")?.to_owned();
        let fits = user.len() <= 32
            && user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && user.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
        if !fits || RESERVED_USERS.contains(&user.as_str()) {
            self.wrong("azure-ssh-user", format!("`{user}` is no name that Azure takes for a user"));
        }
        Some(user)
    }

    fn jumps(&mut self) -> Vec<Jump> {
        let mut jumps = Vec::new();
        for text in self.set.list("azure-ssh-jump") {
            match text.parse() {
                Ok(jump) => jumps.push(jump),
                Err(because) => {
                    self.wrong("azure-ssh-jump", format!("`{text}` is not [USER@]HOST[:PORT]: {because}"));
                }
            }
        }
        jumps
    }
}

/// Where Azure Resource Manager answers, by its address or by the name of its cloud.
pub(crate) fn endpoint(set: &Settings) -> Result<String, Mistake> {
    match (set.text("azure-endpoint"), set.text("azure-environment")) {
        // The name of a cloud may stand in the environment for other programs.
        (Some(url), _) => Ok(url.trim_end_matches('/').to_owned()),
        (None, None) => Ok(PUBLIC.to_owned()),
        (None, Some(name)) => {
            let known = ENVIRONMENTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            known.map(|(_, endpoint)| (*endpoint).to_owned()).ok_or_else(|| {
                let names: Vec<&str> = ENVIRONMENTS.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                Mistake::new(
                    "azure-environment",
                    format!("`{name}` is none of {names}; a stamp has an endpoint"),
                )
            })
        }
    }
}

/// Fifteen are the most on older clouds.
const MOST_TAGS: usize = 9;

/// A location as the API spells it: `West US` is `westus`.
pub(crate) fn simple(location: &str) -> String {
    location.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase()
}

fn or(given: &[String], usual: &[&str]) -> Vec<String> {
    if given.is_empty() { usual.iter().map(|&one| one.to_owned()).collect() } else { given.to_vec() }
}

fn is_name(name: &str, longest: usize) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty()
        && name.len() <= longest
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !name.ends_with(['.', '-'])
        && name.chars().all(inner)
}

fn is_tag(key: &str, value: &str) -> bool {
    !key.is_empty()
        && key.len() <= 512
        && value.len() <= 256
        && !key.contains(['<', '>', '%', '&', '\\', '?', '/'])
        && !key.to_ascii_lowercase().starts_with("wharf-")
}

#[cfg(test)]
mod tests {
    use wharf_driver::Configure as _;

    use super::*;
    use crate::Azure;

    fn configure(set: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        let mut settings = Settings::default();
        for (flag, value) in set {
            settings.set(*flag, vec![(*value).to_owned()]);
        }
        Azure::configure(&settings)
    }

    #[test]
    fn nothing_set_is_a_machine_in_public_azure() {
        let config = configure(&[]).unwrap();
        assert_eq!(
            (config.endpoint.as_str(), config.allowed, config.me),
            (PUBLIC, vec!["*".to_owned()], false)
        );
        assert!(config.public_address && !config.use_private && config.spot.is_none());
    }

    #[test]
    fn i_am_let_in_where_my_address_counts() {
        let allowed = |set: &[(&str, &str)]| {
            let config = configure(set).unwrap();
            (config.allowed, config.me)
        };
        assert_eq!(allowed(&[("azure-allow-from", "me")]), (vec![], true));
        let private = [("azure-allow-from", "me"), ("azure-no-public-ip", "true")];
        assert_eq!(allowed(&private), (vec![], false));
        assert_eq!(allowed(&[("azure-allow-from", "me"), ("azure-nsg", "theirs")]), (vec![], false));
        let mut settings = Settings::default();
        settings.set("azure-allow-from", ["me", "10.0.0.0/8"].map(str::to_owned).to_vec());
        let config = Azure::configure(&settings).unwrap();
        assert_eq!((config.allowed, config.me), (vec!["10.0.0.0/8".to_owned()], true));
        settings.set("azure-allow-from", ["me", "any"].map(str::to_owned).to_vec());
        assert!(!Azure::configure(&settings).unwrap().me, "there is nothing to keep anybody out of");
    }

    #[test]
    fn docker_machines_options_keep_their_meaning() {
        let config = configure(&[
            ("azure-environment", "AzureUSGovernment"),
            ("azure-vnet", "net-group:net"),
            ("azure-open-port", "53/udp"),
            ("azure-tag", "team,web,stage,test"),
            ("azure-no-public-ip", "true"),
            ("azure-location", "West US"),
        ])
        .unwrap();
        assert_eq!(config.endpoint, "https://management.usgovcloudapi.net");
        assert_eq!(config.network.unwrap().group.as_deref(), Some("net-group"));
        assert_eq!(config.open_ports, [Port { number: 53, udp: true }]);
        assert_eq!(config.tags.get("stage").map(String::as_str), Some("test"));
        assert!(config.use_private, "there is no other address");
        assert_eq!(config.location.as_deref(), Some("westus"));
    }

    #[test]
    fn every_mistake_is_reported_together() {
        let wrong = [
            ("azure-environment", "AzureGermanCloud"),
            ("azure-image", "ubuntu"),
            ("azure-allow-from", "home"),
            ("azure-open-port", "http"),
            ("azure-storage-type", "Tape"),
            ("azure-tag", "wharf-store=x"),
            ("azure-ssh-user", "root"),
        ];
        let flags: Vec<_> = configure(&wrong).unwrap_err().iter().map(|mistake| mistake.flag).collect();
        let mut wanted: Vec<_> = wrong.iter().map(|(flag, _)| *flag).collect();
        wanted.sort_unstable();
        let mut flags_sorted = flags.clone();
        flags_sorted.sort_unstable();
        assert_eq!(flags_sorted, wanted);
    }

    #[test]
    fn a_secret_is_no_part_of_a_configuration() {
        let config = configure(&[("azure-client-secret", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
