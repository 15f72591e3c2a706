//! Networks that have IPv6 beside IPv4, on a real kernel.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use wharfd_api_types::network::{EndpointIpamConfig, Ipam, IpamConfig};

use super::*;

fn asked(name: &str, subnets: &[&str]) -> NetworkCreateRequest {
    let config = |subnet: &&str| IpamConfig { subnet: (*subnet).to_owned(), ..IpamConfig::default() };
    let ipam = Ipam { config: Some(subnets.iter().map(config).collect()), ..Ipam::default() };
    NetworkCreateRequest {
        name: name.to_owned(),
        enable_ipv6: Some(true),
        ipam: Some(ipam),
        ..NetworkCreateRequest::default()
    }
}

impl Started {
    fn ipv6(&self) -> Ipv6Addr {
        self.attached.endpoints.values().next().unwrap().global_ipv6_address.parse().unwrap()
    }

    /// As [`Started::serve`], to those who come by IPv6.
    async fn serve_ipv6(&self, port: u16, word: &'static str) {
        let listen = move || Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap());
        let listener = namespace::within(&self.namespace, listen).await.unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = stream.and_then(|mut stream| {
                    let from = stream.peer_addr()?.ip();
                    stream.write_all(format!("{word} {from}").as_bytes())
                });
            }
        });
    }

    /// What it hears once the links have found each other, which takes a second when the first question is lost.
    async fn hear_ipv6(&self, address: Ipv6Addr, port: u16) -> Option<String> {
        let end = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            let heard = self.ask_ipv6(address, port).await;
            if heard.is_some() || std::time::Instant::now() > end {
                return heard;
            }
        }
    }

    async fn ask_ipv6(&self, address: Ipv6Addr, port: u16) -> Option<String> {
        namespace::within(&self.namespace, move || Ok(ask_ipv6(address, port))).await.unwrap()
    }
}

fn ask_ipv6(address: Ipv6Addr, port: u16) -> Option<String> {
    let wait = Duration::from_millis(700);
    let place = SocketAddr::new(address.into(), port);
    let mut stream = TcpStream::connect_timeout(&place, wait).ok()?;
    stream.set_read_timeout(Some(wait)).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).ok()?;
    Some(heard)
}

/// The machine next door, by IPv6.
fn at_the_far_end(far: &Started) -> Ipv6Addr {
    let file = far.namespace.display();
    run("ip", "-6 addr add fd77::1/64 dev up0 nodad");
    run("nsenter", &format!("--net={file} sysctl -qw net.ipv6.conf.far0.disable_ipv6=0"));
    run("nsenter", &format!("--net={file} ip -6 addr add fd77::2/64 dev far0 nodad"));
    run("nsenter", &format!("--net={file} ip -6 route add default via fd77::1"));
    "fd77::2".parse().unwrap()
}

