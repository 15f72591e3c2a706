//! The PEM files as one rustls configuration, and the list of who is no longer let in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::standing::Revoked;
use crate::config::{Revocations, TlsFiles};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: rustls_pki_types::pem::Error },
    #[error("{path} holds no certificate")]
    Empty { path: PathBuf },
    #[error("cannot verify clients with {path}: {source}")]
    Authority { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("cannot serve with {path}: {source}")]
    Server { path: PathBuf, source: rustls::Error },
    #[error("{path} holds no list of revoked certificates")]
    Revoked { path: PathBuf },
    #[error("cannot watch {path}: {source}")]
    Watch { path: PathBuf, source: std::io::Error },
}

/// What connections are made with, and held against.
#[derive(Debug, Clone)]
pub(crate) struct Material {
    pub(crate) server: Arc<ServerConfig>,
    pub(super) revoked: Arc<Revoked>,
}

impl Material {
    /// Reads the files and checks that they fit each other.
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, Error> {
        let authority = |source: Box<dyn std::error::Error + Send + Sync>| Error::Authority {
            path: files.ca.clone(),
            source,
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca)? {
            roots.add(certificate).map_err(|e| authority(e.into()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|e| authority(e.into()))?;
        let server = |source| Error::Server { path: files.cert.clone(), source };
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|source| Error::Read { path: files.key.clone(), source })?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(server)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&files.cert)?, key)
            .map_err(server)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session would skip the client's certificate, which may have expired or been revoked meanwhile.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let revoked = match &files.revoked {
            Revocations::Usual(path) if !path.exists() => Revoked::default(),
            Revocations::Usual(path) | Revocations::Named(path) => Revoked::read(path)?,
        };
        Ok(Self { server: Arc::new(config), revoked: Arc::new(revoked) })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<_, _>>().map_err(read)?;
    if certificates.is_empty() {
        return Err(Error::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}
