//! The policy: which host keys are good. There is no policy that takes any key without a word.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::known_hosts::{self, Entry};
use crate::{Error, Fingerprint, HostKey, Target};

/// What a host must prove before anything is said to it.
#[derive(Debug, Clone)]
pub enum HostKeys {
    /// It has one of these keys. Only their types are asked for.
    Pinned(Vec<HostKey>),
    /// It has the key of this fingerprint.
    Fingerprint(Fingerprint),
    /// It has one of the keys that these files hold for it. A host that stands there with other keys is refused,
    /// whatever `otherwise` says.
    KnownHosts {
        /// In OpenSSH's `known_hosts` format; a file that is not there holds nothing.
        files: Vec<PathBuf>,
        /// What to do with a host that no file mentions.
        otherwise: Unknown,
    },
}

/// Is this key of the host at this address good?
pub type Question = dyn Fn(&str, &HostKey) -> bool + Send + Sync;

/// What to do with a host that nobody has seen before.
#[derive(Clone)]
pub enum Unknown {
    /// Nothing: it is an error.
    Refuse,
    /// Take the key it offers. The caller said so, and records [`Session::host_key`](crate::Session::host_key).
    Accept,
    /// Ask with the host's address and the key it offers. The function may block.
    Ask(Arc<Question>),
}

impl HostKeys {
    /// Reads the files, if there are any, and says what is expected of this host.
    pub(crate) fn expect(&self, target: &Target) -> Result<Expected, Error> {
        match self {
            Self::Pinned(keys) => Ok(Expected { keys: keys.clone(), ..Expected::default() }),
            Self::Fingerprint(fingerprint) => {
                Ok(Expected { fingerprint: Some(fingerprint.clone()), ..Expected::default() })
            }
            Self::KnownHosts { files, otherwise } => {
                let mut expected = Expected { otherwise: Some(otherwise.clone()), ..Expected::default() };
                for entry in known_hosts::read(files, &target.host, target.port)? {
                    match entry {
                        Entry::Key(key) => expected.keys.push(key),
                        Entry::Revoked(key) => expected.revoked.push(key),
                    }
                }
                Ok(expected)
            }
        }
    }
}

/// A policy with its files read, for one host.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    keys: Vec<HostKey>,
    revoked: Vec<HostKey>,
    fingerprint: Option<Fingerprint>,
    otherwise: Option<Unknown>,
}

impl Expected {
    /// The key types to ask for, so that a host with several keys shows the one we can judge.
    pub(crate) fn algorithms(&self) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        for key in &self.keys {
            let algorithm = match key.algorithm().as_str() {
                "ssh-rsa" => "rsa-sha2-512,rsa-sha2-256".to_owned(),
                other => other.to_owned(),
            };
            if !names.contains(&algorithm) {
                names.push(algorithm);
            }
        }
        (!names.is_empty()).then(|| names.join(","))
    }

    /// Judges what the host proved to have.
    pub(crate) fn judge(&self, target: &Target, offered: &HostKey) -> Result<(), Error> {
        if self.revoked.contains(offered) {
            return Err(Error::HostKeyRevoked { host: target.address(), offered: offered.fingerprint() });
        }
        if self.keys.contains(offered) || self.fingerprint.as_ref() == Some(&offered.fingerprint()) {
            return Ok(());
        }
        match &self.otherwise {
            Some(otherwise) if self.keys.is_empty() => otherwise.judge(target, offered),
            _ => Err(self.mismatch(target, offered)),
        }
    }

    fn mismatch(&self, target: &Target, offered: &HostKey) -> Error {
        let expected = self.keys.iter().map(HostKey::fingerprint).chain(self.fingerprint.clone()).collect();
        Error::HostKeyMismatch { host: target.address(), expected, offered: offered.fingerprint() }
    }
}

impl Unknown {
    fn judge(&self, target: &Target, offered: &HostKey) -> Result<(), Error> {
        let good = match self {
            Self::Refuse => false,
            Self::Accept => true,
            Self::Ask(ask) => ask(&target.address(), offered),
        };
        if good {
            return Ok(());
        }
        Err(Error::HostKeyUnknown { host: target.address(), offered: offered.clone() })
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "Refuse",
            Self::Accept => "Accept",
            Self::Ask(_) => "Ask",
        })
    }
}
