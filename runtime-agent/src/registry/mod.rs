//! The OCI distribution client: finds a repository's endpoints, signs in, and fetches manifests and blobs.
//!
//! Promises that bytes which name a digest are checked against it; that a password goes only to the registry it was
//! given for and to that registry's token server; and that errors carry dockerd's words. Plain HTTP and unverified TLS
//! only for loopback and for registries configured so.

pub(crate) mod auth;
pub(crate) mod error;
mod hosts;
pub(crate) mod manifest;
pub(crate) mod reference;
pub(crate) mod session;
mod tls;
mod upload;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(crate) use auth::Credentials;
pub(crate) use error::{Error, Result};
use hosts::Endpoint;
pub(crate) use hosts::Settings;
pub(crate) use reference::{Reference, Repository};
pub(crate) use session::Session;

/// A client for what is no registry, such as what a build fetches.
pub(crate) fn plain_client() -> Result<reqwest::Client> {
    client_with(tls::client_config("", &[], true)?)
}

/// All registries, through one client each, so that connections are kept.
#[derive(Debug)]
pub(crate) struct Registries {
    settings: Settings,
    clients: Mutex<HashMap<(String, bool), reqwest::Client>>,
}

impl Registries {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, clients: Mutex::default() }
    }

    /// Everywhere a repository may be, in the order in which to ask.
    pub(crate) fn sessions(
        &self,
        repository: &Repository,
        credentials: &Credentials,
    ) -> Result<Vec<Session>> {
        let endpoints = self.settings.endpoints(repository.domain())?;
        endpoints.into_iter().map(|endpoint| self.session(endpoint, repository.path(), credentials)).collect()
    }

    /// Where a login is checked: the registry that the credentials name, or Docker Hub.
    pub(crate) fn login_sessions(&self, credentials: &Credentials) -> Result<Vec<Session>> {
        let address = credentials.server_address.trim_start_matches("https://").trim_start_matches("http://");
        let domain = match address.split('/').next().unwrap_or_default() {
            "" | "index.docker.io" | "registry-1.docker.io" => reference::DEFAULT_DOMAIN,
            domain => domain,
        };
        let endpoints = self.settings.endpoints(domain)?.into_iter().filter(|endpoint| !endpoint.mirror);
        endpoints.map(|endpoint| Ok(self.session(endpoint, "", credentials)?.for_login())).collect()
    }

    fn session(&self, endpoint: Endpoint, path: &str, credentials: &Credentials) -> Result<Session> {
        let client = self.client(&endpoint)?;
        let credentials = if endpoint.mirror { Credentials::default() } else { credentials.clone() };
        Ok(Session::new(client, endpoint, path, credentials))
    }

    fn client(&self, endpoint: &Endpoint) -> Result<reqwest::Client> {
        // Certificates may be put there at any time, and must hold for the next pull.
        if self.settings.certificates.iter().any(|folder| folder.join(&endpoint.host).is_dir()) {
            return self.build(endpoint);
        }
        let key = (endpoint.host.clone(), endpoint.verify);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = self.build(endpoint)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn build(&self, endpoint: &Endpoint) -> Result<reqwest::Client> {
        let tls = tls::client_config(&endpoint.host, &self.settings.certificates, endpoint.verify)?;
        client_with(tls)
    }
}

fn client_with(tls: rustls::ClientConfig) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .hickory_dns(true)
        .user_agent(concat!("wharfd/", env!("CARGO_PKG_VERSION"), " docker/28.2"))
        .connect_timeout(Duration::from_secs(15))
        .read_timeout(Duration::from_secs(60))
        .build()
        .map_err(Error::Client)
}
