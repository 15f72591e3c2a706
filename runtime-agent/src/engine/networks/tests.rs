//! Networks on a real kernel, each test in a network namespace of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use wharfd_api_types::network::{EndpointSettings, NetworkCreateRequest, PortBinding};

use super::*;
use crate::net::namespace;
use crate::net::testing::in_a_namespace;

/// An engine's networks in folders of their own.
struct World {
    folder: tempfile::TempDir,
    networks: Networks,
}

impl World {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let networks = Self::daemon(folder.path()).await;
        Self { folder, networks }
    }

    /// A daemon, the first or a later one.
    async fn daemon(root: &Path) -> Networks {
        let flags = format!("wharfd --data-root {0}/data --exec-root {0}/run", root.display());
        let config = Config::parse(flags.split(' ').map(Into::into)).unwrap();
        Networks::open(Arc::new(config), Events::new()).await.unwrap()
    }

    async fn restart(&mut self) {
        self.networks = Self::daemon(self.folder.path()).await;
    }

    async fn start(&self, container: &str, network: &str, ports: &[(&str, &str, &str)]) -> Started {
        self.try_start(container, network, ports).await.unwrap()
    }

    async fn try_start(
        &self,
        container: &str,
        network: &str,
        ports: &[(&str, &str, &str)],
    ) -> Result<Started> {
        let namespace = self.networks.make_namespace(container).await?;
        let mut wanted = Attach {
            container: container.to_owned(),
            name: format!("{container}-name"),
            endpoints: vec![(network.to_owned(), EndpointSettings::default())],
            namespace: namespace.clone(),
            ..Attach::default()
        };
        for (port, host_ip, host_port) in ports {
            let place = PortBinding { host_ip: (*host_ip).to_owned(), host_port: (*host_port).to_owned() };
            wanted.ports.entry((*port).to_owned()).or_default().get_or_insert_default().push(place);
        }
        let attached = self.networks.attach(wanted).await?;
        let endpoint = attached.endpoints.values().next().unwrap();
        Ok(Started {
            address: endpoint.ip_address.parse().unwrap(),
            gateway: endpoint.gateway.parse().unwrap_or(Ipv4Addr::UNSPECIFIED),
            namespace,
            attached,
        })
    }

    async fn network(&self, name: &str, internal: bool) -> Network {
        let request =
            NetworkCreateRequest { name: name.to_owned(), internal, ..NetworkCreateRequest::default() };
        self.networks.create(request).await.unwrap()
    }
}

/// A container's network, without a container.
struct Started {
    namespace: PathBuf,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    attached: Attached,
}

impl Started {
    /// Answers one word to everybody who connects, until the test's namespace ends.
    async fn serve(&self, port: u16, word: &'static str) {
        let listener = namespace::within(&self.namespace, move || {
            Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap())
        })
        .await
        .unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = stream.and_then(|mut stream| stream.write_all(word.as_bytes()));
            }
        });
    }

    /// What it hears from an address, if anything.
    async fn ask(&self, address: Ipv4Addr, port: u16) -> Option<String> {
        namespace::within(&self.namespace, move || Ok(ask(address, port))).await.unwrap()
    }

    fn port(&self, port: &str) -> u16 {
        self.attached.ports[port].as_ref().unwrap()[0].host_port.parse().unwrap()
    }
}

fn ask(address: Ipv4Addr, port: u16) -> Option<String> {
    let wait = Duration::from_millis(700);
    let mut stream = TcpStream::connect_timeout(&SocketAddrV4::new(address, port).into(), wait).ok()?;
    stream.set_read_timeout(Some(wait)).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).ok()?;
    Some(heard)
}

async fn ask_from_host(address: Ipv4Addr, port: u16) -> Option<String> {
    tokio::task::spawn_blocking(move || ask(address, port)).await.unwrap()
}

fn run(program: &str, arguments: &str) -> String {
    let output = std::process::Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn heard(word: &str) -> Option<String> {
    Some(word.to_owned())
}

#[test]
fn containers_talk_over_the_bridge_and_are_published() {
    in_a_namespace("containers_talk_over_the_bridge_and_are_published", || async {
        let world = World::open().await;
        let web = world.start("web", "bridge", &[("80/tcp", "", "8080"), ("80/tcp", "127.0.0.1", "")]).await;
        let other = world.start("other", "default", &[]).await;
        web.serve(80, "hello").await;
        assert_eq!(other.ask(web.address, 80).await, heard("hello"), "over the bridge");
        assert_eq!(ask_from_host(web.address, 80).await, heard("hello"), "from the host, directly");
        println!("{}", run("nft", "list table ip wharf"));
        assert_eq!(ask_from_host(web.gateway, 8080).await, heard("hello"), "from the host, published");
        assert_eq!(ask_from_host(Ipv4Addr::LOCALHOST, 8080).await, heard("hello"), "from 127.0.0.1");
        assert_eq!(other.ask(web.gateway, 8080).await, heard("hello"), "from a neighbour, published");
        assert_eq!(web.ask(web.gateway, 8080).await, heard("hello"), "from itself (hairpin)");
        let random = web.attached.ports["80/tcp"].as_ref().unwrap()[1].host_port.parse().unwrap();
        assert_eq!(ask_from_host(Ipv4Addr::LOCALHOST, random).await, heard("hello"), "on a random port");
        assert_eq!(ask_from_host(web.gateway, random).await, None, "published on 127.0.0.1 only");
        for container in ["web", "other"] {
            world.networks.detach(container).await.unwrap();
        }
    });
}
