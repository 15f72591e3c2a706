//! A certificate that is taken back opens nothing from the next request on.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use wharfd_client::Error;

use crate::world::{Leaf, World, replace};

/// One connection, kept.
struct Kept(StreamOwned<ClientConnection, std::net::TcpStream>);

impl Kept {
    fn open(world: &World, leaf: &Leaf) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(world.authority.pem.as_bytes()).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(leaf.pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
        let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        let connection = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
        let stream = std::net::TcpStream::connect(("127.0.0.1", world.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(StreamOwned::new(connection, stream))
    }

    /// Asks once more; everything of the answer, which has a body of at most a few hundred bytes.
    fn ask(&mut self) -> String {
        self.0.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        while !answer.ends_with("OK") && !answer.ends_with("}\n") && !answer.ends_with('}') {
            let mut buffer = [0; 4096];
            let read = self.0.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "hung up after {answer:?}");
            answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        answer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_of_a_revoked_client_opens_nothing_more() {
    let world = World::new(true).await;
    let (kept, taken_back) =
        (world.authority.client(&["wharf:role:admin"]), world.authority.client(&["wharf:role:admin"]));
    let mut connection = Kept::open(&world, &taken_back);
    assert!(connection.ask().starts_with("HTTP/1.1 200"));
    replace(&world.tls.join("revoked.pem"), &world.authority.revoke(&[&taken_back]));
    let end = std::time::Instant::now() + Duration::from_secs(120);
    let refused = loop {
        let answer = connection.ask();
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
        assert!(std::time::Instant::now() < end, "the list is never read");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("certificate was revoked"), "{refused}");
    let again = world.client(&taken_back).ping().await;
    assert!(matches!(again, Err(Error::Refused { status: 403, .. })), "{again:?}");
    assert!(world.client(&kept).ping().await.is_ok(), "the others stay");

    // A list that cannot be read leaves the last good one in force.
    replace(&world.tls.join("revoked.pem"), "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    std::thread::sleep(Duration::from_millis(100));
    assert!(world.client(&taken_back).ping().await.is_err());
    assert!(world.client(&kept).ping().await.is_ok());
    world.agent.drain().await;
}

impl Kept {
    /// Begins what goes on, and returns once its head is here.
    fn begin(&mut self, request: &str) -> String {
        self.0.write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.contains("\r\n\r\n") {
            let mut buffer = [0; 4096];
            let read = self.0.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "hung up after {head:?}");
            head.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        head
    }

    /// Demands that the other side ends it: hangs up, or sends the last chunk of an answer.
    fn ends(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) if buffer[..read].ends_with(b"0\r\n\r\n") => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it goes on"),
                Err(_) => return,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_ends_when_its_client_is_revoked() {
    let world = World::new(true).await;
    let person = || world.authority.client(&["wharf:role:admin"]);
    let (kept, taken_back) = (person(), person());
    let events = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut others = Kept::open(&world, &kept);
    assert!(others.begin(events).starts_with("HTTP/1.1 200"));
    let mut cut = vec![Kept::open(&world, &taken_back)];
    assert!(cut[0].begin(events).starts_with("HTTP/1.1 200"));
    if rustix::process::geteuid().is_root() {
        attach(&world, &taken_back, &mut cut);
    } else {
        println!("skipped: containers need root");
    }
    replace(&world.tls.join("revoked.pem"), &world.authority.revoke(&[&taken_back]));
    cut.iter_mut().for_each(Kept::ends);
    // Somebody else's goes on: an event still comes through.
    let made = "POST /volumes/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"Name\":\"later\"}";
    let mut again = Kept::open(&world, &kept);
    assert!(again.begin(made).starts_with("HTTP/1.1 201"));
    let mut buffer = [0; 4096];
    let read = others.0.read(&mut buffer).unwrap();
    assert!(read > 0, "the others' events go on");
    drop((others, again));
    world.agent.drain().await;
}

/// A container that waits for its start, attached to in all three ways.
fn attach(world: &World, leaf: &Leaf, attached: &mut Vec<Kept>) {
    let post = |path: &str, kind: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let empty = "\0".repeat(1024);
    let imported = post("/images/create?fromSrc=-&repo=box", "application/x-tar", &empty);
    assert!(Kept::open(world, leaf).begin(&imported).starts_with("HTTP/1.1 200"));
    // The answer goes on until the image is there.
    let create = post(
        "/containers/create?name=waits",
        "application/json",
        r#"{"Image":"box","Cmd":["/x"],"HostConfig":{"NetworkMode":"none"}}"#,
    );
    let end = std::time::Instant::now() + Duration::from_secs(120);
    while !Kept::open(world, leaf).begin(&create).starts_with("HTTP/1.1 201") {
        assert!(std::time::Instant::now() < end, "no container");
    }
    let path = "/containers/waits/attach";
    let upgraded = format!(
        "POST {path}?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    );
    let plain = format!("POST {path}?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    let websocket = format!(
        "GET {path}/ws?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    for (request, status) in [(upgraded, "101"), (plain, "200"), (websocket, "101")] {
        let mut one = Kept::open(world, leaf);
        let head = one.begin(&request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        attached.push(one);
    }
}
