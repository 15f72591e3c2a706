//! What is wanted: whom to reach, which machine it is to be, and with what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use wharf_pki::{Authority, Leaf, Name, Revocations};
use wharf_ssh::Target;

/// Everything a bootstrap needs. It reads one file, the agent, and no environment.
#[derive(Debug, Clone)]
pub struct Request {
    /// The SSH server, and what it must prove.
    pub target: Target,
    /// The machine's stable identity.
    pub machine: String,
    /// The addresses and names that the engine's certificate is for.
    pub names: Vec<Name>,
    /// Where the engine will be.
    pub engine: Endpoint,
    /// The agent: one static executable.
    pub agent: PathBuf,
    /// Signs the engine's certificate.
    pub authority: Arc<Authority>,
    /// The clients' certificates that were taken back.
    pub revoked: Revocations,
    /// Signs in to the engine, to verify it.
    pub client: Arc<Leaf>,
    /// How the engine is to run.
    pub options: EngineOptions,
    /// Replace the SSH host key by one made on the machine: for machines whose key we made, never for adopted ones.
    pub rotate_host_key: bool,
    /// What time it is.
    pub now: OffsetDateTime,
    /// Until when SSH must answer.
    pub connect_by: Instant,
    /// Until when all must be done.
    pub deadline: Instant,
}

/// A host to look at or to clean up, by somebody who need not know what it is to be.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The SSH server, and what it must prove.
    pub target: Target,
    /// Until when SSH must answer.
    pub connect_by: Instant,
    /// Until when all must be done.
    pub deadline: Instant,
}

/// Where an engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The host, as seen from here.
    pub host: String,
    /// The port, as seen from here.
    pub port: u16,
    /// The port that the engine listens on, on the machine.
    pub listen: u16,
}

/// How an engine runs: flags of the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineOptions {
    /// `key=value` labels.
    pub labels: Vec<String>,
    /// Registries tried before Docker Hub.
    pub registry_mirrors: Vec<String>,
    /// Registries spoken to without verified TLS.
    pub insecure_registries: Vec<String>,
    /// The authorities that registries are believed by, as PEM: not flags, but files that the agent reads at each pull.
    #[serde(default)]
    pub registry_authorities: BTreeMap<String, String>,
    /// `KEY=value` in the agent's environment, such as `HTTPS_PROXY`.
    pub environment: Vec<String>,
    /// Further flags, each with its leading dashes.
    pub extra: Vec<String>,
}

impl Request {
    /// The same host, without what it is to be.
    pub fn visit(&self) -> Visit {
        Visit { target: self.target.clone(), connect_by: self.connect_by, deadline: self.deadline }
    }

    /// The flags that the agent is started with.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = vec![
            "--host=unix:///run/wharf/wharfd.sock".to_owned(),
            format!("--host=tcp://0.0.0.0:{}", self.engine.listen),
            "--tlsverify".to_owned(),
            format!("--tls-roles={}", self.machine),
        ];
        let mut each = |flag: &str, values: &[String]| {
            flags.extend(values.iter().map(|value| format!("--{flag}={value}")));
        };
        each("label", &self.options.labels);
        each("registry-mirror", &self.options.registry_mirrors);
        each("insecure-registry", &self.options.insecure_registries);
        flags.extend(self.options.extra.iter().cloned());
        flags
    }
}
