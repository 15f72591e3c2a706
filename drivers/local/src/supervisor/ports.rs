//! Ports that containers publish, made reachable on 127.0.0.1 of this computer while they run, whichever client
//! started them: the engine's own events say when to look again, and the list of containers says what to open.
//!
//! What is published on the machine's own loopback is meant for this computer, and is reached at the same address here:
//! the engine lets in whom the machine names in `/etc/wharf/loopback-peer`, which is us.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::sleep;
use wharfd_client::{Client, Credentials};

use crate::folder::{Folder, VmRecord};
use crate::forward::{Forward, ForwardError, Protocol};
use crate::qmp::Qmp;

/// The ports that should be open, as the engine says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    forwards: BTreeSet<Forward>,
    /// Published on the machine's ::1 alone, which QEMU's user networking does not reach.
    unreachable: BTreeSet<u16>,
}

/// The ports that are open, and the engine that is listened to.
pub(super) struct Published {
    news: mpsc::Receiver<Wanted>,
    own: [u16; 2],
    last: Wanted,
    open: Option<BTreeSet<Forward>>,
    missing: bool,
}

/// A container as the engine lists it; only what is looked at.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "Ports", default)]
    ports: Vec<Port>,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(rename = "IP", default)]
    address: String,
    #[serde(rename = "PublicPort", default)]
    public: u16,
    #[serde(rename = "Type", default)]
    protocol: String,
}

const EVENTS: &str = r#"{"type":["container"],"event":["start","die"]}"#;
/// How often a port that could not be bound is tried again.
const AGAIN: Duration = Duration::from_secs(10);
const RECONNECT: Duration = Duration::from_secs(1);

impl Published {
    /// Begins to listen to the engine of the machine in this folder, whose certificates lie in the folder above, as soon as there is one.
    pub(super) fn follow(folder: &Folder, record: &VmRecord, engine_port: u16) -> Self {
        let (sender, news) = mpsc::channel(1);
        let listener = Listener {
            certificates: folder.path().parent().map(Path::to_owned).unwrap_or_default(),
            id: record.owner.machine.as_str().to_owned(),
            port: engine_port,
            sender,
        };
        tokio::spawn(listener.run());
        Self { news, own: [22, record.vm.engine_port], last: Wanted::default(), open: None, missing: false }
    }

    /// What should be open now, when that changed, or when something is missing and it is time to try again.
    pub(super) async fn next(&mut self) -> Wanted {
        tokio::select! {
            wanted = self.news.recv() => match wanted {
                Some(wanted) => { self.last = wanted.clone(); wanted }
                None => std::future::pending().await,
            },
            () = sleep(AGAIN), if self.missing => self.last.clone(),
        }
    }

    /// Opens and closes ports until it is so. Answers with a warning for every port that could not be bound.
    pub(super) async fn apply(&mut self, wanted: Wanted, qmp: &mut Qmp) -> Result<Vec<String>, ForwardError> {
        let own = self.own;
        // After a take-over QEMU knows what is open, and we do not.
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                Forward::list(qmp).await?.into_iter().filter(|there| !own.contains(&there.guest)).collect()
            }
        };
        for gone in open.difference(&wanted.forwards).copied().collect::<Vec<_>>() {
            gone.remove(qmp).await?;
            open.remove(&gone);
        }
        let mut warnings: Vec<String> = wanted.unreachable.iter().map(|port| unreachable(*port)).collect();
        self.missing = false;
        for new in wanted.forwards.difference(&open).copied().collect::<Vec<_>>() {
            match new.add(qmp).await {
                Ok(()) => drop(open.insert(new)),
                Err(ForwardError::Refused { forward, why }) => {
                    self.missing = true;
                    warnings.push(refused(forward, why));
                }
                Err(error) => return Err(error),
            }
        }
        self.open = Some(open);
        Ok(warnings)
    }
}

/// Whether a warning is one of ours, to be replaced by the next list of them.
pub(super) fn is_about_ports(warning: &str) -> bool {
    warning.starts_with(PREFIX)
}

const PREFIX: &str = "published port ";

fn refused(forward: Forward, why: &str) -> String {
    let Forward { protocol, address, host, .. } = forward;
    format!("{PREFIX}{host}/{protocol} is not reachable at {address}:{host}: {why}")
}

