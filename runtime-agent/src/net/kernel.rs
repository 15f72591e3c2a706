//! The seam between networks' meaning and the kernel: what the engine asks for, and the kernel that does it.

use std::fmt::Debug;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::firewall::Firewall;
use super::link::{Bridge, Links, Pair};
use super::{Error, Mac, Result, Subnet, namespace, neighbours, nftables};

/// Every verb converges: repeating it, or finding half of it done, is fine.
pub(crate) trait Kernel: Debug + Send + Sync {
    /// Every subnet that is routed by a link other than these.
    fn subnets<'a>(&'a self, but_by: &'a [String]) -> BoxFuture<'a, Result<Vec<Subnet>>>;

    /// The same for IPv6.
    fn subnets_ipv6<'a>(&'a self, but_by: &'a [String]) -> BoxFuture<'a, Result<Vec<Subnet<Ipv6Addr>>>>;

    fn has_link<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>>;

    /// Makes a bridge with the host's address on it, up. With `open`, the host's 127.0.0.1 reaches what is on it.
    fn put_bridge<'a>(&'a self, bridge: &'a Bridge, open: bool) -> BoxFuture<'a, Result<()>>;

    /// Removes a link of ours, and its other end with it.
    fn remove_link<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Makes a namespace with its loopback up.
    fn make_namespace<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>>;

    fn remove_namespace<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>>;

    /// Connects a namespace to a bridge: all or nothing.
    fn plug<'a>(&'a self, plug: &'a Plug) -> BoxFuture<'a, Result<()>>;

    /// Sends a namespace's other packets of a family by `gateway`, instead of any other way.
    fn route<'a>(&'a self, namespace: &'a Path, gateway: IpAddr) -> BoxFuture<'a, Result<()>>;

    /// Makes the host forward packets. Says whether it did not before.
    fn start_forwarding(&self) -> Result<bool>;

    /// The same for IPv6, without what routers do not do and hosts do: whatever heeded other routers goes on doing so.
    /// Names the links that had to be told, if it did not forward before.
    fn start_forwarding_ipv6(&self) -> Result<Option<Vec<String>>>;

    fn firewall(&self, firewall: Firewall) -> BoxFuture<'_, Result<Programmed>>;

    /// Changes with every change that anybody made to the host's firewall.
    fn firewall_generation(&self) -> BoxFuture<'_, Result<Generation>>;
}

/// What came of programming the firewall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Programmed {
    pub(crate) generation: Generation,
    /// Whether nobody but us changed anything meanwhile; else it may not be what it should be by now.
    pub(crate) alone: bool,
}

/// Which state of the host's firewall this is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Generation {
    /// The kernel counts changes of nf_tables.
    tables: u32,
    /// Of the old tables there is only what they hold.
    legacy: u32,
}

impl Generation {
    fn now() -> Result<Self> {
        Ok(Self { tables: nftables::generation()?, legacy: neighbours::legacy_mark()? })
    }
}

/// A link into a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plug {
    pub(crate) bridge: String,
    /// Its end on the host.
    pub(crate) host: String,
    /// Its end in the namespace, as it is called there.
    pub(crate) inside: String,
    pub(crate) namespace: PathBuf,
    pub(crate) mac: Mac,
    pub(crate) mtu: u32,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) gateway: Option<Ipv4Addr>,
    /// And its bits.
    pub(crate) address_ipv6: Option<(Ipv6Addr, u8)>,
    pub(crate) gateway_ipv6: Option<Ipv6Addr>,
}

impl Plug {
    fn addresses(&self) -> Vec<(IpAddr, u8)> {
        let on_ipv6 = self.address_ipv6.map(|(address, prefix)| (address.into(), prefix));
        std::iter::once((self.address.into(), self.prefix)).chain(on_ipv6).collect()
    }

    fn gateways(&self) -> impl Iterator<Item = IpAddr> {
        self.gateway.map(IpAddr::from).into_iter().chain(self.gateway_ipv6.map(IpAddr::from))
    }
}

/// The kernel of this host, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Linux {
    links: Links,
    /// What other firewalls were told.
    ledger: PathBuf,
}

impl Linux {
    pub(crate) fn open(exec_root: &Path) -> Result<Self> {
        Ok(Self { links: Links::here()?, ledger: ledger(exec_root) })
    }

    async fn indices(&self, names: &[String]) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        for name in names {
            found.extend(self.links.index(name).await?);
        }
        Ok(found)
    }

    async fn put(&self, bridge: &Bridge, open: bool) -> Result<()> {
        let name = &bridge.name;
        // Before it has an address, and where it is there before: a container that plays the router must not have the
        // host's packets (CVE-2020-13401).
        let heed = |name: &str| namespace::set(&format!("net/ipv6/conf/{name}/accept_ra"), "0");
        heed(name)?;
        if bridge.address_ipv6.is_some() {
            self.links.put_bridge(&Bridge { address_ipv6: None, ..bridge.clone() }).await?;
            namespace::set(&format!("net/ipv6/conf/{name}/disable_ipv6"), "0")?;
        }
        self.links.put_bridge(bridge).await?;
        heed(name)?;
        let value = if open { "1" } else { "0" };
        namespace::set(&format!("net/ipv4/conf/{}/route_localnet", bridge.name), value)
    }

    async fn plug_in(&self, plug: &Plug) -> Result<()> {
        let namespace = File::open(&plug.namespace).map_err(Error::file("open", &plug.namespace))?;
        let pair = Pair {
            host: &plug.host,
            bridge: &plug.bridge,
            inside: &plug.inside,
            mac: plug.mac,
            mtu: plug.mtu,
        };
        self.links.put_pair(&pair, namespace.as_fd()).await?;
        let configured = async {
            let (name, has_ipv6) = (plug.inside.clone(), plug.address_ipv6.is_some());
            let inside = namespace::within(&plug.namespace, move || {
                if has_ipv6 {
                    // Its neighbours are no routers, whatever they say.
                    namespace::set(&format!("net/ipv6/conf/{name}/accept_ra"), "0")?;
                    namespace::set(&format!("net/ipv6/conf/{name}/disable_ipv6"), "0")?;
                }
                Links::here()
            });
            let inside = inside.await?;
            inside.configure(&plug.inside, &plug.addresses()).await?;
            for gateway in plug.gateways() {
                inside.route_by(gateway).await?;
            }
            Ok(())
        };
        let configured = configured.await;
        if configured.is_err() {
            self.links.remove(&plug.host).await?;
        }
        configured
    }
}

