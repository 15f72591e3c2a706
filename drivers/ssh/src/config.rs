//! What a person may set: where the host is, who signs in, and what its host key must be.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wharf_driver::{Access, Configure, HostKeyTrust, Jump, Mistake, Setting, Settings, Takes, is_host};

use crate::Ssh;

const ADDRESS: &str = "ssh-address";
const USER: &str = "ssh-user";
const KEY: &str = "ssh-key";
const PORT: &str = "ssh-port";
const JUMP: &str = "ssh-jump";
const HOST_KEY: &str = "ssh-host-key";
const ACCEPT_NEW: &str = "ssh-accept-new-host-key";
const ENGINE_PORT: &str = "ssh-engine-port";

const SSH_PORT: u16 = 22;
/// A SHA-256 in base64 without padding.
const FINGERPRINT_LENGTH: usize = 43;

/// The host and how to sign in to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Address or name.
    pub address: String,
    /// Port of its SSH server.
    pub port: u16,
    /// Who signs in: root, or somebody who may sudo without a password.
    pub user: String,
    /// The private key file; `None` tries the person's own keys and agent.
    pub key: Option<PathBuf>,
    /// Hosts to go through, the first one first.
    pub jumps: Vec<Jump>,
    /// The fingerprint that its host key must have, `SHA256:…`.
    pub host_key: Option<String>,
    /// Whether to accept whatever host key it shows at first.
    pub accept_new_host_key: bool,
    /// The port of its engine; `None` is the one that every machine has.
    pub engine_port: Option<u16>,
}

impl Config {
    /// How to sign in, as the engine is told.
    pub(crate) fn access(&self) -> Access {
        let host_key = match (&self.host_key, self.accept_new_host_key) {
            (Some(fingerprint), _) => HostKeyTrust::Fingerprint(fingerprint.clone()),
            (None, true) => HostKeyTrust::AcceptNew,
            (None, false) => HostKeyTrust::Known,
        };
        Access { identity: self.key.clone(), jumps: self.jumps.clone(), host_key }
    }

    /// Where the first connection goes: the host, or the first host on the way to it.
    pub(crate) fn first_hop(&self) -> (&str, u16) {
        self.jumps.first().map_or((&self.address, self.port), |jump| (&jump.host, jump.port))
    }
}

