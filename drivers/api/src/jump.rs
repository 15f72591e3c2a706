//! Hosts on the way to a machine, as a person writes them: `[user@]host[:port]`.

use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const SSH_PORT: u16 = 22;

/// One host on the way, verified like any other. It is signed in to with the key that the person named for the machine,
/// else with the person's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// Who to sign in as; `None` is the machine's user.
    pub user: Option<String>,
    /// Address or name.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
}

/// `[user@]host[:port]`, an IPv6 address with a port in brackets. The error says what is wrong with it.
impl FromStr for Jump {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, text),
        };
        let (host, port) = split_place(place).map_err(|e| e.to_string())?;
        if !is_host(host) || user.as_deref() == Some("") {
            return Err("it names no host, or an empty user".to_owned());
        }
        Ok(Self { user, host: host.to_owned(), port })
    }
}

fn split_place(place: &str) -> Result<(&str, u16), ParseIntError> {
    if let Some((host, port)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return Ok((host, port.strip_prefix(':').map_or(Ok(SSH_PORT), str::parse)?));
    }
    match place.split_once(':') {
        // More than one colon is an IPv6 address without a port.
        Some((host, port)) if !port.contains(':') => Ok((host, port.parse()?)),
        _ => Ok((place, SSH_PORT)),
    }
}

/// Whether it may be an address or a name. A dash in front would be an option to a program that is handed it.
#[must_use]
pub fn is_host(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_whitespace() || "/@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_read_as_openssh_reads_them() {
        let jump = |user: Option<&str>, host: &str, port| Jump {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        };
        for (text, wanted) in [
            ("bastion", jump(None, "bastion", 22)),
            ("ada@bastion:2222", jump(Some("ada"), "bastion", 2222)),
            ("ada@[fd00::1]:2222", jump(Some("ada"), "fd00::1", 2222)),
            ("[fd00::1]", jump(None, "fd00::1", 22)),
            ("fd00::1", jump(None, "fd00::1", 22)),
        ] {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
        }
        for wrong in ["", "@host", "user@", "-oProxyCommand=x", "host:ssh", "a b"] {
            assert!(wrong.parse::<Jump>().is_err(), "{wrong}");
        }
    }
}
