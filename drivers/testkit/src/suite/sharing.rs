//! Killed beside a neighbour that shares something: the neighbour keeps all that it is made of, and with the last
//! machine everything goes.

use std::collections::BTreeSet;

use wharf_core::{CreateRequest, Kind, RemoveOptions};
use wharf_driver::MachineName;

use crate::Switch;
use crate::suite::bench::name;
use crate::suite::{Bench, World};

/// Kills a create and a removal at every point, with a neighbour that was there before or comes after.
///
/// # Panics
/// When the neighbour loses something, or something is left after the last machine.
pub async fn sharing<W: World>(fresh: &impl Fn() -> W) -> usize {
    let (creating, removing, alone) = points(fresh).await;
    let mut tried = 0;
    for point in (0..creating).step_by(fresh().stride() + 1) {
        killed_create_beside(&Bench::new(fresh()), point).await;
        killed_create_before(&Bench::new(fresh()), point, alone).await;
        tried += 2;
    }
    for point in (0..removing).step_by(fresh().stride() + 1) {
        killed_remove_beside(&Bench::new(fresh()), point).await;
        killed_remove_outlasts(&Bench::new(fresh()), point).await;
        tried += 2;
    }
    tried
}

/// How many points a create and a removal pass beside a neighbour, and of how many things one machine is made.
async fn points<W: World>(fresh: &impl Fn() -> W) -> (usize, usize, usize) {
    let bench = Bench::new(fresh());
    up(&bench, &neighbour(), &Switch::default()).await;
    let alone = bench.world.remains().await.len();
    let (creating, removing) = (Switch::default(), Switch::default());
    up(&bench, &name(), &creating).await;
    down(&bench, &name(), &removing).await;
    down(&bench, &neighbour(), &Switch::default()).await;
    nothing_is_left(&bench, "undisturbed").await;
    (creating.passed().len(), removing.passed().len(), alone)
}

async fn killed_create_beside<W: World>(bench: &Bench<W>, point: usize) {
    up(bench, &neighbour(), &Switch::default()).await;
    let before = remains(bench).await;
    up(bench, &name(), &Switch::at(Some(point))).await;
    down(bench, &name(), &Switch::default()).await;
    assert_eq!(remains(bench).await, before, "create killed at {point}: what the neighbour has");
    down(bench, &neighbour(), &Switch::default()).await;
    nothing_is_left(bench, &format!("create killed at {point}, the neighbour last")).await;
}

async fn killed_create_before<W: World>(bench: &Bench<W>, point: usize, alone: usize) {
    up(bench, &name(), &Switch::at(Some(point))).await;
    up(bench, &neighbour(), &Switch::default()).await;
    down(bench, &name(), &Switch::default()).await;
    let left = remains(bench).await;
    assert_eq!(left.len(), alone, "create killed at {point}, then a neighbour: {left:?}");
    up(bench, &name(), &Switch::default()).await;
    down(bench, &neighbour(), &Switch::default()).await;
    let left = remains(bench).await;
    assert_eq!(left.len(), alone, "create killed at {point}, then made anew: {left:?}");
    down(bench, &name(), &Switch::default()).await;
    nothing_is_left(bench, &format!("create killed at {point}, then a neighbour")).await;
}

async fn killed_remove_beside<W: World>(bench: &Bench<W>, point: usize) {
    up(bench, &neighbour(), &Switch::default()).await;
    let before = remains(bench).await;
    up(bench, &name(), &Switch::default()).await;
    down(bench, &name(), &Switch::at(Some(point))).await;
    down(bench, &name(), &Switch::default()).await;
    assert_eq!(remains(bench).await, before, "removal killed at {point}: what the neighbour has");
    down(bench, &neighbour(), &Switch::default()).await;
    nothing_is_left(bench, &format!("removal killed at {point}, the neighbour last")).await;
}

/// The neighbour goes while the removal is unfinished, and comes back before it is continued.
async fn killed_remove_outlasts<W: World>(bench: &Bench<W>, point: usize) {
    up(bench, &neighbour(), &Switch::default()).await;
    up(bench, &name(), &Switch::default()).await;
    down(bench, &neighbour(), &Switch::default()).await;
    down(bench, &name(), &Switch::at(Some(point))).await;
    up(bench, &neighbour(), &Switch::default()).await;
    let before = remains(bench).await.len();
    down(bench, &name(), &Switch::default()).await;
    assert!(remains(bench).await.len() <= before, "removal killed at {point}: something came back");
    // Whole, as its own verbs see it.
    down(bench, &neighbour(), &Switch::default()).await;
    nothing_is_left(bench, &format!("removal killed at {point}, a neighbour after it")).await;
}

fn neighbour() -> MachineName {
    "neighbour".parse().unwrap_or_else(|_| name())
}

async fn remains<W: World>(bench: &Bench<W>) -> BTreeSet<String> {
    bench.world.remains().await.into_iter().collect()
}

async fn nothing_is_left<W: World>(bench: &Bench<W>, after: &str) {
    assert_eq!(bench.world.remains().await, [""; 0], "{after}: left in the world");
}

/// Creates the machine, or continues to; killed where `switch` says.
async fn up<W: World>(bench: &Bench<W>, machine: &MachineName, switch: &Switch) {
    let wharf = bench.process(switch, |driver| driver);
    let request = CreateRequest { name: machine.clone(), ..bench.request() };
    if let Some(created) = switch.run(wharf.create(&request, &bench.call("create"))).await {
        created.unwrap_or_else(|error| panic!("create {machine}: {error:?}"));
    }
}

/// Removes the machine; killed where `switch` says. One that never began is gone already.
async fn down<W: World>(bench: &Bench<W>, machine: &MachineName, switch: &Switch) {
    let wharf = bench.process(switch, |driver| driver);
    let options = RemoveOptions { purge: true, force: false };
    match switch.run(wharf.remove(machine, options, &bench.call("rm"))).await {
        None | Some(Ok(_)) => {}
        Some(Err(error)) if error.kind() == Kind::NoSuchMachine => {}
        Some(Err(error)) => panic!("remove {machine}: {error:?}"),
    }
}
