//! Certificates of a private authority: believed when its file is named, and never otherwise.

use std::io::Write as _;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use wharf_arm::{Trust, discover};
use wharf_driver::{Kind, SystemClock};

const ANSWER: &str = r#"{"authentication":{"loginEndpoint":"https://login.example/adfs","audiences":["a"]}}"#;

/// A server that says one thing over TLS, and the PEM of the authority that vouches for it.
async fn serve() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "stamp authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    server.distinguished_name.push(DnType::CommonName, "stamp");
    let server = server.signed_by(&server_key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![server.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("localhost:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", ANSWER.len());
            let _ = stream.write_all((head + ANSWER).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, pem)
}

#[tokio::test]
async fn a_private_authority_counts_when_it_is_named() {
    let (url, pem) = serve().await;
    let (cache, clock) = (tempfile::tempdir().unwrap(), SystemClock::new());
    let stranger = Trust::default().client().unwrap();
    let error = discover(&stranger, &url, cache.path(), &clock).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error:?}");
    assert!(error.to_string().contains("is not trusted"), "{error}");
    assert!(error.advice().unwrap().contains("--azure-ca"));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    let friend = Trust { authority: Some(file.path().to_owned()), ..Trust::default() }.client().unwrap();
    let cloud = discover(&friend, &url, cache.path(), &clock).await.unwrap();
    assert_eq!(cloud.audience, "a");
}
