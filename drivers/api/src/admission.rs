//! Who may reach a machine over the network, where the place keeps rules about that. A client is one person on one
//! computer; each has rules of its own, so that nobody's shut out by somebody else's change of address.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a machine's rules say of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// There is nothing to say: no rules of ours are about single clients.
    Unguarded,
    /// No rule is about this client yet.
    Unknown,
    /// SSH is open to everybody, until it is known where this client comes from.
    Anywhere,
    /// From this address or network, to SSH and to the engine.
    From(String),
}

/// What the rules are to say of one client from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// SSH opens to everybody, since it is not known where this client comes from. The engine stays shut.
    Anywhere,
    /// SSH and the engine open to this address or network, and to no other for this client.
    From(&'a str),
    /// The client's rules go.
    Shut,
}

/// Whether the text is a network in the form `ADDRESS/LENGTH`.
#[must_use]
pub fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let longest = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= longest)
}
