//! Networks on a real kernel, each test in a network namespace of its own.

mod ipv6;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use wharfd_api_types::network::{EndpointSettings, NetworkCreateRequest, PortBinding};

use super::attach::Attached;
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
        let networks = Self::daemon(folder.path(), "").await;
        Self { folder, networks }
    }

    /// A daemon, the first or a later one.
    async fn daemon(root: &Path, more: &str) -> Networks {
        let flags = format!("wharfd --data-root {0}/data --exec-root {0}/run{more}", root.display());
        let config = Config::parse(flags.split(' ').map(Into::into)).unwrap();
        Networks::open(Arc::new(config), Events::new()).await.unwrap()
    }

    async fn restart(&mut self) {
        self.networks = Self::daemon(self.folder.path(), "").await;
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

    /// Lets packets for 127.0.0.0/8 leave by other links than the loopback.
    async fn send_loopback_out(&self) {
        let set = || {
            let setting =
                std::fs::File::options().write(true).open("/proc/sys/net/ipv4/conf/all/route_localnet");
            setting.unwrap().write_all(b"1").unwrap();
            Ok(())
        };
        namespace::within(&self.namespace, set).await.unwrap();
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
        let places = web.attached.ports["80/tcp"].as_ref().unwrap();
        let random =
            places.iter().find(|place| place.host_ip == "127.0.0.1").unwrap().host_port.parse().unwrap();
        assert_eq!(ask_from_host(Ipv4Addr::LOCALHOST, random).await, heard("hello"), "on a random port");
        assert_eq!(ask_from_host(web.gateway, random).await, None, "published on 127.0.0.1 only");
        for container in ["web", "other"] {
            world.networks.detach(container).await.unwrap();
        }
    });
}

/// Another machine: a namespace on a link of its own to this one, with a route to what is behind it.
async fn another_machine(world: &World) -> Started {
    let path = world.folder.path().join("machine");
    namespace::create(&path).await.unwrap();
    let file = path.display();
    run("ip", "link add up0 type veth peer name far0");
    run("ip", "addr add 10.77.0.1/24 dev up0");
    run("ip", "link set up0 up");
    run("ip", &format!("link set far0 netns {file}"));
    run("nsenter", &format!("--net={file} ip addr add 10.77.0.2/24 dev far0"));
    run("nsenter", &format!("--net={file} ip link set far0 up"));
    run("nsenter", &format!("--net={file} ip route add default via 10.77.0.1"));
    Started {
        namespace: path,
        address: [10, 77, 0, 2].into(),
        gateway: [10, 77, 0, 1].into(),
        attached: Attached::default(),
    }
}

