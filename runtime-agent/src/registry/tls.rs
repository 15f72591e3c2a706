//! Which certificates of registries are believed.
//!
//! The host's own roots where it has any, else the ones built in (a minimal host has none and must still pull); plus,
//! per registry, what lies in `certs.d/<host:port>/`: `*.crt` are authorities, `NAME.cert` with `NAME.key` a client's.
//! A registry that is configured as insecure is not verified at all.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::error::{Error, Result};

/// Where distributions keep their roots.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The settings for one registry.
pub(super) fn client_config(host: &str, folders: &[PathBuf], verify: bool) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let files = Files::find(host, folders)?;
    let builder = if verify {
        builder.with_root_certificates(roots(&files.authorities)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified { provider }))
    };
    Ok(match files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(&certificate)?;
            let key_der = PrivateKeyDer::from_pem_file(&key)
                .map_err(|error| Error::BadCertificates { path: key.clone(), why: error.to_string() })?;
            builder.with_client_auth_cert(chain, key_der)?
        }
    })
}

#[derive(Debug, Default)]
struct Files {
    authorities: Vec<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
}

impl Files {
    fn find(host: &str, folders: &[PathBuf]) -> Result<Self> {
        let mut files = Self::default();
        for folder in folders {
            let folder = folder.join(host);
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(Error::Certificates { path: folder, source }),
            };
            for path in entries.flatten().map(|entry| entry.path()) {
                match path.extension().and_then(OsStr::to_str) {
                    Some("crt") => files.authorities.push(path),
                    Some("cert") => {
                        let key = path.with_extension("key");
                        files.client = Some((path, key));
                    }
                    _ => {}
                }
            }
        }
        Ok(files)
    }
}

fn roots(extra: &[PathBuf]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.is_file()) {
        roots.add_parsable_certificates(certificates(file)?);
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for file in extra {
        for certificate in certificates(file)? {
            roots.add(certificate)?;
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes =
        std::fs::read(file).map_err(|source| Error::Certificates { path: file.to_owned(), source })?;
    let parsed = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    parsed.map_err(|error| Error::BadCertificates { path: file.to_owned(), why: error.to_string() })
}

/// Believes everybody. Only for registries that the configuration calls insecure; digests still hold.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
