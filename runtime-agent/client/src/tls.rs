//! The client's side of mutual TLS: the authority, the machine's identity, and our own certificate.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::{Duplex, Error, Result};

/// PEM texts to sign in with, and who must answer. `Debug` shows no key.
#[derive(Clone)]
pub struct Credentials {
    /// The authorities that may have signed the server.
    pub authority: String,
    /// Our certificate chain.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// The machine id that the server's certificate must name; its address is then of no matter. Without it the
    /// certificate must name the address.
    pub machine: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("machine", &self.machine).finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub(crate) struct Connector(TlsConnector);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self> {
        let bad = |what| move |why: String| Error::Credentials { what, why };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&credentials.authority).map_err(bad("authority's certificate"))? {
            roots.add(certificate).map_err(|e| bad("authority's certificate")(e.to_string()))?;
        }
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|e| bad("authority's certificate")(e.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes())
            .map_err(|e| bad("client's key")(e.to_string()))?;
        let chain = certificates(&credentials.certificate).map_err(bad("client's certificate"))?;
        let machine = credentials.machine.as_ref().map(|id| format!("wharf:machine:{id}"));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| bad("TLS library")(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Machine { inner, uri: machine }))
            .with_client_auth_cert(chain, key)
            .map_err(|e| bad("client's certificate")(e.to_string()))?;
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: Box<dyn Duplex>,
    ) -> io::Result<TlsStream<Box<dyn Duplex>>> {
        let name = match host.parse::<IpAddr>() {
            Ok(address) => ServerName::IpAddress(address.into()),
            Err(_) => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        self.0.connect(name, stream).await
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<std::result::Result<_, _>>()
        .map_err(|e| e.to_string())?;
    if all.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(all) }
}

/// Accepts a server that our authority signed and that is the machine we mean.
#[derive(Debug)]
struct Machine {
    inner: Arc<WebPkiServerVerifier>,
    uri: Option<String>,
}

impl ServerCertVerifier for Machine {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Some(uri) = &self.uri else { return verified };
        match verified {
            // The name is looked at last: chain, dates and usage are good when it is the only complaint.
            Ok(_)
            | Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if names(end_entity, uri) => Ok(ServerCertVerified::assertion()),
            Ok(_) => Err(rustls::Error::General(format!(
                "the server is another machine: its certificate lacks {uri}"
            ))),
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider: CryptoProvider = rustls::crypto::ring::default_provider();
        provider.signature_verification_algorithms.supported_schemes()
    }
}

fn names(certificate: &CertificateDer<'_>, uri: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    names.value.general_names.iter().any(|name| matches!(name, GeneralName::URI(found) if *found == uri))
}
