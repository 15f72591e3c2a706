//! Who gets in over TCP: only clients with a certificate that our authority signed, for clients, that is still good.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use time::OffsetDateTime;
use wharfd::Agent;
use wharfd::config::Config;
use wharfd_client::{Client, Credentials, Error};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

struct Leaf {
    pem: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, usage: ExtendedKeyUsagePurpose, uris: &[&str], not_after: OffsetDateTime) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.extended_key_usages = vec![usage];
        params.not_before = OffsetDateTime::now_utc() - time::Duration::days(30);
        params.not_after = not_after;
        params
            .subject_alt_names
            .extend(uris.iter().map(|uri| SanType::URI((*uri).to_owned().try_into().unwrap())));
        Leaf { pem: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    fn client(&self, uris: &[&str]) -> Leaf {
        self.sign(ExtendedKeyUsagePurpose::ClientAuth, uris, tomorrow())
    }

    fn server(&self, machine: &str) -> Leaf {
        self.sign(ExtendedKeyUsagePurpose::ServerAuth, &[&format!("wharf:machine:{machine}")], tomorrow())
    }
}

fn tomorrow() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::days(1)
}

fn replace(path: &Path, text: &str) {
    let temporary = path.with_extension("tmp");
    std::io::Write::write_all(&mut std::fs::File::create(&temporary).unwrap(), text.as_bytes()).unwrap();
    std::fs::rename(temporary, path).unwrap();
}

struct World {
    agent: Agent,
    authority: Authority,
    port: u16,
    tls: PathBuf,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(roles: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("wharf test");
        let tls = folder.path().join("tls");
        std::fs::create_dir(&tls).unwrap();
        let world_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        replace(&tls.join("ca.pem"), &authority.pem);
        install(&tls, &authority.server("m1"));
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut arguments = vec![
            "wharfd".to_owned(),
            format!("--host=tcp://127.0.0.1:{world_port}"),
            "--tlsverify".to_owned(),
            "--bridge=none".to_owned(),
        ];
        for (flag, file) in [("tlscacert", "ca.pem"), ("tlscert", "server.pem"), ("tlskey", "server-key.pem")]
        {
            arguments.push(format!("--{flag}={}", tls.join(file).display()));
        }
        arguments.extend([format!("--data-root={}", at("data")), format!("--exec-root={}", at("exec"))]);
        if roles {
            arguments.push("--tls-roles=m1".to_owned());
        }
        let config = Config::parse(arguments.into_iter().map(OsString::from)).unwrap();
        let agent = Agent::start(config).await.unwrap();
        Self { agent, authority, port: world_port, tls, _folder: folder }
    }

    fn client(&self, leaf: &Leaf) -> Client {
        self.client_for(leaf, "m1", &self.authority.pem)
    }

    fn client_for(&self, leaf: &Leaf, machine: &str, authority: &str) -> Client {
        let credentials = Credentials {
            authority: authority.to_owned(),
            certificate: leaf.pem.clone(),
            key: leaf.key.clone(),
            machine: Some(machine.to_owned()),
        };
        Client::tcp("127.0.0.1", self.port, &credentials).unwrap()
    }
}

fn install(tls: &Path, server: &Leaf) {
    replace(&tls.join("server-key.pem"), &server.key);
    replace(&tls.join("server.pem"), &server.pem);
}

#[tokio::test]
async fn only_a_clients_certificate_of_our_authority_gets_in() {
    let world = World::new(false).await;
    assert_eq!(world.client(&world.authority.client(&[])).ping().await.unwrap().api_version, "1.54");
    let yesterday = OffsetDateTime::now_utc() - time::Duration::days(1);
    let turned_away = [
        ("another authority's", Authority::new("other").client(&[])),
        ("an expired one", world.authority.sign(ExtendedKeyUsagePurpose::ClientAuth, &[], yesterday)),
        ("a server's", world.authority.server("m1")),
    ];
    for (whose, leaf) in turned_away {
        let refused = world.client(&leaf).version().await;
        assert!(matches!(refused, Err(Error::Handshake { .. } | Error::Broken(_))), "{whose}: {refused:?}");
    }
    world.agent.drain().await;
}

#[tokio::test]
async fn plain_http_and_no_certificate_get_nothing() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::new(false).await;
    let mut plain = tokio::net::TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
    plain.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Reset or an alert: whatever comes, it is no HTTP.
    let _ = tokio::time::timeout(Duration::from_secs(5), plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));

    let mut roots = rustls::RootCertStore::empty();
    let pem = rustls_pki_types::pem::PemObject::from_pem_slice(world.authority.pem.as_bytes()).unwrap();
    roots.add(pem).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let mut stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
    let _ = stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(ended.is_err() && answer.is_empty(), "{ended:?} {}", String::from_utf8_lossy(&answer));
    world.agent.drain().await;
}

#[tokio::test]
async fn another_machine_or_authority_is_noticed_by_the_client() {
    let world = World::new(false).await;
    let leaf = world.authority.client(&[]);
    let error = world.client_for(&leaf, "m2", &world.authority.pem).ping().await.unwrap_err();
    assert!(error.to_string().contains("another machine"), "{error}");
    let other = Authority::new("other");
    let error = world.client_for(&leaf, "m1", &other.pem).ping().await.unwrap_err();
    assert!(matches!(error, Error::Handshake { .. }), "{error:?}");
    world.agent.drain().await;
}

#[tokio::test]
async fn with_roles_a_certificate_says_what_it_may_do_and_where() {
    let world = World::new(true).await;
    let with = |uris: &[&str]| world.client(&world.authority.client(uris));
    assert!(with(&["wharf:role:admin"]).info().await.is_ok());
    assert!(with(&["wharf:role:admin", "wharf:machine:m1"]).info().await.is_ok());
    for turned_away in [&["wharf:role:admin", "wharf:machine:m2"][..], &[], &["wharf:role:king"]] {
        assert!(with(turned_away).ping().await.is_err(), "{turned_away:?}");
    }
    let reader = with(&["wharf:role:reader"]);
    assert!(reader.info().await.is_ok());
    let refused = reader.get::<serde_json::Value>("/containers/x/logs").await;
    assert!(matches!(refused, Err(Error::Refused { status: 403, .. })), "{refused:?}");
    world.agent.drain().await;
}

#[tokio::test]
async fn a_swapped_certificate_is_served_without_a_restart_and_a_wrong_one_is_not() {
    let world = World::new(false).await;
    let leaf = world.authority.client(&[]);
    let (before, after) = (world.client(&leaf), world.client_for(&leaf, "m2", &world.authority.pem));
    assert!(before.ping().await.is_ok() && after.ping().await.is_err());
    // A certificate without its key must not put the listener out of order.
    replace(&world.tls.join("server.pem"), &world.authority.server("m3").pem);
    assert!(before.ping().await.is_ok());
    install(&world.tls, &world.authority.server("m2"));
    let swapped = async {
        while after.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), swapped)
        .await
        .expect("the new certificate was never served");
    assert!(before.ping().await.is_err());
    world.agent.drain().await;
}

#[tokio::test]
async fn a_connection_whose_client_left_is_closed() {
    let world = World::new(false).await;
    let client = world.client(&world.authority.client(&[]));
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    client.ping().await.unwrap();
    let before = open();
    for _ in 0..50 {
        client.ping().await.unwrap();
    }
    let closed = async {
        // Other tests of this process open files, too; fifty leaked ones would stand out all the same.
        while open() > before + 25 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), closed).await.expect("connections stay open");
    world.agent.drain().await;
}