fn unreachable(port: u16) -> String {
    format!("{PREFIX}{port} is not reachable: it is published on ::1 of the machine; publish it on 127.0.0.1")
}

/// The side that talks to the engine.
struct Listener {
    certificates: PathBuf,
    id: String,
    port: u16,
    sender: mpsc::Sender<Wanted>,
}

impl Listener {
    async fn run(self) {
        loop {
            // Not provisioned yet, engine restarting, certificates being renewed: all the same from here.
            if let Err(error) = self.listen().await {
                tracing::debug!(%error, "not listening to the engine");
            }
            if self.sender.is_closed() {
                return;
            }
            sleep(RECONNECT).await;
        }
    }

    async fn listen(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let client = Client::tcp("127.0.0.1", self.port, &self.credentials()?)?;
        // Listening first and looking afterwards, nothing falls between.
        let mut events = std::pin::pin!(client.events(EVENTS).await?);
        loop {
            let containers: Vec<Listed> = client.get("/containers/json").await?;
            self.sender.send(wanted(&containers)).await?;
            match events.next().await {
                Some(event) => drop(event?),
                None => return Ok(()),
            }
        }
    }

    fn credentials(&self) -> std::io::Result<Credentials> {
        let read = |name: &str| fs::read_to_string(self.certificates.join(name));
        Ok(Credentials {
            authority: read("ca.pem")?,
            certificate: read("cert.pem")?,
            key: read("key.pem")?,
            machine: Some(self.id.clone()),
        })
    }
}

fn wanted(containers: &[Listed]) -> Wanted {
    let mut wanted = Wanted::default();
    for port in containers.iter().flat_map(|container| &container.ports).filter(|port| port.public != 0) {
        let protocol = match port.protocol.as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            // SCTP does not pass QEMU's user networking.
            _ => continue,
        };
        let local = port.address.parse().ok().filter(Ipv4Addr::is_loopback);
        let address = local.unwrap_or(Ipv4Addr::LOCALHOST);
        if port.address == "::1" {
            wanted.unreachable.insert(port.public);
        } else {
            wanted.forwards.insert(Forward { protocol, address, host: port.public, guest: port.public });
        }
    }
    let forwarded: BTreeSet<u16> = wanted.forwards.iter().map(|forward| forward.guest).collect();
    wanted.unreachable.retain(|port| !forwarded.contains(port));
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_wanted_once() {
        let list = r#"[
            {"Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},
                      {"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},
                      {"PrivatePort":443,"Type":"tcp"}]},
            {"Ports":[{"IP":"127.0.0.1","PrivatePort":1,"PublicPort":9000,"Type":"tcp"},
                      {"IP":"127.0.0.2","PrivatePort":1,"PublicPort":9000,"Type":"tcp"},
                      {"IP":"::1","PrivatePort":1,"PublicPort":9000,"Type":"tcp"},
                      {"IP":"::1","PrivatePort":1,"PublicPort":9001,"Type":"tcp"},
                      {"IP":"0.0.0.0","PrivatePort":53,"PublicPort":5353,"Type":"udp"}]},
            {}]"#;
        let wanted = wanted(&serde_json::from_str::<Vec<Listed>>(list).unwrap());
        let forward = |protocol, last, port| Forward {
            protocol,
            address: Ipv4Addr::new(127, 0, 0, last),
            host: port,
            guest: port,
        };
        assert_eq!(
            wanted.forwards.into_iter().collect::<Vec<_>>(),
            [
                forward(Protocol::Tcp, 1, 8080),
                forward(Protocol::Tcp, 1, 9000),
                forward(Protocol::Tcp, 2, 9000),
                forward(Protocol::Udp, 1, 5353)
            ]
        );
        assert_eq!(wanted.unreachable.into_iter().collect::<Vec<_>>(), [9001]);
    }

    #[test]
    fn warnings_about_ports_are_known_again() {
        let protocol = Protocol::Tcp;
        let forward = Forward { protocol, address: Ipv4Addr::LOCALHOST, host: 80, guest: 80 };
        assert!(is_about_ports(&refused(forward, "why")) && is_about_ports(&unreachable(80)));
        assert!(!is_about_ports("the data disk is damaged"));
    }
}
