//! Every flag, parsed once into one typed value, with all mistakes reported together.
//!
//! The names and meanings are dockerd's, so that whoever has run it feels at home.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::end::End;
use crate::shares::Shares;

/// What the daemon was asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// What survives a reboot.
    pub data_root: PathBuf,
    /// What does not: sockets, namespaces, runtime state.
    pub exec_root: PathBuf,
    /// The files of mutual TLS; required by every TCP listener unless it is loopback and plain was asked for.
    pub tls: Option<TlsFiles>,
    /// Whether a client certificate must carry a role, and which machine this is.
    pub roles: Option<Roles>,
    /// Address and prefix of the default bridge; chosen around existing routes when absent.
    pub bip: Option<Subnet>,
    /// Name of the default bridge; `none` switches it off.
    pub bridge: String,
    /// Tried in order before Docker Hub.
    pub registry_mirrors: Vec<String>,
    /// Registries spoken to without verified TLS: a host, a host and port, or a CIDR.
    pub insecure_registries: Vec<String>,
    /// `key=value` labels that `/info` shows.
    pub labels: Vec<String>,
    /// DNS servers for containers, instead of the host's.
    pub dns: Vec<IpAddr>,
    /// The computer that this host is a virtual machine of: ports published on 127.0.0.1 are open to it.
    pub loopback_peer: Option<Ipv4Addr>,
    /// The folders of that computer which are seen here; `None` where nobody said anything of such.
    pub shares: Option<Shares>,
    /// When the machine's time is over.
    pub end: Option<End>,
    /// How much is logged.
    pub log_level: tracing::Level,
    /// Where the daemon's process id is written.
    pub pidfile: Option<PathBuf>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A unix socket at this path, for root and the group `docker`.
    Unix(PathBuf),
    /// A TCP port at this address.
    Tcp(SocketAddr),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// PEM files; each is read again when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that client certificates are verified against.
    pub ca: PathBuf,
    /// The server's certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Client certificates that were taken back, as CRLs.
    pub revoked: Revocations,
}

/// Where client certificates that were taken back are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocations {
    /// In this file, which must be there.
    Named(PathBuf),
    /// In this file; none was taken back while it is missing.
    Usual(PathBuf),
}

impl Revocations {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Named(path) | Self::Usual(path) => path,
        }
    }
}

impl TlsFiles {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.ca, &self.cert, &self.key].map(PathBuf::as_path).into_iter().chain([self.revoked.path()])
    }
}

/// Turns on roles in client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The machine that a certificate limited to one machine must name.
    pub machine: String,
}

/// An IPv4 address with its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// The bridge's own address.
    pub address: Ipv4Addr,
    /// Bits of the network.
    pub prefix: u8,
}

/// Why the flags make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// clap's own answer: usage, help or version.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// Every mistake that was found.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// The container engine of a wharf machine.
#[derive(Debug, Parser)]
#[command(name = "wharfd", version, disable_help_subcommand = true)]
struct Flags {
    /// Listen here: unix://PATH or tcp://ADDRESS:PORT
    #[arg(short = 'H', long = "host", value_name = "URL")]
    hosts: Vec<String>,
    /// Folder of what survives a reboot
    #[arg(long, default_value = "/var/lib/wharf", value_name = "DIR")]
    data_root: PathBuf,
    /// Folder of what does not
    #[arg(long, default_value = "/run/wharf", value_name = "DIR")]
    exec_root: PathBuf,
    /// Use TLS; implied by --tlsverify
    #[arg(long)]
    tls: bool,
    /// Use TLS and verify every client
    #[arg(long)]
    tlsverify: bool,
    /// Trust client certificates signed by these authorities
    #[arg(long, default_value = "/etc/wharf/tls/ca.pem", value_name = "FILE")]
    tlscacert: PathBuf,
    /// The server's certificate
    #[arg(long, default_value = "/etc/wharf/tls/server.pem", value_name = "FILE")]
    tlscert: PathBuf,
    /// The server's private key
    #[arg(long, default_value = "/etc/wharf/tls/server-key.pem", value_name = "FILE")]
    tlskey: PathBuf,
    /// Refuse client certificates that these CRLs revoke [default: crl.pem beside the authorities, where it is]
    #[arg(long, value_name = "FILE")]
    tlscrl: Option<PathBuf>,
    /// Demand a role in every client certificate, for this machine id
    #[arg(long, value_name = "MACHINE")]
    tls_roles: Option<String>,
    /// Address and prefix of the default bridge, such as 172.17.0.1/16
    #[arg(long, value_name = "CIDR")]
    bip: Option<String>,
    /// Name of the default bridge, or `none`
    #[arg(short, long, default_value = "wharf0", value_name = "NAME")]
    bridge: String,
    /// Try this registry before Docker Hub
    #[arg(long = "registry-mirror", value_name = "URL")]
    registry_mirrors: Vec<String>,
    /// Speak to this registry without verified TLS
    #[arg(long = "insecure-registry", value_name = "HOST[:PORT]|CIDR")]
    insecure_registries: Vec<String>,
    /// A label that `docker info` shows
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// A DNS server for containers
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<String>,
    /// Open what is published on 127.0.0.1 to this address too: the computer that this host is a virtual machine of.
    /// Default: what /etc/wharf/loopback-peer says, where it is
    #[arg(long, value_name = "ADDRESS")]
    loopback_peer: Option<Ipv4Addr>,
    /// Refuse binds of what is neither here nor in a folder that this file lists: `ro PATH` or `rw PATH` a line, folders
    /// of the computer that this host is a virtual machine of. Default: /etc/wharf/shares, where it is
    #[arg(long, value_name = "FILE")]
    shares: Option<PathBuf>,
    /// Take no new containers from this time on, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u64>,
    /// Power the machine off then
    #[arg(long, requires = "expires")]
    power_off: bool,
    /// debug, info, warn, error or fatal
    #[arg(short, long, default_value = "info", value_name = "LEVEL")]
    log_level: String,
    /// The same as --log-level debug
    #[arg(short = 'D', long)]
    debug: bool,
    /// Write the process id here
    #[arg(short, long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
}