#[test]
fn containers_talk_are_published_and_get_out_by_ipv6() {
    in_a_namespace("containers_talk_are_published_and_get_out_by_ipv6", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        let far_address = at_the_far_end(&far);
        far.serve_ipv6(80, "far").await;
        world.networks.create(asked("six", &["fd00:1::/64"])).await.unwrap();
        world.networks.create(asked("other", &[])).await.unwrap();
        let web = world.start("web", "six", &[("80/tcp", "", "8080")]).await;
        let client = world.start("client", "six", &[]).await;
        let stranger = world.start("stranger", "other", &[]).await;
        web.serve_ipv6(80, "web").await;
        let end = &web.attached.endpoints["six"];
        assert_eq!(
            (end.global_ipv6_address.as_str(), end.global_ipv6_prefix_len, end.ipv6_gateway.as_str()),
            ("fd00:1::2", 64, "fd00:1::1")
        );
        let heard = client.hear_ipv6(web.ipv6(), 80).await;
        assert_eq!(heard, Some(format!("web {}", client.ipv6())), "over the bridge");
        let host: Ipv6Addr = "fd77::1".parse().unwrap();
        let heard = far.hear_ipv6(host, 8080).await;
        assert_eq!(heard, Some(format!("web {far_address}")), "published, and it sees who asks");
        assert_eq!(far.ask_ipv6(web.ipv6(), 80).await, None, "not around the published port");
        let heard = web.hear_ipv6(far_address, 80).await;
        assert_eq!(heard, Some("far fd77::1".to_owned()), "out, with the host's address");
        let heard = client.hear_ipv6(host, 8080).await;
        assert!(heard.is_some_and(|heard| heard.starts_with("web ")), "from a neighbour, published");
        let heard = web.hear_ipv6(host, 8080).await;
        assert!(heard.is_some_and(|heard| heard.starts_with("web ")), "from itself (hairpin)");
        assert_eq!(stranger.ask_ipv6(web.ipv6(), 80).await, None, "networks are apart");
        let heard = stranger.hear_ipv6(host, 8080).await;
        assert!(heard.is_some_and(|heard| heard.starts_with("web ")), "from another network, published");
        let on_loopback = tokio::task::spawn_blocking(|| ask_ipv6(Ipv6Addr::LOCALHOST, 8080)).await.unwrap();
        assert!(on_loopback.is_some(), "from ::1");
        for container in ["web", "client", "stranger"] {
            world.networks.detach(container).await.unwrap();
        }
        assert_eq!(far.ask_ipv6(host, 8080).await, None);
        assert_eq!(run("nft", "list ruleset"), "");
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn an_ipv6_policy_of_others_is_answered() {
    in_a_namespace("an_ipv6_policy_of_others_is_answered", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        let far_address = at_the_far_end(&far);
        far.serve_ipv6(80, "far").await;
        for form in ["ip6tables-nft", "ip6tables-legacy"] {
            run(form, "-P FORWARD DROP");
        }
        let before = (run("ip6tables-nft", "-S"), run("ip6tables-legacy", "-S"));
        world.networks.create(asked("six", &["fd00:1::/64"])).await.unwrap();
        let web = world.start("web", "six", &[("80/tcp", "", "8080")]).await;
        web.serve_ipv6(80, "web").await;
        assert!(web.hear_ipv6(far_address, 80).await.is_some(), "out");
        assert!(far.hear_ipv6("fd77::1".parse().unwrap(), 8080).await.is_some(), "published");
        world.networks.detach("web").await.unwrap();
        assert_eq!((run("ip6tables-nft", "-S"), run("ip6tables-legacy", "-S")), before);
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn an_internal_network_has_no_way_out_by_ipv6_either() {
    in_a_namespace("an_internal_network_has_no_way_out_by_ipv6_either", || async {
        let world = World::open().await;
        let far = another_machine(&world).await;
        let far_address = at_the_far_end(&far);
        far.serve_ipv6(80, "far").await;
        let request = NetworkCreateRequest { internal: true, ..asked("inner", &["fd00:1::/64"]) };
        world.networks.create(request).await.unwrap();
        let inside = world.start("in", "inner", &[]).await;
        assert_eq!(inside.attached.endpoints["inner"].ipv6_gateway, "");
        let file = inside.namespace.display().to_string();
        run("nsenter", &format!("--net={file} ip -6 route add default via fd00:1::1"));
        assert_eq!(inside.ask_ipv6(far_address, 80).await, None);
        namespace::remove(&far.namespace).await.unwrap();
    });
}

#[test]
fn addresses_are_given_asked_for_and_refused() {
    in_a_namespace("addresses_are_given_asked_for_and_refused", || async {
        let mut world = World::open().await;
        let six = asked("six", &["10.9.0.0/24", "fd00:1::/64"]);
        let six = world.networks.create(six).await.unwrap();
        let shown = six.to_wire();
        assert!(shown.enable_ipv6);
        let subnets: Vec<String> = shown.ipam.config.unwrap().iter().map(|c| c.subnet.clone()).collect();
        assert_eq!(subnets, ["10.9.0.0/24", "fd00:1::/64"]);
        let chosen = world.networks.create(asked("chosen", &[])).await.unwrap().to_wire();
        assert!(chosen.ipam.config.unwrap()[1].subnet.starts_with("fd"));
        let refused = |error: Error, part: &str| assert!(error.to_string().contains(part), "{part}: {error}");
        let create = async |request| world.networks.create(request).await.unwrap_err();
        refused(create(asked("a", &["fd00:1::/80"])).await, "Pool overlaps");
        refused(create(asked("a", &["fd00:2::/64", "fd00:3::/64"])).await, "takes one IPv6 subnet");
        refused(create(asked("a", &["fd00:2::/127"])).await, "too small");
        run("ip", "link add elsewhere type bridge");
        run("ip", "-6 addr add fd00:5::1/64 dev elsewhere nodad");
        run("ip", "link set elsewhere up");
        refused(create(asked("a", &["fd00:5::/64"])).await, "Pool overlaps");
        let wish = |address: &str| {
            let ipam =
                EndpointIpamConfig { ipv6_address: address.to_owned(), ..EndpointIpamConfig::default() };
            EndpointSettings { ipam_config: Some(ipam), ..EndpointSettings::default() }
        };
        let state = |networks: &Networks, settings: &EndpointSettings| {
            let who = attach::Who { id: "c", name: "c", hostname: "c" };
            let network = networks.find("six").unwrap();
            networks.state().endpoint(&network, settings, &who, &[])
        };
        let given = state(&world.networks, &wish("fd00:1::77")).unwrap();
        assert_eq!(given.address_ipv6, Some("fd00:1::77".parse().unwrap()));
        refused(state(&world.networks, &wish("fd00:2::7")).unwrap_err(), "no configured subnet contains");
        refused(state(&world.networks, &wish("10.9.0.7")).unwrap_err(), "invalid IPv6 address");
        refused(state(&world.networks, &wish("fd00:1::1")).unwrap_err(), "Address already in use");
        // It is all still known to the next daemon.
        let web = world.start("web", "six", &[("80/tcp", "", "8080")]).await;
        let rules = run("nft", "list table ip6 wharf");
        world.restart().await;
        world.networks.reconcile(&["web".to_owned()]).await.unwrap();
        assert_eq!(run("nft", "list table ip6 wharf"), rules);
        let shown = world.networks.inspect(&world.networks.find("six").unwrap());
        let containers = shown.containers.unwrap();
        assert_eq!(containers["web"].ipv6_address, format!("{}/64", web.ipv6()));
    });
}

#[test]
fn a_host_goes_on_heeding_its_routers() {
    in_a_namespace("a_host_goes_on_heeding_its_routers", || async {
        let world = World::open().await;
        run("ip", "link add up0 type veth peer name far0");
        run("sysctl", "-qw net.ipv6.conf.up0.accept_ra=1");
        let read = |name: &str| run("sysctl", &format!("-n net.ipv6.conf.{name}")).trim().to_owned();
        assert_eq!(read("all.forwarding"), "0");
        world.networks.create(asked("six", &["fd00:1::/64"])).await.unwrap();
        world.start("web", "six", &[]).await;
        assert_eq!((read("all.forwarding"), read("up0.accept_ra")), ("1".to_owned(), "2".to_owned()));
        let bridge = world.networks.find("six").unwrap().bridged().unwrap().bridge.clone();
        assert_eq!(read(&format!("{bridge}.accept_ra")), "0", "a container is no router (CVE-2020-13401)");
        world.start("plain", "bridge", &[]).await;
        assert_eq!(read("wharf0.accept_ra"), "0");
        assert!(run("nft", "list chain ip6 wharf forward").trim_end().contains("\n\t\tdrop\n"), "no transit");
        let root = world.folder.path();
        let done = purge(&root.join("data"), &root.join("run")).await;
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        assert_eq!((read("all.forwarding"), read("up0.accept_ra")), ("0".to_owned(), "1".to_owned()));
    });
}

#[test]
fn a_name_has_both_kinds_of_addresses() {
    in_a_namespace("a_name_has_both_kinds_of_addresses", || async {
        use crate::net::dns::Names as _;
        let world = World::open().await;
        world.networks.create(asked("six", &["10.9.0.0/24", "fd00:1::/64"])).await.unwrap();
        let web = world.start("web", "six", &[]).await;
        let view = names::View::of(&world.networks, "web");
        let both: Vec<IpAddr> = vec![web.address.into(), web.ipv6().into()];
        assert_eq!(view.addresses("web-name"), Some(both));
        assert_eq!(view.name_of(web.ipv6().into()), Some("web-name.six".to_owned()));
    });
}
