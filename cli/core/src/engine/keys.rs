//! The SSH keys of a machine: the one that signs in, and the host key that it is born with.

use std::sync::Arc;

use wharf_driver::{MachineName, Secret, Seed};
use wharf_ssh::KeyPair;

use crate::engine::ledger::Ledger;
use crate::{Error, Kind, Result};

const SIGN_IN: &str = "keys/id_ed25519";
const HOST: &str = "keys/host_ed25519";

/// A machine's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) sign_in: KeyPair,
    pub(crate) host: KeyPair,
}

impl Keys {
    /// Reads the keys, or makes them. Each is made once; the file that is there counts.
    pub(crate) async fn of(ledger: &Ledger, name: &MachineName) -> Result<Self> {
        let sign_in = pair(ledger, SIGN_IN, &format!("wharf-{name}")).await?;
        let host = pair(ledger, HOST, name.as_str()).await?;
        Ok(Self { sign_in, host })
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

/// Where the key that signs in is, under the machine's folder.
pub(crate) const fn identity_file() -> &'static str {
    SIGN_IN
}

async fn pair(ledger: &Ledger, file: &str, comment: &str) -> Result<KeyPair> {
    let damaged = |e: &dyn std::fmt::Display| {
        Error::new(Kind::Failed, format!("the machine's key `{file}` is damaged: {e}"))
            .hint("bring the file back from a backup; the machine can be removed without it")
    };
    if let Some(bytes) = ledger.get(file).await? {
        let text = String::from_utf8(bytes).map_err(|e| damaged(&e))?;
        return KeyPair::load(&text).map_err(|e| damaged(&e));
    }
    let made = KeyPair::generate(comment)
        .map_err(|e| Error::new(Kind::Failed, format!("cannot make an SSH key: {e}")).caused_by(e))?;
    ledger.put(file, made.private().as_bytes()).await?;
    ledger.put(&format!("{file}.pub"), format!("{}\n", made.public().trim_end()).as_bytes()).await?;
    Ok(made)
}
