//! From what was set to a configuration, or everything that is wrong with it at once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wharf_driver::{Jump, Mistake, Settings, is_network};

use super::{Config, Disk, Image, Metadata, Port, Spot};

/// Offered in every region that is not very old, and the cheapest that an engine is at home on.
const TYPES: &[&str] = &["t3.small", "t2.small", "t4g.small"];
const VOLUMES: &[&str] = &["gp3", "gp2", "io1", "io2", "standard", "st1", "sc1"];
/// Everybody, by both protocols.
const ANYBODY: [&str; 2] = ["0.0.0.0/0", "::/0"];
/// EC2 takes fifty, and some are ours.
const MOST_TAGS: usize = 40;

/// The images that are known by name: where their publishers say which one is current.
const KNOWN: &[(&str, [&str; 2])] = &[
    (
        "ubuntu",
        [
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id",
        ],
    ),
    (
        "debian",
        ["/aws/service/debian/release/12/latest/amd64", "/aws/service/debian/release/12/latest/arm64"],
    ),
    (
        "amazon-linux",
        [
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
        ],
    ),
];

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

/// The region that is set.
pub(crate) fn region_of(set: &Settings) -> Option<String> {
    set.text("aws-region").map(str::to_owned)
}

impl Reader<'_> {
    fn config(&mut self) -> Config {
        let set = self.set;
        let text = |flag: &str| set.text(flag).map(str::to_owned);
        let ipv6_only = set.switch("aws-ipv6-address-only");
        let public_address = !set.switch("aws-private-address-only") && !ipv6_only;
        let use_private = !ipv6_only && (set.switch("aws-use-private-address") || !public_address);
        let (allowed, me) = self.allowed();
        Config {
            endpoint: self.endpoint(),
            region: self.region(),
            image: self.image(),
            types: self.types(),
            vpc: self.id("aws-vpc-id", "vpc-"),
            subnet: self.id("aws-subnet-id", "subnet-"),
            zone: text("aws-zone"),
            groups: set.list("aws-security-group").to_vec(),
            allowed,
            // Nobody's own address reaches a private one, and groups that are there stay as they are.
            me: me && !use_private && set.list("aws-security-group").is_empty(),
            open_ports: self.ports(),
            public_address,
            use_private,
            elastic: self.elastic(public_address),
            ipv6: self.ipv6(ipv6_only),
            ipv6_only,
            primary_ipv6: set.switch("aws-enable-primary-ipv6"),
            disk: self.disk(),
            spot: self.spot(),
            profile: text("aws-iam-instance-profile"),
            key_pair: text("aws-keypair-name"),
            placement_group: text("aws-placement-group"),
            tenancy: self.one_of("aws-tenancy", &["default", "dedicated", "host"]),
            monitoring: set.switch("aws-monitoring"),
            ebs_optimized: set.switch("aws-use-ebs-optimized-instance"),
            metadata: self.metadata(),
            user_data: set.path("aws-user-data"),
            tags: self.tags(),
            user: self.user(),
            ssh_port: set.parse("aws-ssh-port", &mut self.mistakes).unwrap_or(22),
            jumps: self.jumps(),
        }
    }

    fn wrong(&mut self, flag: &'static str, message: impl Into<String>) {
        self.mistakes.push(Mistake::new(flag, message));
    }

    /// docker-machine's endpoint may lack its scheme, and its own switch says which it is.
    fn endpoint(&mut self) -> Option<String> {
        let text = self.set.text("aws-endpoint-url")?;
        let scheme = if self.set.switch("aws-insecure-transport") { "http" } else { "https" };
        let url = if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") };
        let fits = url.parse::<http::Uri>().is_ok_and(|uri| {
            uri.host().is_some_and(|host| !host.is_empty())
                && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if !fits {
            self.wrong("aws-endpoint-url", format!("`{url}` is no address of a web service"));
        }
        Some(url.trim_end_matches('/').to_owned())
    }

    fn region(&mut self) -> Option<String> {
        let region = region_of(self.set)?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !region.chars().all(fits) || !region.contains('-') {
            self.wrong("aws-region", format!("`{region}` is no region: eu-central-1 is one"));
        }
        Some(region)
    }

    fn image(&mut self) -> Image {
        let text = self.set.text("aws-ami").unwrap_or("ubuntu").to_owned();
        if text.starts_with("ami-") {
            return Image::Id(text);
        }
        if let Some(path) = text.strip_prefix("resolve:ssm:").filter(|path| !path.is_empty()) {
            return Image::Parameter { name: text.clone(), paths: [path.to_owned(), path.to_owned()] };
        }
        if let Some((_, paths)) = KNOWN.iter().find(|(name, _)| *name == text) {
            return Image::Parameter { name: text, paths: paths.map(str::to_owned) };
        }
        match text.split_once('/') {
            Some((owner, name)) if !owner.is_empty() && !name.is_empty() => {
                Image::Newest { owner: owner.to_owned(), name: name.to_owned() }
            }
            _ => {
                let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                self.wrong(
                    "aws-ami",
                    format!("`{text}` is none of {known}, ami-ID, resolve:ssm:PARAMETER and OWNER/NAME"),
                );
                Image::Id(text)
            }
        }
    }

    fn types(&mut self) -> Vec<String> {
        let given = self.set.list("aws-instance-type");
        for name in given {
            if !name.contains('.') || name.contains(char::is_whitespace) {
                self.wrong("aws-instance-type", format!("`{name}` is no type: t3.small is one"));
            }
        }
        if given.is_empty() { TYPES.iter().map(|&one| one.to_owned()).collect() } else { given.to_vec() }
    }

    fn id(&mut self, flag: &'static str, begins: &str) -> Option<String> {
        let id = self.set.text(flag)?.to_owned();
        if !id.starts_with(begins) {
            self.wrong(flag, format!("`{id}` does not begin with {begins}"));
        }
        Some(id)
    }

    fn one_of(&mut self, flag: &'static str, known: &[&str]) -> Option<String> {
        let text = self.set.text(flag)?.to_owned();
        if !known.contains(&text.as_str()) {
            self.wrong(flag, format!("`{text}` is none of {}", known.join(", ")));
        }
        Some(text)
    }

    /// The networks, and whether it is the person who makes the machine.
    fn allowed(&mut self) -> (Vec<String>, bool) {
        let (mut allowed, mut me, mut any) = (Vec::new(), false, false);
        for text in self.set.list("aws-allow-from") {
            match text.as_str() {
                "any" | "*" => any = true,
                "me" => me = true,
                other => match network(other) {
                    Some(network) => allowed.push(network),
                    None => self.wrong(
                        "aws-allow-from",
                        format!("`{other}` is neither a network, nor `me` or `any`"),
                    ),
                },
            }
        }
        if any || allowed.is_empty() && !me {
            (ANYBODY.map(str::to_owned).to_vec(), false)
        } else {
            (allowed, me)
        }
    }

    fn ports(&mut self) -> Vec<Port> {
        let mut ports = Vec::new();
        for text in self.set.list("aws-open-port") {
            let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            match (number.parse::<u16>(), protocol) {
                (Ok(number @ 1..), "tcp" | "udp") => ports.push(Port { number, udp: protocol == "udp" }),
                _ => self.wrong("aws-open-port", format!("`{text}` is no port: 80 and 53/udp are some")),
            }
        }
        ports
    }

    fn elastic(&mut self, public_address: bool) -> bool {
        let elastic = self.set.switch("aws-elastic-address");
        if elastic && !public_address {
            self.wrong("aws-elastic-address", "it is a public address, and another option wants none");
        }
        elastic
    }

    fn ipv6(&mut self, only: bool) -> i32 {
        let count = self.set.parse("aws-ipv6-address-count", &mut self.mistakes).unwrap_or(i32::from(only));
        if count < i32::from(only) {
            self.wrong("aws-ipv6-address-count", "a machine that is reached by IPv6 needs an address");
        }
        count
    }

    fn disk(&mut self) -> Disk {
        let kind = self.one_of("aws-volume-type", VOLUMES).unwrap_or_else(|| "gp3".to_owned());
        let size_gib = self.set.parse("aws-root-size", &mut self.mistakes);
        if size_gib.is_some_and(|size: i32| !(1..=16_384).contains(&size)) {
            self.wrong("aws-root-size", "a system disk has 1 to 16384 GiB");
        }
        let encrypted = !self.set.switch("aws-no-encryption");
        let key = self.set.text("aws-kms-key").map(str::to_owned);
        if key.is_some() && !encrypted {
            self.wrong("aws-kms-key", "there is nothing to encrypt with --aws-no-encryption");
        }
        let iops = self.set.parse("aws-volume-iops", &mut self.mistakes);
        if kind.starts_with("io") && iops.is_none() {
            self.wrong("aws-volume-iops", format!("a disk of kind {kind} needs it"));
        }
        let device = self.set.text("aws-device-name").map(str::to_owned);
        Disk { size_gib, kind, iops, encrypted, key, device }
    }

    fn spot(&mut self) -> Option<Spot> {
        let most = self.set.text("aws-spot-price").map(str::to_owned);
        if let Some(price) = &most
            && !price.parse::<f64>().is_ok_and(|price| price.is_finite() && price > 0.0)
        {
            self.wrong("aws-spot-price", format!("`{price}` is no price: 0.05 is one"));
        }
        self.set.switch("aws-spot").then_some(Spot { most })
    }

    fn metadata(&mut self) -> Metadata {
        let on = |word: Option<String>| word.as_deref() == Some("enabled");
        let switches = ["enabled", "disabled"];
        let hops = self.set.parse("aws-metadata-hop-limit", &mut self.mistakes).unwrap_or(1);
        if !(1..=64).contains(&hops) {
            self.wrong("aws-metadata-hop-limit", "it is 1 to 64");
        }
        Metadata {
            enabled: self.one_of("aws-http-endpoint", &switches).as_deref() != Some("disabled"),
            tokens_required: self.one_of("aws-http-tokens", &["required", "optional"]).as_deref()
                != Some("optional"),
            hops,
            ipv6: on(self.one_of("aws-http-protocol-ipv6", &switches)),
        }
    }

    /// `KEY=VALUE`, or docker-machine's `key,value,key,value`.
    fn tags(&mut self) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::new();
        let words: Vec<&str> = self.set.list("aws-tag").iter().flat_map(|text| text.split(',')).collect();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let pair = word.split_once('=').or_else(|| Some((word, words.next()?)));
            match pair {
                Some((key, value)) if is_tag(key, value) => {
                    tags.insert(key.to_owned(), value.to_owned());
                }
                _ => self.wrong("aws-tag", format!("`{word}` is not KEY=VALUE, or holds what no tag can")),
            }
        }
        if tags.len() > MOST_TAGS {
            self.wrong("aws-tag", format!("{} tags are too many: {MOST_TAGS} fit beside ours", tags.len()));
        }
        tags
    }

    fn user(&mut self) -> Option<String> {
        let user = self.set.text("aws-ssh-user")?.to_owned();
        let fits = user.len() <= 32
            && user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && user.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
        if !fits || user == "root" {
            self.wrong("aws-ssh-user", format!("`{user}` is no name of a user who may sign in"));
        }
        Some(user)
    }

    fn jumps(&mut self) -> Vec<Jump> {
        let mut jumps = Vec::new();
        for text in self.set.list("aws-ssh-jump") {
            match text.parse() {
                Ok(jump) => jumps.push(jump),
                Err(because) => {
                    self.wrong("aws-ssh-jump", format!("`{text}` is not [USER@]HOST[:PORT]: {because}"));
                }
            }
        }
        jumps
    }
}

