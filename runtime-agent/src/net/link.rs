//! Links, addresses and routes of one network namespace, by rtnetlink.
//!
//! Every verb converges: what is there already stays, what is gone already is success.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use futures_util::{Stream, TryStreamExt as _};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage};
use rtnetlink::sys::AsyncSocket as _;
use rtnetlink::{LinkBridge, LinkBridgePort, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::task::JoinHandle;

use super::{Address, Error, Mac, Result, Subnet};

/// Speaks for the namespace of the thread that made it, from any thread.
#[derive(Debug)]
pub(crate) struct Links {
    handle: rtnetlink::Handle,
    connection: JoinHandle<()>,
    /// A netlink socket lists one thing at a time: a second request meanwhile is refused as busy.
    listing: tokio::sync::Mutex<()>,
    /// The kernel answers at once, or its answer found no room in the socket and will never come.
    patience: Duration,
}

/// A bridge, and the host's address on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    /// And its bits.
    pub(crate) address_ipv6: Option<(Ipv6Addr, u8)>,
    pub(crate) mtu: u32,
}

/// A pair of links: one end on a bridge here, the other one inside a namespace.
#[derive(Debug, Clone)]
pub(crate) struct Pair<'a> {
    pub(crate) host: &'a str,
    pub(crate) bridge: &'a str,
    pub(crate) inside: &'a str,
    pub(crate) mac: Mac,
    pub(crate) mtu: u32,
}

impl Links {
    /// Of the calling thread's namespace. Needs a tokio runtime around it.
    pub(crate) fn here() -> Result<Self> {
        let opened = rtnetlink::new_connection().map_err(Error::kernel("open a netlink socket"))?;
        let (mut connection, handle, _) = opened;
        // Answers that find no room are lost; less than this is what a system may grant, and good as well.
        let socket = connection.socket_mut().socket_mut();
        let _ = socket.set_rx_buf_sz(ROOM);
        Ok(Self {
            handle,
            connection: tokio::spawn(connection),
            listing: tokio::sync::Mutex::default(),
            patience: PATIENCE,
        })
    }

    /// The kernel's answer to one request, which is not waited for without end.
    async fn answer<T>(
        &self,
        asking: impl Future<Output = std::result::Result<T, rtnetlink::Error>>,
    ) -> std::result::Result<T, rtnetlink::Error> {
        let answered = tokio::time::timeout(self.patience, asking).await;
        answered.unwrap_or(Err(rtnetlink::Error::RequestFailed))
    }

    pub(crate) async fn raise_loopback(&self) -> Result<()> {
        self.raise(1, "lo").await
    }

    /// The index of the link of that name.
    pub(crate) async fn index(&self, name: &str) -> Result<Option<u32>> {
        Ok(self.link(name).await?.map(|link| link.header.index))
    }

    /// Makes the bridge or takes the one that is there, with its address, up.
    pub(crate) async fn put_bridge(&self, bridge: &Bridge) -> Result<u32> {
        let doing = || format!("make the bridge {}", bridge.name);
        if self.index(&bridge.name).await?.is_none() {
            let link = LinkBridge::new(&bridge.name)
                .mtu(bridge.mtu)
                // Without one of its own, the bridge changes its address with every port that comes and goes.
                .address(Mac::of(bridge.address).0.to_vec())
                .build();
            match self.answer(self.handle.link().add(link).execute()).await {
                Err(error) if is(&error, libc::EEXIST) => {}
                made => made.map_err(|e| failed(doing(), &e))?,
            }
        }
        let index = self.expect(&bridge.name).await?;
        self.put_address(index, bridge.address.into(), bridge.prefix).await?;
        if let Some((address, prefix)) = bridge.address_ipv6 {
            self.put_address(index, address.into(), prefix).await?;
        }
        self.raise(index, &bridge.name).await?;
        Ok(index)
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        let Some(index) = self.index(name).await? else { return Ok(()) };
        match self.answer(self.handle.link().del(index).execute()).await {
            Err(error) if is(&error, libc::ENODEV) => Ok(()),
            removed => removed.map_err(|e| failed(format!("remove the link {name}"), &e)),
        }
    }