impl Configure for Ssh {
    const SETTINGS: &'static [Setting] = &[
        Setting {
            flag: ADDRESS,
            aliases: &["generic-ip-address"],
            env: &["WHARF_SSH_ADDRESS", "GENERIC_IP_ADDRESS"],
            help: "address or name of the host",
            takes: Takes::Text("ADDRESS"),
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: USER,
            aliases: &["generic-ssh-user"],
            env: &["WHARF_SSH_USER", "GENERIC_SSH_USER"],
            help: "who signs in: root, or somebody who may sudo without a password",
            takes: Takes::Text("NAME"),
            default: Some("root"),
            at_terminal: None,
        },
        Setting {
            flag: KEY,
            aliases: &["generic-ssh-key"],
            env: &["WHARF_SSH_KEY", "GENERIC_SSH_KEY"],
            help: "private key to sign in with, instead of your own keys and agent",
            takes: Takes::Path("FILE"),
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: PORT,
            aliases: &["generic-ssh-port"],
            env: &["WHARF_SSH_PORT", "GENERIC_SSH_PORT"],
            help: "port of the host's SSH server",
            takes: Takes::Text("PORT"),
            default: Some("22"),
            at_terminal: None,
        },
        Setting {
            flag: JUMP,
            aliases: &[],
            env: &["WHARF_SSH_JUMP"],
            help: "host to go through, once for each; every one is verified",
            takes: Takes::List("[USER@]HOST[:PORT]"),
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: HOST_KEY,
            aliases: &[],
            env: &["WHARF_SSH_HOST_KEY"],
            help: "fingerprint that the host key must have, instead of what known_hosts says",
            takes: Takes::Text("SHA256:…"),
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: ACCEPT_NEW,
            aliases: &[],
            env: &[],
            help: "accept whatever host key a host shows that known_hosts does not mention",
            takes: Takes::Switch,
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: ENGINE_PORT,
            aliases: &["generic-engine-port"],
            env: &["WHARF_SSH_ENGINE_PORT", "GENERIC_ENGINE_PORT"],
            help: "port of the host's engine",
            takes: Takes::Text("PORT"),
            default: None,
            at_terminal: None,
        },
    ];

    fn configure(set: &Settings) -> Result<Config, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let address = set.text(ADDRESS).unwrap_or_default().to_owned();
        if address.is_empty() {
            mistakes.push(Mistake::new(ADDRESS, "is missing: say where the host is"));
        } else if !is_host(&address) {
            mistakes.push(Mistake::new(ADDRESS, format!("`{address}` is neither an address nor a name")));
        }
        let jump = |text: &String| {
            text.parse::<Jump>()
                .map_err(|because| Mistake::new(JUMP, format!("`{text}` is wrong: {because}")))
        };
        let (jumps, wrong): (Vec<_>, Vec<_>) = set.list(JUMP).iter().map(jump).partition(Result::is_ok);
        mistakes.extend(wrong.into_iter().filter_map(Result::err));
        let host_key = set.text(HOST_KEY).map(str::to_owned);
        if let Some(fingerprint) = host_key.as_deref().filter(|text| !is_fingerprint(text)) {
            let message =
                format!("`{fingerprint}` is no fingerprint: `ssh-keygen -lf` shows one as SHA256:…");
            mistakes.push(Mistake::new(HOST_KEY, message));
        }
        let config = Config {
            address,
            port: set.parse(PORT, &mut mistakes).unwrap_or(SSH_PORT),
            user: set.text(USER).unwrap_or("root").to_owned(),
            key: set.path(KEY),
            jumps: jumps.into_iter().filter_map(Result::ok).collect(),
            host_key,
            accept_new_host_key: set.switch(ACCEPT_NEW),
            engine_port: set.parse(ENGINE_PORT, &mut mistakes),
        };
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }
}

fn is_fingerprint(text: &str) -> bool {
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    text.strip_prefix("SHA256:")
        .is_some_and(|digits| digits.len() == FINGERPRINT_LENGTH && digits.chars().all(base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&str, &[&str])]) -> Settings {
        let mut settings = Settings::default();
        for (flag, values) in set {
            settings.set(*flag, values.iter().map(|&value| value.to_owned()).collect());
        }
        settings
    }

    #[test]
    fn an_address_is_enough() {
        let config = Ssh::configure(&settings(&[(ADDRESS, &["10.0.0.7"])])).unwrap();
        assert_eq!((config.user.as_str(), config.port, config.engine_port), ("root", 22, None));
        assert_eq!(config.access().host_key, HostKeyTrust::Known);
        assert_eq!(config.first_hop(), ("10.0.0.7", 22));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let set = settings(&[
            (PORT, &["many"]),
            (HOST_KEY, &["MD5:aa:bb"]),
            (JUMP, &["ok", "@host", "-oProxyCommand=x"]),
        ]);
        let flags: Vec<_> = Ssh::configure(&set).unwrap_err().iter().map(|mistake| mistake.flag).collect();
        assert_eq!(flags, [ADDRESS, JUMP, JUMP, HOST_KEY, PORT]);
    }

    #[test]
    fn a_pinned_key_goes_before_accepting_any() {
        let print = format!("SHA256:{}", "a".repeat(FINGERPRINT_LENGTH));
        let set = settings(&[(ADDRESS, &["h"]), (HOST_KEY, &[&print]), (ACCEPT_NEW, &["true"])]);
        assert_eq!(Ssh::configure(&set).unwrap().access().host_key, HostKeyTrust::Fingerprint(print));
    }
}