/// A network in the one spelling that security groups take; an address is a network of one.
pub(crate) fn network(text: &str) -> Option<String> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => Some(format!("{text}/32")),
        Ok(IpAddr::V6(_)) => Some(format!("{text}/128")),
        Err(_) => is_network(text).then(|| text.to_owned()),
    }
}

fn is_tag(key: &str, value: &str) -> bool {
    let reserved = key.to_ascii_lowercase();
    (1..=128).contains(&key.len())
        && value.len() <= 256
        && !reserved.starts_with("aws:")
        && !reserved.starts_with("wharf-")
}

#[cfg(test)]
mod tests {
    use wharf_driver::Configure as _;

    use super::*;
    use crate::Aws;

    fn configure(set: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        let mut settings = Settings::default();
        for (flag, value) in set {
            settings.set(*flag, vec![(*value).to_owned()]);
        }
        Aws::configure(&settings)
    }

    #[test]
    fn nothing_set_is_a_guarded_machine() {
        let config = configure(&[]).unwrap();
        assert!(config.disk.encrypted && config.metadata.tokens_required && config.metadata.hops == 1);
        assert!(config.public_address && !config.use_private && config.spot.is_none());
        assert_eq!((config.allowed.len(), config.me), (2, false));
        assert!(matches!(config.image, Image::Parameter { name, .. } if name == "ubuntu"));
    }

