//! A cloud that listens.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::cloud::{Cloud, Deed, Entry, Fault, Operation, Policy};
use crate::config::Config;
use crate::http::{Authority, serve_plain, serve_proxy, serve_tls};
use crate::{blob, sign_in};

/// A running cloud. It ends when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    cloud: Arc<Cloud>,
    listening: SocketAddr,
    proxy: Option<SocketAddr>,
    metadata: Option<SocketAddr>,
    control: Option<SocketAddr>,
    folder: tempfile::TempDir,
    // Aborts what it holds when it is dropped.
    _tasks: JoinSet<()>,
}

impl Simulator {
    /// Listens, and lives from now on.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let listening = listener.local_addr()?;
        let (proxy, metadata, control) =
            (bind(config.proxy).await?, bind(config.metadata).await?, bind(config.control).await?);
        let addresses = [&proxy, &metadata, &control].map(|l| l.as_ref().and_then(|l| l.local_addr().ok()));
        let cloud = Cloud::new(config, listening.port())?;
        let mut hosts = cloud.names.hosts.clone();
        hosts.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), listening.ip().to_string()]);
        hosts.dedup();
        let authority = Authority::new(&hosts, cloud.clock().today())?;
        let folder = tempfile::Builder::new().prefix("wharf-sim-").tempdir()?;
        std::fs::File::create(folder.path().join("ca.pem"))?.write_all(authority.pem.as_bytes())?;
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&cloud).live());
        let own = Arc::clone(&cloud);
        tasks.spawn(serve_tls(listener, authority.server, move |call| {
            let cloud = Arc::clone(&own);
            async move {
                if blob::is_for(&call) { blob::handle(&cloud, &call).await } else { cloud.handle(&call) }
            }
        }));
        if let Some(listener) = proxy {
            tasks.spawn(serve_proxy(listener, listening));
        }
        if let Some(listener) = metadata {
            let own = Arc::clone(&cloud);
            tasks.spawn(serve_plain(listener, move |call| {
                let cloud = Arc::clone(&own);
                async move { sign_in::metadata(&cloud, &call) }
            }));
        }
        if let Some(listener) = control {
            let own = Arc::clone(&cloud);
            tasks.spawn(serve_plain(listener, move |call| {
                let cloud = Arc::clone(&own);
                async move { crate::control::handle(&cloud, &call) }
            }));
        }
        let [proxy, metadata, control] = addresses;
        Ok(Self { cloud, listening, proxy, metadata, control, folder, _tasks: tasks })
    }

    /// The cloud.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The cloud, for somebody who keeps it.
    pub fn shared(&self) -> Arc<Cloud> {
        Arc::clone(&self.cloud)
    }

    /// Resource Manager's endpoint.
    pub fn endpoint(&self) -> &str {
        &self.cloud.names.arm
    }

    /// Where one signs in, as discovery tells it.
    pub fn login(&self) -> &str {
        &self.cloud.names.login
    }

    /// What tokens must be for.
    pub fn audience(&self) -> &str {
        &self.cloud.names.audiences[0]
    }

    /// The address that all names lead to.
    pub fn address(&self) -> SocketAddr {
        self.listening
    }

    /// The CONNECT proxy, where there is one.
    pub fn proxy(&self) -> Option<SocketAddr> {
        self.proxy
    }

    /// The metadata service, where there is one.
    pub fn metadata(&self) -> Option<SocketAddr> {
        self.metadata
    }

    /// The controls, where there are any.
    pub fn control(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The file with the CA's certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A folder that ends with the cloud.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.cloud.config
    }
}

impl Cloud {
    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Adds a policy that denies.
    pub fn add_policy(&self, policy: Policy) {
        self.state().policies.push(policy);
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Entry> {
        self.state().log.entries().to_vec()
    }

    /// How often what was called.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().log.counts()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.state().log.clear();
    }

    /// The writes that took time, in their order: of which thing, from when to when.
    pub fn works(&self) -> Vec<(String, Duration, Duration)> {
        self.catch_up();
        let state = self.state();
        let work = |operation: &Operation| match (&operation.deed, operation.ended) {
            (Deed::Ready(id) | Deed::MachineReady(id), Some(ended)) => {
                Some((id.clone(), operation.began, ended))
            }
            _ => None,
        };
        let mut works: Vec<_> = state.operations.values().filter_map(work).collect();
        works.sort_by_key(|(_, began, _)| *began);
        works
    }

    /// The ids of everything that there is, groups included.
    pub fn holds(&self) -> Vec<String> {
        self.catch_up();
        let state = self.state();
        let subscription = &self.config.account.subscription;
        let groups =
            state.groups.values().map(|g| format!("/subscriptions/{subscription}/resourceGroups/{}", g.name));
        groups.chain(state.resources.values().map(|r| r.id.clone())).collect()
    }

    /// A token of the CI system that the application trusts, for `subject`.
    pub fn ci_token(&self, subject: &str, audience: &str, valid: Duration) -> String {
        let claims = sign_in::ci_claims(self, subject, audience, valid);
        self.signer.ci_token(&claims)
    }

    /// The user who was shown device codes enters them.
    pub fn approve_device_codes(&self) {
        for (_, approved) in self.state().device_codes.values_mut() {
            *approved = true;
        }
    }
}

async fn bind(address: Option<SocketAddr>) -> io::Result<Option<TcpListener>> {
    match address {
        Some(address) => TcpListener::bind(address).await.map(Some),
        None => Ok(None),
    }
}
