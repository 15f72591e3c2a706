//! What a server is reached by.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rcgen::SanType;

use crate::Error;

/// An address or a host name, as it stands in a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// An address.
    Address(IpAddr),
    /// A host name, in lower case.
    Host(String),
}

impl Name {
    pub(crate) fn to_san(&self) -> Result<SanType, Error> {
        Ok(match self {
            Self::Address(address) => SanType::IpAddress(*address),
            Self::Host(host) => SanType::DnsName(host.clone().try_into()?),
        })
    }
}

impl FromStr for Name {
    type Err = Error;

    /// Takes an address (an IPv6 one also in brackets) or a host name of RFC 1123, with `_` let through since clouds
    /// hand such names out; a dot at the end is dropped.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        // All digits and dots would be a mistyped address, which no client would look up as a name.
        let addressy = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if host.len() > 253 || addressy || !host.split('.').all(is_label) {
            return Err(Error::Name(text.to_owned()));
        }
        Ok(Self::Host(host))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Host(host) => f.write_str(host),
        }
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn addresses_and_hosts_are_told_apart() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1"),
            ("[fe80::1]", "fe80::1"),
            ("Web-1.Example.ORG.", "web-1.example.org"),
            ("my_vm", "my_vm"),
        ] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), shown);
        }
        assert!(matches!("::1".parse().unwrap(), Name::Address(_)));
        assert!(matches!("localhost".parse().unwrap(), Name::Host(_)));
    }

    #[test]
    fn mistakes_are_refused() {
        for text in
            ["", ".", "-a", "a-", "a b", "10.0.0.256", "1.2.3", "a..b", "ä", &"x".repeat(64), "*.a", "a/b"]
        {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