/// Where is written down what other firewalls were told and do not tell back; gone with a reboot, as that is.
pub(crate) fn ledger(exec_root: &Path) -> PathBuf {
    exec_root.join("net").join("neighbours")
}

/// Makes the host what it was before [`Kernel::start_forwarding`] changed it.
pub(crate) fn stop_forwarding() -> Result<()> {
    namespace::set("net/ipv4/ip_forward", "0")
}

/// The same for [`Kernel::start_forwarding_ipv6`] and the links that it named; some may be gone.
pub(crate) fn stop_forwarding_ipv6<'a>(links: impl Iterator<Item = &'a str>) -> Result<()> {
    namespace::set("net/ipv6/conf/all/forwarding", "0")?;
    for link in links {
        namespace::set(&format!("net/ipv6/conf/{link}/accept_ra"), "1")?;
    }
    Ok(())
}

/// What the setting is for each link; nothing where the kernel has no IPv6.
fn settings_ipv6(setting: &str) -> Vec<(String, String)> {
    let links = std::fs::read_dir("/proc/sys/net/ipv6/conf").into_iter().flatten().flatten();
    let read = |link: std::fs::DirEntry| {
        let value = std::fs::read_to_string(link.path().join(setting)).ok()?;
        Some((link.file_name().into_string().ok()?, value.trim().to_owned()))
    };
    links.filter_map(read).collect()
}

impl Kernel for Linux {
    fn subnets<'a>(&'a self, but_by: &'a [String]) -> BoxFuture<'a, Result<Vec<Subnet>>> {
        async {
            let ours = self.indices(but_by).await?;
            let others = self.links.routes().await?.into_iter().filter(|(_, link)| !ours.contains(link));
            Ok(others.map(|(subnet, _)| subnet).collect())
        }
        .boxed()
    }

    fn subnets_ipv6<'a>(&'a self, but_by: &'a [String]) -> BoxFuture<'a, Result<Vec<Subnet<Ipv6Addr>>>> {
        async {
            let ours = self.indices(but_by).await?;
            let others = self.links.routes_ipv6().await?.into_iter().filter(|(_, link)| !ours.contains(link));
            Ok(others.map(|(subnet, _)| subnet).collect())
        }
        .boxed()
    }

    fn has_link<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        async { Ok(self.links.index(name).await?.is_some()) }.boxed()
    }

    fn put_bridge<'a>(&'a self, bridge: &'a Bridge, open: bool) -> BoxFuture<'a, Result<()>> {
        self.put(bridge, open).boxed()
    }

    fn remove_link<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        self.links.remove(name).boxed()
    }

    fn make_namespace<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>> {
        namespace::create(path).boxed()
    }

    fn remove_namespace<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<()>> {
        namespace::remove(path).boxed()
    }

    fn plug<'a>(&'a self, plug: &'a Plug) -> BoxFuture<'a, Result<()>> {
        self.plug_in(plug).boxed()
    }

    fn route<'a>(&'a self, namespace: &'a Path, gateway: IpAddr) -> BoxFuture<'a, Result<()>> {
        async move { namespace::within(namespace, Links::here).await?.route_by(gateway).await }.boxed()
    }

    fn start_forwarding(&self) -> Result<bool> {
        let path = Path::new("/proc/sys/net/ipv4/ip_forward");
        let now = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        if now.trim() == "1" {
            return Ok(false);
        }
        namespace::set("net/ipv4/ip_forward", "1").map(|()| true)
    }

    fn start_forwarding_ipv6(&self) -> Result<Option<Vec<String>>> {
        let before = settings_ipv6("forwarding");
        if before.iter().any(|(link, value)| link == "all" && value == "1") {
            return Ok(None);
        }
        let heeding =
            settings_ipv6("accept_ra").into_iter().filter(|(link, value)| link != "all" && value == "1");
        let told: Vec<String> = heeding.map(|(link, _)| link).collect();
        for link in &told {
            namespace::set(&format!("net/ipv6/conf/{link}/accept_ra"), "2")?;
        }
        namespace::set("net/ipv6/conf/all/forwarding", "1").map(|()| Some(told))
    }

    fn firewall(&self, firewall: Firewall) -> BoxFuture<'_, Result<Programmed>> {
        let ledger = self.ledger.clone();
        let applied = tokio::task::spawn_blocking(move || {
            let before = nftables::generation()?;
            let made = firewall.apply(&ledger)?;
            let generation = Generation::now()?;
            let ours =
                Generation { tables: before.wrapping_add(made.generations), legacy: made.legacy_before };
            Ok(Programmed { generation, alone: generation == ours })
        });
        async move { applied.await.map_err(|_| Error::Ended)? }.boxed()
    }

    fn firewall_generation(&self) -> BoxFuture<'_, Result<Generation>> {
        async move { tokio::task::spawn_blocking(Generation::now).await.map_err(|_| Error::Ended)? }.boxed()
    }
}
