//! The private CA that the cloud's certificate comes from, as enterprise PKI does it on a stamp.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// A CA and the one certificate that it signed.
pub(crate) struct Authority {
    /// The CA's certificate.
    pub(crate) pem: String,
    /// What the listener uses.
    pub(crate) server: Arc<ServerConfig>,
}

impl Authority {
    /// A CA and a certificate for `hosts`.
    pub(crate) fn new(hosts: &[String], today: OffsetDateTime) -> io::Result<Self> {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Simulated enterprise root");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (ca.not_before, ca.not_after) = (today - Duration::days(2), today + Duration::days(60));
        let ca_key = KeyPair::generate().map_err(io::Error::other)?;
        let root = ca.self_signed(&ca_key).map_err(io::Error::other)?;
        let mut leaf = CertificateParams::new(hosts.to_vec()).map_err(io::Error::other)?;
        leaf.distinguished_name.push(DnType::CommonName, hosts[0].clone());
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = (today - Duration::days(1), today + Duration::days(30));
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = Issuer::from_params(&ca, &ca_key);
        let certificate = leaf.signed_by(&key, &issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(io::Error::other)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { pem: root.pem(), server: Arc::new(server) })
    }
}