    /// Makes the pair in one request: there is never one end without the other, nor one in the wrong place.
    pub(crate) async fn put_pair(&self, pair: &Pair<'_>, namespace: BorrowedFd<'_>) -> Result<()> {
        let bridge = self.expect(pair.bridge).await?;
        let inside = LinkUnspec::new_with_name(pair.inside)
            .mtu(pair.mtu)
            .address(pair.mac.0.to_vec())
            .setns_by_fd(namespace.as_raw_fd())
            .build();
        let link = LinkVeth::new(pair.host, pair.inside)
            .mtu(pair.mtu)
            .controller(bridge)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(inside)))
            .up()
            .build();
        let added = self.answer(self.handle.link().add(link).execute()).await;
        added.map_err(|e| failed(format!("make the link {}", pair.host), &e))?;
        let reflecting = self.reflect(pair.host).await;
        if reflecting.is_err() {
            self.remove(pair.host).await?;
        }
        reflecting
    }

    /// Lets a container reach itself by a published port where br_netfilter is on: there the packet never leaves the
    /// bridge, which by itself sends nothing back to where it came from.
    async fn reflect(&self, port: &str) -> Result<()> {
        let index = self.expect(port).await?;
        let hairpin = LinkBridgePort::new(index).hairpin(true).build();
        let set = self.answer(self.handle.link().set_port(hairpin).execute()).await;
        set.map_err(|e| failed(format!("set the hairpin mode of {port}"), &e))
    }

    /// Gives a link its addresses, and raises it.
    pub(crate) async fn configure(&self, name: &str, addresses: &[(IpAddr, u8)]) -> Result<()> {
        let index = self.expect(name).await?;
        for (address, prefix) in addresses {
            self.put_address(index, *address, *prefix).await?;
        }
        self.raise(index, name).await
    }

    /// Makes `gateway` the way to everywhere else, instead of any other.
    pub(crate) async fn route_by(&self, gateway: IpAddr) -> Result<()> {
        let route = match gateway {
            IpAddr::V4(gateway) => RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).build(),
            IpAddr::V6(gateway) => RouteMessageBuilder::<Ipv6Addr>::new().gateway(gateway).build(),
        };
        let added = self.answer(self.handle.route().add(route).replace().execute()).await;
        added.map_err(|e| failed(format!("route by {gateway}"), &e))
    }

    /// Every destination that the main table knows but the default one, with the link it goes by.
    pub(crate) async fn routes(&self) -> Result<Vec<(Subnet, u32)>> {
        let routes = self.main_table(RouteMessageBuilder::<Ipv4Addr>::new().build()).await?;
        let ipv4 =
            |address: &RouteAddress| if let RouteAddress::Inet(it) = address { Some(*it) } else { None };
        Ok(routes.iter().filter_map(|route| destination(route, ipv4)).collect())
    }

    /// The same for IPv6, without what every link has.
    pub(crate) async fn routes_ipv6(&self) -> Result<Vec<(Subnet<Ipv6Addr>, u32)>> {
        let routes = self.main_table(RouteMessageBuilder::<Ipv6Addr>::new().build()).await?;
        let ipv6 =
            |address: &RouteAddress| if let RouteAddress::Inet6(it) = address { Some(*it) } else { None };
        let routes = routes.iter().filter_map(|route| destination(route, ipv6));
        Ok(routes.filter(|(subnet, _)| !subnet.base().is_unicast_link_local()).collect())
    }

    async fn main_table(&self, request: RouteMessage) -> Result<Vec<RouteMessage>> {
        let listed = self.list(|| self.handle.route().get(request.clone()).execute()).await;
        let mut routes = listed.map_err(|e| failed("list routes".to_owned(), &e))?;
        routes.retain(in_main_table);
        Ok(routes)
    }

    /// The names of all links.
    #[cfg(test)]
    pub(crate) async fn names(&self) -> Result<Vec<String>> {
        Ok(self.all().await?.iter().filter_map(name_of).collect())
    }

    /// The names of the pairs' ends that are on a bridge; other links that somebody put there are not ours.
    pub(crate) async fn pairs_on(&self, bridge: &str) -> Result<Vec<String>> {
        let Some(bridge) = self.index(bridge).await? else { return Ok(Vec::new()) };
        let links = self.all().await?;
        let on_it = |link: &&LinkMessage| link.attributes.contains(&LinkAttribute::Controller(bridge));
        Ok(links.iter().filter(on_it).filter(|link| is_pair(link)).filter_map(name_of).collect())
    }

    async fn all(&self) -> Result<Vec<LinkMessage>> {
        let listed = self.list(|| self.handle.link().get().execute()).await;
        listed.map_err(|e| failed("list links".to_owned(), &e))
    }

    async fn put_address(&self, index: u32, address: IpAddr, prefix: u8) -> Result<()> {
        let doing = || format!("give a link the address {address}/{prefix}");
        let there = self.list(|| self.handle.address().get().set_link_index_filter(index).execute()).await;
        let (family, known) = match address {
            IpAddr::V4(_) => (AddressFamily::Inet, AddressAttribute::Local(address)),
            IpAddr::V6(_) => (AddressFamily::Inet6, AddressAttribute::Address(address)),
        };
        let same = |found: &AddressMessage| {
            found.header.family == family
                && found.header.prefix_len == prefix
                && found.attributes.contains(&known)
        };
        if there.map_err(|e| failed(doing(), &e))?.iter().any(same) {
            return Ok(());
        }
        let mut adding = self.handle.address().add(index, address, prefix);
        if address.is_ipv6() {
            // We gave it to nobody else, and nobody is to wait until the kernel has asked around.
            adding.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        match self.answer(adding.execute()).await {
            Err(error) if is(&error, libc::EEXIST) => Ok(()),
            added => added.map_err(|e| failed(doing(), &e)),
        }
    }

    /// Everything that `ask` lists. One that was given up half-way, with the request that it was for, is still being
    /// listed for a moment.
    async fn list<T, S>(&self, ask: impl Fn() -> S) -> std::result::Result<Vec<T>, rtnetlink::Error>
    where
        S: Stream<Item = std::result::Result<T, rtnetlink::Error>>,
    {
        let _one_at_a_time = self.listing.lock().await;
        let (mut left, mut lost) = (BUSY_TRIES, LOST_TRIES);
        loop {
            match self.answer(ask().try_collect()).await {
                Err(error) if is(&error, libc::EBUSY) && left > 0 => left -= 1,
                Err(rtnetlink::Error::RequestFailed) if lost > 0 => lost -= 1,
                listed => return listed,
            }
            tokio::time::sleep(BUSY_PAUSE).await;
        }
    }

    async fn raise(&self, index: u32, name: &str) -> Result<()> {
        let up = LinkUnspec::new_with_index(index).up().build();
        let raised = self.answer(self.handle.link().change(up).execute()).await;
        raised.map_err(|e| failed(format!("raise the link {name}"), &e))
    }

    async fn expect(&self, name: &str) -> Result<u32> {
        self.index(name).await?.ok_or_else(|| {
            Error::kernel(format!("find the link {name}"))(io::Error::from_raw_os_error(libc::ENODEV))
        })
    }

    async fn link(&self, name: &str) -> Result<Option<LinkMessage>> {
        let mut asking = self.handle.link().get().match_name(name.to_owned()).execute();
        let found = self.answer(asking.try_next()).await;
        match found {
            Err(error) if is(&error, libc::ENODEV) => Ok(None),
            found => found.map_err(|e| failed(format!("find the link {name}"), &e)),
        }
    }
}

