//! What the client adds to what the cloud takes: a figure for people, and no assertion.
//!
//! The cloud runs in real time with its published limits. A machine's critical path is what the cloud itself worked on
//! one after the other: the slowest of network, firewall and address, then the interface, then the machine. What the
//! limits impose is when their buckets let the machine's own last write through, given the writes and reads that came
//! before it. The rest of the time until `create` has ended is the client's: its reads, its polls, keys and journal. Where
//! it goes is told by when the interface was begun after what it needs, the machine after it, and `create` ended after
//! the machine.

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
    let offset = bench.world.simulator.cloud().clock().now();
    let create = async |name: &String| {
        wharf.create(&request(&bench, name), &bench.call("create")).await.unwrap();
        began.elapsed()
    };
    let ended = join_all(names.iter().map(create)).await;
    let cloud = bench.world.simulator.cloud();
    let (works, calls) = (cloud.works(), cloud.calls());
    let mut added: Vec<f64> = Vec::new();
    let mut limits: Vec<f64> = Vec::new();
    let mut parts: [Vec<f64>; 3] = Default::default();
    for (name, ended) in names.iter().zip(&ended) {
        let work = |kind: &str, name: &str| {
            let own = works.iter().filter(|(id, _, _)| {
                let id = id.to_ascii_lowercase();
                id.contains(&kind.to_ascii_lowercase()) && id.contains(name)
            });
            own.map(|(_, began, ended)| (ended.saturating_sub(*began), *began, *ended))
                .max()
                .unwrap_or_default()
        };
        let beside =
            [("/virtualNetworks/", ""), ("/networkSecurityGroups/", ""), ("/publicIPAddresses/", name)]
                .map(|(kind, name)| work(kind, name));
        let (interface, machine) = (work("/networkInterfaces/", name), work("/virtualMachines/", name));
        let slowest = beside.iter().map(|(took, _, _)| *took).max().unwrap_or_default();
        let imposed = imposed(&calls, name);
        added.push(ended.saturating_sub(slowest + interface.0 + machine.0).as_secs_f64() - imposed);
        limits.push(imposed);
        let needed = beside.iter().map(|(_, _, ended)| *ended).max().unwrap_or_default();
        let waits = [(needed, interface.1), (interface.2, machine.1), (machine.2, offset + *ended)];
        for (part, (from, to)) in parts.iter_mut().zip(waits) {
            part.push(to.saturating_sub(from).as_secs_f64());
        }
    }
    for figures in parts.iter_mut().chain([&mut added, &mut limits]) {
        figures.sort_by(f64::total_cmp);
    }
    let [interface, machine, end] = parts.map(|part| spread(&part));
    let refused = calls.iter().filter(|call| call.status == 429).count();
    let last = ended.iter().max().map_or(0.0, Duration::as_secs_f64);
    format!(
        "all after {last:.1} s; the client adds {} (until the interface {interface}, until the machine {machine}, until \
         the end {end}); limits impose {:.1} s at most; {} calls, {refused} refused",
        spread(&added),
        limits[limits.len() - 1],
        calls.len(),
    )
}

/// Of figures in order: the median and the greatest.
fn spread(seconds: &[f64]) -> String {
    format!("{:.2} s, at most {:.2} s", seconds[seconds.len() / 2], seconds[seconds.len() - 1])
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
