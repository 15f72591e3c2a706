//! Who gets in over TCP: only clients with a certificate that our authority signed, for clients, that is still good; and
//! what each of them may do.
#![cfg(test)]

mod intermediates;
mod revoked;
mod roles;
mod world;

use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use time::OffsetDateTime;
use wharfd_client::Error;
use world::{Authority, World, install, replace};

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