/// For the answers of some hundreds of containers that start at once.
const ROOM: i32 = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
/// A list of which a part was lost is asked for again; it changes nothing.
const LOST_TRIES: u32 = 2;
/// A list is read to its end within milliseconds.
const BUSY_TRIES: u32 = 500;
const BUSY_PAUSE: Duration = Duration::from_millis(2);

impl Drop for Links {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn in_main_table(route: &RouteMessage) -> bool {
    route.header.table == RouteHeader::RT_TABLE_MAIN && route.header.destination_prefix_length > 0
}

fn destination<A: Address>(
    route: &RouteMessage,
    of: impl Fn(&RouteAddress) -> Option<A>,
) -> Option<(Subnet<A>, u32)> {
    let mut address = None;
    let mut link = 0;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(found) => address = of(found),
            RouteAttribute::Oif(index) => link = *index,
            _ => {}
        }
    }
    Some((Subnet::around(address?, route.header.destination_prefix_length), link))
}

fn is_pair(link: &LinkMessage) -> bool {
    let veth = LinkInfo::Kind(InfoKind::Veth);
    link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.contains(&veth),
        _ => false,
    })
}

fn name_of(link: &LinkMessage) -> Option<String> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

fn is(error: &rtnetlink::Error, errno: i32) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(refusal) if refusal.raw_code() == -errno)
}