    #[test]
    fn an_endpoint_is_one_or_is_refused() {
        let endpoint = |set: &[(&str, &str)]| configure(set).map(|config| config.endpoint);
        let plain = [("aws-endpoint-url", "ec2.example:8773"), ("aws-insecure-transport", "true")];
        assert_eq!(endpoint(&plain).unwrap().as_deref(), Some("http://ec2.example:8773"));
        assert_eq!(endpoint(&[("aws-endpoint-url", "")]), Ok(None));
        for wrong in ["ftp://x", "http://", "https://a b"] {
            assert!(endpoint(&[("aws-endpoint-url", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn images_have_four_spellings() {
        let image = |text| configure(&[("aws-ami", text)]).unwrap().image;
        assert_eq!(image("ami-12"), Image::Id("ami-12".into()));
        assert!(matches!(image("resolve:ssm:/a/b"), Image::Parameter { paths, .. } if paths[0] == "/a/b"));
        assert_eq!(image("self/base-*"), Image::Newest { owner: "self".into(), name: "base-*".into() });
        assert!(configure(&[("aws-ami", "windows")]).is_err());
    }

    #[test]
    fn i_am_let_in_where_my_address_counts() {
        let me = |set: &[(&str, &str)]| configure(set).map(|config| (config.allowed, config.me)).unwrap();
        assert_eq!(me(&[("aws-allow-from", "me")]), (vec![], true));
        assert!(!me(&[("aws-allow-from", "me"), ("aws-private-address-only", "true")]).1);
        assert!(!me(&[("aws-allow-from", "me"), ("aws-security-group", "sg-1")]).1);
        assert_eq!(me(&[("aws-allow-from", "203.0.113.7")]), (vec!["203.0.113.7/32".to_owned()], false));
    }

    #[test]
    fn every_mistake_is_reported_together() {
        let wrong = [
            ("aws-allow-from", "home"),
            ("aws-instance-type", "small"),
            ("aws-kms-key", "k"),
            ("aws-no-encryption", "true"),
            ("aws-open-port", "http"),
            ("aws-region", "Frankfurt"),
            ("aws-spot-price", "cheap"),
            ("aws-ssh-user", "root"),
            ("aws-tag", "wharf-store=x"),
            ("aws-volume-type", "tape"),
            ("aws-vpc-id", "mine"),
        ];
        let mut flags: Vec<_> = configure(&wrong).unwrap_err().iter().map(|mistake| mistake.flag).collect();
        flags.sort_unstable();
        let wanted: Vec<_> =
            wrong.iter().map(|(flag, _)| *flag).filter(|flag| *flag != "aws-no-encryption").collect();
        assert_eq!(flags, wanted);
    }

    #[test]
    fn a_secret_is_no_part_of_a_configuration() {
        let config = configure(&[("aws-secret-key", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