#[test]
fn another_machine_reaches_published_ports_only() {
    in_a_namespace("another_machine_reaches_published_ports_only", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        let ports = [("80/tcp", "", "8080"), ("80/tcp", "127.0.0.1", "8081")];
        let web = world.start("web", "bridge", &ports).await;
        web.serve(80, "hello").await;
        far.serve(80, "far").await;
        assert_eq!(far.ask(far.gateway, 8080).await, heard("hello"));
        assert_eq!(far.ask(web.address, 80).await, None, "not around the published port");
        assert_eq!(far.ask(far.gateway, 8081).await, None, "not what is published on 127.0.0.1");
        assert_eq!(web.ask(far.address, 80).await, heard("far"), "out, with the host's address");
        let file = far.namespace.display().to_string();
        // Not by talking to the host's loopback over the wire, either.
        far.send_loopback_out().await;
        run("nsenter", &format!("--net={file} ip addr del 127.0.0.1/8 dev lo"));
        run("nsenter", &format!("--net={file} ip route add 127.0.0.1/32 via 10.77.0.1 src 10.77.0.2"));
        assert_eq!(far.ask(Ipv4Addr::LOCALHOST, 8081).await, None);
        world.networks.detach("web").await.unwrap();
        assert_eq!(far.ask(far.gateway, 8080).await, None);
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn the_computer_that_runs_this_host_reaches_the_loopbacks_ports() {
    in_a_namespace("the_computer_that_runs_this_host_reaches_the_loopbacks_ports", || async {
        let mut world = World::open().await;
        let far = another_machine(&world).await;
        let peer = format!(" --loopback-peer {}", far.address);
        world.networks = World::daemon(world.folder.path(), &peer).await;
        let web = world.start("web", "bridge", &[("80/tcp", "127.0.0.1", "8081")]).await;
        let other = world.start("other", "bridge", &[]).await;
        web.serve(80, "hello").await;
        assert_eq!(ask_from_host(Ipv4Addr::LOCALHOST, 8081).await, heard("hello"), "from 127.0.0.1");
        assert_eq!(far.ask(far.gateway, 8081).await, heard("hello"), "from the peer");
        assert_eq!(other.ask(far.gateway, 8081).await, None, "not from a container");
        for container in ["web", "other"] {
            world.networks.detach(container).await.unwrap();
        }
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn containers_do_not_reach_the_hosts_loopback() {
    in_a_namespace("containers_do_not_reach_the_hosts_loopback", || async {
        let world = World::open().await;
        let container = world.start("c", "bridge", &[("80/tcp", "", "8080")]).await;
        let private = TcpListener::bind((Ipv4Addr::LOCALHOST, 7000)).unwrap();
        private.set_nonblocking(true).unwrap();
        container.send_loopback_out().await;
        let file = container.namespace.display().to_string();
        run("nsenter", &format!("--net={file} ip addr del 127.0.0.1/8 dev lo"));
        run("nsenter", &format!("--net={file} ip route add 127.0.0.1/32 via {}", container.gateway));
        assert_eq!(container.ask(Ipv4Addr::LOCALHOST, 7000).await, None);
        assert!(private.accept().is_err(), "a container got through to 127.0.0.1");
        world.networks.detach("c").await.unwrap();
    });
}

#[test]
fn networks_are_apart_and_find_their_own_by_name() {
    in_a_namespace("networks_are_apart_and_find_their_own_by_name", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        far.serve(80, "far").await;
        world.network("front", false).await;
        let inner = world.network("back", true).await;
        let web = world.start("web", "front", &[("80/tcp", "", "8080")]).await;
        let client = world.start("client", "front", &[]).await;
        let database = world.start("database", "back", &[]).await;
        let worker = world.start("worker", "back", &[]).await;
        let plain = world.start("plain", "bridge", &[]).await;
        web.serve(80, "front").await;
        database.serve(80, "back").await;
        assert_eq!(client.ask(web.address, 80).await, heard("front"));
        assert_eq!(worker.ask(database.address, 80).await, heard("back"));
        for stranger in [&database, &plain] {
            assert_eq!(stranger.ask(web.address, 80).await, None, "another network's container");
        }
        assert_eq!(plain.ask(plain.gateway, 8080).await, heard("front"), "published, from another network");
        assert_eq!(client.ask(far.address, 80).await, heard("far"));
        assert_eq!(worker.ask(far.address, 80).await, None, "internal: no way out");
        assert!(inner.to_wire().internal);

        assert_eq!(client.attached.dns, [IpAddr::from([127, 0, 0, 11])]);
        assert_eq!(client.resolve("web-name").await, Some(vec![web.address]));
        assert_eq!(client.resolve("web-name.front").await, Some(vec![web.address]));
        assert_eq!(worker.resolve("web-name").await, None, "another network's name");
        assert_eq!(worker.resolve("database-name").await, Some(vec![database.address]));
        world.networks.detach("web").await.unwrap();
        assert_eq!(client.resolve("web-name").await, None, "a name goes with its container");
        namespace::remove(&far.namespace).await.unwrap();
    });
}

impl Started {
    /// Asks the container's own name server, once over UDP and once over TCP.
    async fn resolve(&self, name: &'static str) -> Option<Vec<Ipv4Addr>> {
        use hickory_proto::op::{Message, MessageType, OpCode, Query};
        use hickory_proto::rr::{Name, RData, RecordType};
        let mut message = Message::new(9, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), RecordType::A));
        let question = message.to_vec().unwrap();
        let replies = namespace::within(&self.namespace, move || {
            let server = SocketAddrV4::new(dns::ADDRESS, 53);
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket.connect(server).unwrap();
            socket.send(&question).unwrap();
            let mut by_udp = vec![0; 1000];
            let length = socket.recv(&mut by_udp).unwrap();
            by_udp.truncate(length);
            let mut stream = TcpStream::connect(server).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let length = u16::try_from(question.len()).unwrap();
            stream.write_all(&[&length.to_be_bytes()[..], &question].concat()).unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut by_tcp = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut by_tcp).unwrap();
            Ok([by_udp, by_tcp])
        });
        let [by_udp, by_tcp] = replies.await.unwrap().map(|reply| Message::from_vec(&reply).unwrap());
        assert_eq!(by_udp.answers, by_tcp.answers);
        let address = |data: &RData| if let RData::A(a) = data { Some(a.0) } else { None };
        let found: Vec<Ipv4Addr> = by_udp.answers.iter().filter_map(|r| address(&r.data)).collect();
        (!found.is_empty()).then_some(found)
    }
}

#[test]
fn other_peoples_rules_stay_and_their_forward_policy_is_answered() {
    in_a_namespace("other_peoples_rules_stay_and_their_forward_policy_is_answered", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        far.serve(80, "far").await;
        run("iptables-nft", "-P FORWARD DROP");
        run("iptables-nft", "-A FORWARD -s 192.0.2.1 -j ACCEPT");
        run("nft", "add table inet other");
        run("nft", "add chain inet other way { type filter hook forward priority 10 ; policy drop ; }");
        run("nft", "add chain inet other quiet { type filter hook input priority 0 ; policy accept ; }");
        let before = (run("iptables-nft", "-S"), run("nft", "list table inet other"));
        let web = world.start("web", "bridge", &[("80/tcp", "", "8080")]).await;
        web.serve(80, "hello").await;
        for _ in 0..2 {
            assert_eq!(far.ask(far.gateway, 8080).await, heard("hello"));
            assert_eq!(web.ask(far.address, 80).await, heard("far"));
            let rules = run("iptables-nft", "-S FORWARD");
            assert_eq!(rules.matches("WHARF-FORWARD").count(), 1, "{rules}");
            assert!(rules.find("192.0.2.1") < rules.find("WHARF"), "the owner's rules come first: {rules}");
            // A second container must not add a second entry.
            world.start("second", "bridge", &[]).await;
        }
        for container in ["web", "second"] {
            world.networks.detach(container).await.unwrap();
        }
        assert_eq!((run("iptables-nft", "-S"), run("nft", "list table inet other")), before);
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn a_last_rule_that_rejects_everything_is_answered_as_a_policy_is() {
    in_a_namespace("a_last_rule_that_rejects_everything_is_answered_as_a_policy_is", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        far.serve(80, "far").await;
        // As firewalld and older distributions write it.
        run("nft", "add table inet firewalld");
        run(
            "nft",
            "add chain inet firewalld filter_FORWARD { type filter hook forward priority 10 ; policy accept ; }",
        );
        run("nft", "add rule inet firewalld filter_FORWARD ct state established,related accept");
        run("nft", "add rule inet firewalld filter_FORWARD ip saddr 192.0.2.1 drop");
        run("nft", "add rule inet firewalld filter_FORWARD counter reject with icmpx admin-prohibited");
        run("iptables-nft", "-A FORWARD -j REJECT --reject-with icmp-host-prohibited");
        run("iptables-legacy", "-A FORWARD -j REJECT --reject-with icmp-host-prohibited");
        let shown = || {
            let table = run("nft", "--stateless list table inet firewalld");
            (table, run("iptables-nft", "-S"), run("iptables-legacy", "-S"))
        };
        let before = shown();
        let web = world.start("web", "bridge", &[("80/tcp", "", "8080")]).await;
        web.serve(80, "hello").await;
        assert_eq!(web.ask(far.address, 80).await, heard("far"));
        assert_eq!(far.ask(far.gateway, 8080).await, heard("hello"));
        let rules = shown().0;
        assert!(
            rules.find("192.0.2.1") < rules.find("jump WHARF-FORWARD"),
            "the owner's rules come first: {rules}"
        );
        // Its owner loads its rules anew: the next change of ours finds it.
        run("nft", "flush chain inet firewalld filter_FORWARD");
        run("nft", "add rule inet firewalld filter_FORWARD counter reject with icmpx admin-prohibited");
        world.start("second", "bridge", &[]).await;
        assert_eq!(web.ask(far.address, 80).await, heard("far"));
        run("nft", "insert rule inet firewalld filter_FORWARD ip saddr 192.0.2.1 drop");
        run("nft", "insert rule inet firewalld filter_FORWARD ct state established,related accept");
        for container in ["web", "second"] {
            world.networks.detach(container).await.unwrap();
        }
        assert_eq!(shown(), before);
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn rules_that_somebody_flushed_are_set_anew() {
    in_a_namespace("rules_that_somebody_flushed_are_set_anew", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        run("iptables-nft", "-P FORWARD DROP");
        let web = world.start("web", "bridge", &[("80/tcp", "", "8080")]).await;
        web.serve(80, "hello").await;
        assert_eq!(far.ask(far.gateway, 8080).await, heard("hello"));
        for reload in ["flush ruleset", "delete table ip wharf", "flush chain ip filter FORWARD"] {
            run("nft", reload);
            run("iptables-nft", "-P FORWARD DROP");
            let again = async {
                while far.ask(far.gateway, 8080).await.is_none() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let again = tokio::time::timeout(Duration::from_secs(30), again).await;
            assert!(again.is_ok(), "nothing is set anew after `{reload}`: {}", run("nft", "list ruleset"));
        }
        // And once all is as it should be, it is left alone.
        let settled = crate::net::nftables::generation().unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(crate::net::nftables::generation().unwrap(), settled);
        world.networks.detach("web").await.unwrap();
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn what_others_change_while_we_do_is_not_taken_for_ours() {
    in_a_namespace("what_others_change_while_we_do_is_not_taken_for_ours", || async {
        run("iptables-nft", "-P FORWARD DROP");
        let folder = tempfile::tempdir().unwrap();
        let kernel = Linux::open(folder.path()).unwrap();
        let bridge = Guarded {
            bridge: "wharf0".to_owned(),
            subnet: "172.17.0.0/16".parse().unwrap(),
            subnet_ipv6: None,
            internal: false,
            talk: true,
            masquerade: true,
        };
        let wanted = Firewall { bridges: vec![bridge], ..Firewall::default() };
        for _ in 0..3 {
            assert!(kernel.firewall(wanted.clone()).await.unwrap().alone);
        }
        let busy = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&busy);
        let somebody = std::thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                run("nft", "add table ip theirs");
                run("nft", "delete table ip theirs");
            }
        });
        let mut crossed = false;
        for _ in 0..1000 {
            crossed |= !kernel.firewall(wanted.clone()).await.unwrap().alone;
            if crossed {
                break;
            }
        }
        busy.store(false, Ordering::Relaxed);
        somebody.join().unwrap();
        assert!(crossed, "somebody else's changes were never noticed");
        assert!(kernel.firewall(wanted).await.unwrap().alone);
    });
}

#[test]
fn whoever_changes_the_firewall_whenever_we_do_is_not_raced_for_ever() {
    let crossed = Programmed { generation: Generation::default(), alone: false };
    let mut applied = Applied::default();
    for change in 0..u64::from(CROSSINGS) {
        applied = applied.after(change, crossed);
        assert_eq!((applied.change, applied.generation), (change, None), "to be looked at again");
    }
    let settled = applied.after(9, crossed);
    assert_eq!((settled.change, settled.generation), (9, Some(crossed.generation)));
    assert_eq!(settled.after(10, crossed).generation, None, "a next change is raced for anew");
    let alone = Applied::default().after(1, crossed).after(2, Programmed { alone: true, ..crossed });
    assert_eq!((alone.generation, alone.crossed), (Some(crossed.generation), 0));
}

#[test]
fn a_firewall_that_is_changed_for_a_while_is_ours_again_in_the_end() {
    in_a_namespace("a_firewall_that_is_changed_for_a_while_is_ours_again_in_the_end", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        run("iptables-nft", "-P FORWARD DROP");
        let web = world.start("web", "bridge", &[("80/tcp", "", "8080")]).await;
        web.serve(80, "hello").await;
        // A reload in pieces, some of which come while we set what an earlier one took.
        let reload = tokio::task::spawn_blocking(|| {
            for _ in 0..60 {
                run("nft", "flush chain ip filter FORWARD");
                std::thread::sleep(Duration::from_millis(17));
            }
        });
        reload.await.unwrap();
        let again = async {
            while far.ask(far.gateway, 8080).await.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let again = tokio::time::timeout(Duration::from_secs(30), again).await;
        assert!(again.is_ok(), "nothing is set anew: {}", run("nft", "list ruleset"));
        world.networks.detach("web").await.unwrap();
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn a_forward_policy_of_legacy_iptables_is_answered_too() {
    in_a_namespace("a_forward_policy_of_legacy_iptables_is_answered_too", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        far.serve(80, "far").await;
        run("iptables-legacy", "-P FORWARD DROP");
        let web = world.start("web", "bridge", &[]).await;
        assert_eq!(web.ask(far.address, 80).await, heard("far"));
        world.networks.detach("web").await.unwrap();
        assert_eq!(run("iptables-legacy", "-S"), "-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n");
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn a_restarted_daemon_keeps_the_living_and_takes_back_the_rest() {
    in_a_namespace("a_restarted_daemon_keeps_the_living_and_takes_back_the_rest", || async {
        let mut world = World::open().await;
        world.network("front", false).await;
        let web = world.start("web", "front", &[("80/tcp", "", "8080")]).await;
        let dead = world.start("dead", "front", &[("80/tcp", "", "8081")]).await;
        web.serve(80, "hello").await;
        let rules = run("nft", "list table ip wharf");
        world.restart().await;
        world.networks.reconcile(&["web".to_owned(), "dead".to_owned()]).await.unwrap();
        assert_eq!(run("nft", "list table ip wharf"), rules, "nothing twice, nothing missing");
        assert_eq!(web.resolve("dead-name").await, Some(vec![dead.address]), "names are answered again");
        world.restart().await;
        world.networks.reconcile(&["web".to_owned()]).await.unwrap();
        assert_eq!(ask_from_host(web.gateway, 8080).await, heard("hello"));
        assert!(!run("nft", "list table ip wharf").contains("8081"));
        assert!(!dead.namespace.exists() && web.namespace.exists());
        let again = world.start("new", "front", &[]).await;
        assert_eq!(again.address, dead.address, "the address of the dead is free, that of the living is not");
    });
}

#[test]
fn nothing_is_left_behind() {
    in_a_namespace("nothing_is_left_behind", || async {
        let world = World::open().await;
        let network = world.network("front", false).await;
        let links = || crate::net::link::Links::here().unwrap();
        let before = links().names().await.unwrap();
        let held = TcpListener::bind("0.0.0.0:8085").unwrap();
        let failed = world.try_start("b", "front", &[("80/tcp", "", "8084"), ("81/tcp", "", "8085")]).await;
        let error = failed.err().unwrap().to_string();
        assert!(error.contains("0.0.0.0:8085") && error.contains("address already in use"), "{error}");
        drop(held);
        let first = world.start("a", "front", &[("80/tcp", "", "8084")]).await;
        let error = world.try_start("b", "front", &[("80/tcp", "", "8084")]).await.err().unwrap().to_string();
        assert!(error.contains("Bind for 0.0.0.0:8084 failed: port is already allocated"), "{error}");
        assert_eq!(first.port("80/tcp"), 8084);
        for container in ["a", "b", "never-there"] {
            world.networks.detach(container).await.unwrap();
        }
        world.networks.remove("front").await.unwrap();
        assert!(world.networks.find(&network.id).is_err());
        assert_eq!(links().names().await.unwrap(), before);
        assert_eq!(run("nft", "list ruleset"), "");
        let left = |folder: &str| std::fs::read_dir(world.folder.path().join(folder)).unwrap().count();
        assert_eq!((left("run/netns"), left("run/net")), (0, 1), "only the mark that transit is stopped");
    });
}
