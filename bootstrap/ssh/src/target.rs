//! Whom to connect to, as whom, and how to know that it is really them.

use std::fmt;
use std::str::FromStr;

use crate::{HostKeys, Identity, Passphrase};

/// One SSH server, and the way to it.
#[derive(Debug, Clone)]
pub struct Target {
    /// A host name or an address.
    pub host: String,
    /// Usually 22.
    pub port: u16,
    /// Who signs in.
    pub user: String,
    /// What may prove it, tried in this order.
    pub identities: Vec<Identity>,
    /// Asked when an identity is encrypted.
    pub passphrase: Option<Passphrase>,
    /// What the host must prove.
    pub host_keys: HostKeys,
    /// Hosts to go through, the nearest first; theirs are not looked at. Each is verified like the last.
    pub jumps: Vec<Target>,
}

impl Target {
    /// A target reached directly, that asks for no passphrase.
    pub fn new(
        host: impl Into<String>,
        user: impl Into<String>,
        identity: Identity,
        host_keys: HostKeys,
    ) -> Self {
        Self {
            host: host.into(),
            port: 22,
            user: user.into(),
            identities: vec![identity],
            passphrase: None,
            host_keys,
            jumps: Vec::new(),
        }
    }

    /// `host:port` as it is shown, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// `[user@]host[:port]`, as a person writes a jump host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The user, where one is named.
    pub user: Option<String>,
    /// A host name or an address.
    pub host: String,
    /// 22 where none is named.
    pub port: u16,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mistake = || format!("a host is written [user@]host[:port]: `{text}`");
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) if !user.is_empty() => (Some(user.to_owned()), rest),
            Some(_) => return Err(mistake()),
            None => (None, text),
        };
        let (host, port) = split(rest).ok_or_else(mistake)?;
        let port =
            port.map_or(Ok(22), |port| port.parse().ok().filter(|port| *port > 0).ok_or_else(mistake))?;
        if host.is_empty() || host.starts_with('-') || host.contains(char::is_whitespace) {
            return Err(mistake());
        }
        Ok(Self { user, host: host.to_owned(), port })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        write!(f, ":{}", self.port)
    }
}

fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return if rest.is_empty() {
            Some((host, None))
        } else {
            Some((host, Some(rest.strip_prefix(':')?)))
        };
    }
    match text.split_once(':') {
        // More than one colon without brackets: an IPv6 address without a port.
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn places_are_read_as_ssh_reads_them() {
        for (text, shown) in [
            ("bastion", "bastion:22"),
            ("ann@bastion:2222", "ann@bastion:2222"),
            ("ann@corp@bastion", "ann@corp@bastion:22"),
            ("::1", "[::1]:22"),
            ("root@[fe80::1]:23", "root@[fe80::1]:23"),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), shown);
        }
        for text in ["", "@a", "a:", "a:0", "a:70000", "a:b", "[::1", "[::1]2", "-oProxyCommand=x", "a b"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
