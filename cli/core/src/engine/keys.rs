//! The SSH keys of a machine: the one that signs in, and the host key that it is born with.

use std::sync::Arc;

use wharf_driver::{MachineName, Secret, Seed};
use wharf_ssh::KeyPair;

use crate::engine::ledger::Ledger;
use crate::vault::{Format, Key, Vault};
use crate::{Error, Kind, Result};

/// The key that signs in.
pub(crate) const SIGN_IN: Key = Key { file: "keys/id_ed25519", format: Format::OpenSsh };
/// The key that a machine is born with.
pub(crate) const HOST: Key = Key { file: "keys/host_ed25519", format: Format::OpenSsh };

/// A machine's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) sign_in: KeyPair,
    pub(crate) host: KeyPair,
}

impl Keys {
    /// Reads the keys, or makes them. Each is made once; the one that is there counts.
    pub(crate) async fn of(vault: &Vault, ledger: &Ledger, name: &MachineName) -> Result<Self> {
        if ledger.machine()?.adopts {
            return Self::unkept();
        }
        let sign_in = pair(vault, ledger, SIGN_IN, &format!("wharf-{name}")).await?;
        let host = pair(vault, ledger, HOST, name.as_str()).await?;
        Ok(Self { sign_in, host })
    }

    /// Keys for nobody: a host that was there before has never seen one of ours.
    pub(crate) fn unkept() -> Result<Self> {
        Ok(Self { sign_in: generate("wharf")?, host: generate("wharf")? })
    }

    /// What a machine is born with.
    pub(crate) fn seed(&self, name: &MachineName) -> Arc<Seed> {
        Arc::new(Seed {
            host_name: name.to_string(),
            user: "wharf".to_owned(),
            authorized_key: self.sign_in.public().to_owned(),
            host_key: Secret::new(self.host.private().to_owned()),
            host_key_public: self.host.public().to_owned(),
        })
    }
}

/// Where the public half of a key is, under the machine's folder.
pub(crate) fn public_file(key: Key) -> String {
    format!("{}.pub", key.file)
}

async fn pair(vault: &Vault, ledger: &Ledger, key: Key, comment: &str) -> Result<KeyPair> {
    let lease = ledger.lease();
    vault.settle(lease, key).await?;
    if let Some(secret) = vault.read(&lease.subject, key).await? {
        return KeyPair::load(secret.expose()).map_err(|e| {
            Error::new(Kind::Failed, format!("the machine's key `{}` is damaged: {e}", key.file))
                .hint("bring the file back from a backup; the machine can be removed without it")
        });
    }
    let made = generate(comment)?;
    vault.put(lease, key, &Secret::new(made.private().to_owned())).await?;
    ledger.put(&public_file(key), format!("{}\n", made.public().trim_end()).as_bytes()).await?;
    Ok(made)
}

fn generate(comment: &str) -> Result<KeyPair> {
    KeyPair::generate(comment)
        .map_err(|e| Error::new(Kind::Failed, format!("cannot make an SSH key: {e}")).caused_by(e))
}