impl Config {
    /// Parses the arguments, the program's own name first.
    ///
    /// # Errors
    /// With clap's answer for unknown flags, and with every mistake in the values together.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ConfigError> {
        let flags = Flags::try_parse_from(arguments)?;
        let mut mistakes = Mistakes::default();
        let listen = match flags.hosts.as_slice() {
            [] => vec![Listen::Unix(flags.exec_root.join("wharfd.sock"))],
            hosts => hosts.iter().filter_map(|host| mistakes.keep(parse_listen(host))).collect(),
        };
        let secured = flags.tls || flags.tlsverify || flags.tls_roles.is_some();
        for address in listen.iter().filter_map(plain_and_open(secured)) {
            let why = "without --tlsverify everybody who reaches it is root";
            mistakes.0.push(format!("refusing to listen on tcp://{address}: {why}"));
        }
        let config = Self {
            listen,
            tls: secured.then(|| TlsFiles {
                revoked: match flags.tlscrl {
                    Some(named) => Revocations::Named(named),
                    None => Revocations::Usual(flags.tlscacert.with_file_name(CRL)),
                },
                ca: flags.tlscacert,
                cert: flags.tlscert,
                key: flags.tlskey,
            }),
            roles: flags.tls_roles.map(|machine| Roles { machine }),
            bip: flags.bip.and_then(|bip| mistakes.keep(parse_subnet(&bip))),
            bridge: flags.bridge,
            registry_mirrors: flags.registry_mirrors,
            insecure_registries: flags.insecure_registries,
            dns: flags.dns.iter().filter_map(|dns| mistakes.keep(parse_dns(dns))).collect(),
            loopback_peer: flags.loopback_peer.or_else(named_by_the_machine),
            shares: match flags.shares {
                Some(file) => mistakes.keep(named_shares(&file)),
                None => std::fs::read_to_string("/etc/wharf/shares").ok().map(|text| Shares::read(&text)),
            },
            end: flags.expires.map(|second| End::at_second(second, flags.power_off)),
            log_level: mistakes
                .keep(parse_level(if flags.debug { "debug" } else { &flags.log_level }))
                .unwrap_or(tracing::Level::INFO),
            labels: flags.labels.into_iter().filter_map(|l| mistakes.keep(parse_label(l))).collect(),
            pidfile: flags.pidfile,
            data_root: mistakes.absolute("--data-root", flags.data_root),
            exec_root: mistakes.absolute("--exec-root", flags.exec_root),
        };
        if mistakes.0.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(mistakes.0)) }
    }
}

/// Where the bootstrap puts the list of certificates that were taken back, beside the authorities.
pub(crate) const CRL: &str = "crl.pem";

/// Whoever made the machine knows who runs it.
fn named_by_the_machine() -> Option<Ipv4Addr> {
    std::fs::read_to_string("/etc/wharf/loopback-peer").ok()?.trim().parse().ok()
}

fn named_shares(file: &Path) -> Result<Shares, String> {
    let text = std::fs::read_to_string(file);
    text.map(|text| Shares::read(&text)).map_err(|error| format!("--shares {}: {error}", file.display()))
}

