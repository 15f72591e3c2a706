//! An engine that only lists containers and says when they change, behind mutual TLS, with certificates where a
//! machine has them.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Ends with the test's runtime.
pub(crate) struct Engine {
    containers: watch::Sender<String>,
}

impl Engine {
    /// Serves the machine whose folder this is, and which has this id.
    pub(crate) async fn start(folder: &Path, machine: &str) -> Self {
        let config = certify(folder.parent().expect("machine"), machine);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("socket");
        write(&folder.join("fake-engine"), &listener.local_addr().expect("address").port().to_string());
        let (containers, seen) = watch::channel("[]".to_owned());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), seen.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream, seen).await.ok();
                    }
                });
            }
        });
        Self { containers }
    }

    /// From now on these ports are published: (address, port, protocol).
    pub(crate) fn publish(&self, ports: &[(&str, u16, &str)]) {
        let ports: Vec<_> = ports
            .iter()
            .map(|(address, port, protocol)| {
                serde_json::json!({"IP": address, "PrivatePort": 80, "PublicPort": port, "Type": protocol})
            })
            .collect();
        self.containers.send_replace(serde_json::json!([{ "Ports": ports }]).to_string());
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut containers: watch::Receiver<String>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request).await? == 0 {
            return Ok(());
        }
    }
    if !request.starts_with("GET /events") {
        let body = containers.borrow().clone();
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await?;
        return stream.shutdown().await;
    }
    containers.mark_unchanged();
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    stream.flush().await?;
    while containers.changed().await.is_ok() {
        let event = r#"{"Type":"container","Action":"start","Actor":{"ID":"x","Attributes":{}},"time":1,"timeNano":1}"#;
        stream.write_all(format!("{:x}\r\n{event}\n\r\n", event.len() + 1).as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// Writes the client's material and answers with the server's.
fn certify(machine_folder: &Path, machine: &str) -> ServerConfig {
    let named = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let authority_key = KeyPair::generate().expect("key");
    let mut authority = named("test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).expect("certificate").pem();
    let issuer = Issuer::new(authority, authority_key);

    let client_key = KeyPair::generate().expect("key");
    let mut client = named("test client");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = client.signed_by(&client_key, &issuer).expect("certificate");
    write(&machine_folder.join("ca.pem"), &authority_pem);
    write(&machine_folder.join("cert.pem"), &client.pem());
    write(&machine_folder.join("key.pem"), &client_key.serialize_pem());

    let server_key = KeyPair::generate().expect("key");
    let mut server = named("test server");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.subject_alt_names = vec![
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::URI(format!("wharf:machine:{machine}").try_into().expect("name")),
    ];
    let server = server.signed_by(&server_key, &issuer).expect("certificate");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
        )
        .expect("server")
}

fn write(path: &Path, text: &str) {
    File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("file");
}
