//! What the client adds to what the cloud takes: a figure for people, and no assertion.
//!
//! The cloud runs in real time with its published limits. A machine's critical path is what the cloud itself worked on
//! one after the other: the slowest of network, firewall and address, then the interface, then the machine. What the
//! limits impose is when their buckets let the machine's own last write through, given the writes and reads that came
//! before it. The rest of the time until `create` has ended is the client's: its reads, its polls, keys and journal.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wharf_sim::{Entry, Flavour};
use wharf_testkit::suite::Bench;

use crate::fleet::{process, request};
use crate::world::Cloud;

#[tokio::test]
#[ignore = "minutes of real time: tests/bench.sh azure"]
async fn what_the_client_adds() {
    for (flavour, machines) in [(Flavour::Public, 1), (Flavour::Public, 20), (Flavour::Public, 100)] {
        println!("{flavour}, {machines} machines: {}", measure(flavour, machines).await);
    }
}

async fn measure(flavour: Flavour, machines: usize) -> String {
    let bench = Bench::new(Cloud::limited(flavour, 1.0));
    let wharf = process(&bench);
    let names: Vec<String> = (0..machines).map(|number| format!("web{number:03}")).collect();
    let began = Instant::now();
    let create = async |name: &String| {
        wharf.create(&request(&bench, name), &bench.call("create")).await.unwrap();
        began.elapsed()
    };
    let ended = join_all(names.iter().map(create)).await;
    let cloud = bench.world.simulator.cloud();
    let (works, calls) = (cloud.works(), cloud.calls());
    let mut added: Vec<f64> = Vec::new();
    let mut limits: Vec<f64> = Vec::new();
    for (name, ended) in names.iter().zip(&ended) {
        let took = |kind: &str, name: &str| {
            let own = works.iter().filter(|(id, _, _)| {
                let id = id.to_ascii_lowercase();
                id.contains(&kind.to_ascii_lowercase()) && id.contains(name)
            });
            own.map(|(_, began, ended)| ended.saturating_sub(*began)).max().unwrap_or_default()
        };
        let beside = ["/virtualNetworks/", "/networkSecurityGroups/"].map(|kind| took(kind, ""));
        let beside = beside.into_iter().chain([took("/publicIPAddresses/", name)]).max().unwrap_or_default();
        let path = beside + took("/networkInterfaces/", name) + took("/virtualMachines/", name);
        let imposed = imposed(&calls, name);
        added.push(ended.saturating_sub(path).as_secs_f64() - imposed);
        limits.push(imposed);
    }
    added.sort_by(f64::total_cmp);
    limits.sort_by(f64::total_cmp);
    let refused = calls.iter().filter(|call| call.status == 429).count();
    let last = ended.iter().max().map_or(0.0, Duration::as_secs_f64);
    format!(
        "all after {last:.1} s; the client adds {:.2} s (median), {:.2} s at most; limits impose {:.1} s at most; {} calls, {refused} refused",
        added[added.len() / 2],
        added[added.len() - 1],
        limits[limits.len() - 1],
        calls.len(),
    )
}

/// When the buckets of Resource Manager let the machine's own write through: 200 writes and 250 reads at once, then 10
/// and 25 a second.
fn imposed(calls: &[Entry], name: &str) -> f64 {
    let own = |call: &Entry| {
        call.method == "PUT" && call.path.contains("/virtualMachines/") && call.path.contains(name)
    };
    let Some(at) = calls.iter().position(own) else { return 0.0 };
    let count = |reads: bool| {
        let before = calls[..=at].iter().filter(|call| call.path.starts_with("/subscriptions"));
        before.filter(|call| (call.method == "GET") == reads).count() as f64
    };
    ((count(false) - 200.0) / 10.0).max((count(true) - 250.0) / 25.0).max(0.0)
}