#[derive(Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn keep<T>(&mut self, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|mistake| self.0.push(mistake)).ok()
    }

    /// The runtime changes its working folder, so a relative path would mean two places.
    fn absolute(&mut self, flag: &str, path: PathBuf) -> PathBuf {
        if !path.is_absolute() {
            self.0.push(format!("{flag} must be an absolute path: {}", path.display()));
        }
        path
    }
}

fn plain_and_open(secured: bool) -> impl Fn(&Listen) -> Option<SocketAddr> {
    move |listen| match listen {
        Listen::Tcp(address) if !secured && !address.ip().is_loopback() => Some(*address),
        _ => None,
    }
}

fn parse_listen(host: &str) -> Result<Listen, String> {
    if let Some(path) = host.strip_prefix("unix://") {
        return match path {
            "" => Err("unix:// needs a path after it".to_owned()),
            path if path.starts_with('/') => Ok(Listen::Unix(path.into())),
            path => Err(format!("the path of a unix socket must be absolute: {path}")),
        };
    }
    let Some(address) = host.strip_prefix("tcp://") else {
        return Err(format!("cannot listen on {host:?}: it must start with unix:// or tcp://"));
    };
    let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
    match address.parse() {
        Ok(address) => Ok(Listen::Tcp(address)),
        Err(_) => {
            Err(format!("cannot listen on {host:?}: it must be tcp://ADDRESS:PORT with a numeric address"))
        }
    }
}

fn parse_subnet(text: &str) -> Result<Subnet, String> {
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        Some(Subnet {
            address: address.parse().ok()?,
            prefix: prefix.parse().ok().filter(|p| (8..=30).contains(p))?,
        })
    });
    parsed.ok_or_else(|| format!("--bip must be an IPv4 address and a prefix of 8 to 30 bits: {text:?}"))
}

fn parse_dns(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("--dns must be an IP address: {text:?}"))
}

fn parse_label(label: String) -> Result<String, String> {
    match label.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(label),
        _ => Err(format!("--label must be KEY=VALUE: {label:?}")),
    }
}

fn parse_level(level: &str) -> Result<tracing::Level, String> {
    match level {
        "debug" => Ok(tracing::Level::DEBUG),
        "info" => Ok(tracing::Level::INFO),
        "warn" => Ok(tracing::Level::WARN),
        "error" | "fatal" => Ok(tracing::Level::ERROR),
        other => Err(format!("--log-level must be debug, info, warn, error or fatal: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Config, ConfigError> {
        Config::parse(std::iter::once("wharfd").chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn takes_dockerds_flags() {
        let config = parse(
            "-H unix:///run/a.sock -H tcp://0.0.0.0:2376 --tlsverify --tlscacert /ca --tlscert /c --tlskey /k \
             --bip 10.9.0.1/24 --label a=b --registry-mirror http://m -p /run/pid --data-root /d --exec-root /e -D",
        )
        .unwrap();
        assert_eq!(config.listen.len(), 2);
        let tls = config.tls.unwrap();
        assert_eq!(tls.cert, PathBuf::from("/c"));
        assert_eq!(tls.revoked, Revocations::Usual("/crl.pem".into()));
        assert_eq!(config.bip, Some(Subnet { address: [10, 9, 0, 1].into(), prefix: 24 }));
        assert_eq!(config.log_level, tracing::Level::DEBUG);
    }

    #[test]
    fn an_end_is_a_second_and_powers_off_only_where_that_is_said() {
        assert_eq!(parse("").unwrap().end, None);
        let end = parse("--expires 1800000000 --power-off").unwrap().end.unwrap();
        assert!(end.power_off && end == End::at_second(1_800_000_000, true));
        assert!(!parse("--expires 1").unwrap().end.unwrap().power_off);
        assert!(parse("--power-off").is_err());
    }

    #[test]
    fn reports_every_mistake_together() {
        let error =
            parse("-H ftp://x -H tcp://1.2.3.4:1 --bip 1.2.3.4/40 --label x --data-root d --log-level loud");
        let ConfigError::Invalid(mistakes) = error.unwrap_err() else { panic!("not a list of mistakes") };
        assert_eq!(mistakes.len(), 6, "{mistakes:#?}");
    }

    #[test]
    fn an_open_port_without_tls_is_refused() {
        assert!(parse("-H tcp://127.0.0.1:2375").is_ok());
        let error = parse("-H tcp://:2375").unwrap_err().to_string();
        assert!(error.contains("tcp://0.0.0.0:2375") && error.contains("--tlsverify"), "{error}");
    }
}
