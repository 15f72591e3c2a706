//! Taking every network of one engine away without a daemon: for `wharfd purge`.
//!
//! A record that cannot be read costs only what it alone knew: links are also found by the bridge that they are on.

use std::path::{Path, PathBuf};

use super::record::{Network, Sandbox};
use crate::net::firewall::Firewall;
use crate::net::link::Links;
use crate::net::{self, namespace, nftables};
use crate::store::record::{self as disk, Record};

type Done = Result<String, String>;

/// What was done, and what could not be.
pub(crate) async fn purge(data_root: &Path, exec_root: &Path) -> Vec<Done> {
    let (networks, sandboxes) = (data_root.join("networks"), exec_root.join("net"));
    if !networks.exists() && !sandboxes.exists() {
        return Vec::new();
    }
    let mut done = Vec::new();
    remove_links(&networks, &sandboxes, &mut done).await;
    for path in files(&exec_root.join("netns")) {
        let removed = namespace::remove(&path).await.map_err(text);
        done.push(removed.map(|()| format!("removed the network namespace {}", path.display())));
    }
    match remove_rules(&net::ledger(exec_root)) {
        Ok(false) => {}
        Ok(true) => done.push(Ok("removed the firewall's table and entries".to_owned())),
        Err(error) => done.push(Err(text(error))),
    }
    if super::transit_mark(exec_root).exists() {
        let stopped = net::stop_forwarding().map_err(text);
        done.push(stopped.map(|()| "stopped forwarding packets, as it was before".to_owned()));
    }
    let mark = super::transit_mark_ipv6(exec_root);
    if let Ok(told) = std::fs::read_to_string(&mark) {
        let stopped = net::stop_forwarding_ipv6(told.lines()).map_err(text);
        done.push(stopped.map(|()| "stopped forwarding IPv6 packets, as it was before".to_owned()));
    }
    done
}

async fn remove_links(networks: &Path, sandboxes: &Path, done: &mut Vec<Done>) {
    let links = match Links::here() {
        Ok(links) => links,
        Err(error) => return done.push(Err(text(error))),
    };
    let endpoints = records::<Sandbox>(sandboxes, done).into_iter().flat_map(|sandbox| sandbox.endpoints);
    let mut names: Vec<String> = endpoints.map(|endpoint| endpoint.link).collect();
    for network in records::<Network>(networks, done) {
        let Some(bridged) = network.bridged() else { continue };
        match links.pairs_on(&bridged.bridge).await {
            Ok(found) => names.extend(found),
            Err(error) => done.push(Err(text(error))),
        }
        names.extend(Some(&bridged.bridge).filter(|_| !bridged.is_adopted).cloned());
    }
    for name in names {
        match links.index(&name).await {
            Ok(None) => {}
            Ok(Some(_)) => {
                let removed = links.remove(&name).await.map_err(text);
                done.push(removed.map(|()| format!("removed the link {name}")));
            }
            Err(error) => done.push(Err(text(error))),
        }
    }
}

/// Says whether there were any.
fn remove_rules(ledger: &Path) -> net::Result<bool> {
    let there = nftables::chains()?.iter().any(|chain| chain.table == net::firewall::TABLE);
    Firewall::default().apply(ledger)?;
    Ok(there)
}

fn records<R: Record>(folder: &Path, done: &mut Vec<Done>) -> Vec<R> {
    let records = files(folder).filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: PathBuf| match disk::read(&path) {
        Ok(record) => record,
        Err(error) => {
            done.push(Err(text(error)));
            None
        }
    };
    records.filter_map(read).collect()
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}