fn failed(doing: String, error: &rtnetlink::Error) -> Error {
    let source = match error {
        rtnetlink::Error::NetlinkError(refusal) => refusal.to_io(),
        other => io::Error::other(other.to_string()),
    };
    Error::Kernel { doing, source }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::net::testing::in_a_namespace;

    const MANY: u32 = 2000;

    #[test]
    fn many_list_at_once_and_one_that_is_given_up_stops_nobody() {
        in_a_namespace("many_list_at_once_and_one_that_is_given_up_stops_nobody", || async {
            let links = Links::here().unwrap();
            let bridge = Bridge {
                name: "b0".to_owned(),
                address: Ipv4Addr::new(10, 9, 0, 1),
                prefix: 24,
                address_ipv6: None,
                mtu: 1500,
            };
            links.put_bridge(&bridge).await.unwrap();
            // More than one answer of the kernel's holds, so that a list takes several.
            let index = links.expect("b0").await.unwrap();
            for number in 0..MANY {
                let [_, _, high, low] = number.to_be_bytes();
                let address = links.handle.address().add(index, Ipv4Addr::new(10, 10, high, low).into(), 32);
                address.execute().await.unwrap();
            }
            // As in the daemon: many threads, and one socket for all of them.
            let together = std::thread::spawn(move || {
                tokio::runtime::Runtime::new().unwrap().block_on(list_together(bridge));
            });
            together.join().unwrap();
        });
    }

    #[test]
    fn an_answer_that_is_lost_is_not_waited_for_without_end() {
        in_a_namespace("an_answer_that_is_lost_is_not_waited_for_without_end", || async {
            let (mut connection, handle, _) = rtnetlink::new_connection().unwrap();
            // The least that there is: what many ask for at once has no room in it.
            connection.socket_mut().socket_mut().set_rx_buf_sz(1_i32).unwrap();
            let links = Links {
                handle,
                connection: tokio::spawn(connection),
                listing: tokio::sync::Mutex::default(),
                patience: Duration::from_millis(200),
            };
            let asked = join_all((0..64).map(|_| links.index("lo"))).await;
            assert!(asked.iter().any(Result::is_err), "the kernel had room for all of it");
        });
    }

    async fn list_together(bridge: Bridge) {
        let links = std::sync::Arc::new(Links::here().unwrap());
        let tasks = (0..64).map(|number| {
            let (links, bridge) = (std::sync::Arc::clone(&links), bridge.clone());
            tokio::spawn(async move {
                let index = links.expect("b0").await.unwrap();
                if number % 8 == 0 {
                    let mut given_up = links.handle.address().get().set_link_index_filter(index).execute();
                    // Refused as busy, it is given up all the same.
                    drop(given_up.try_next().await);
                }
                links.put_bridge(&bridge).await.unwrap();
                links.routes().await.unwrap();
            })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
    }
}
