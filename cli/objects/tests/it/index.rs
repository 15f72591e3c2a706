//! A fleet is read at once where the index has it, and rightly where it has not.

use object_store::{ObjectStoreExt as _, path::Path};
use wharf_core::store::Store;
use wharf_testkit::stores::Desk;

use crate::World;
use crate::faults::Weather;

const MACHINES: [&str; 4] = ["db", "web-1", "web-2", "web-3"];

/// A fleet whose machines have three events each.
async fn fleet() -> (World, Desk) {
    let world = World::new().await;
    let desk = Desk::new(world.open(), &world.clock);
    for name in MACHINES {
        let lease = desk.machine(name).await;
        for number in 1..=3 {
            desk.append(&lease, number).await.unwrap();
        }
    }
    desk.store.settled().await;
    (world, desk)
}

/// Every machine with its number of events, as a new command finds them.
async fn seen(store: &dyn Store) -> Vec<(String, usize)> {
    let journals = store.journals().await.unwrap();
    journals.into_iter().map(|(name, journal)| (name.to_string(), journal.unwrap().len())).collect()
}

fn expected(changed: &[(&str, usize)]) -> Vec<(String, usize)> {
    let count = |name: &str| changed.iter().find(|(other, _)| *other == name).map_or(3, |(_, count)| *count);
    let all = MACHINES.iter().map(|name| ((*name).to_owned(), count(name)));
    all.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fleet_is_one_read() {
    let (world, _) = fleet().await;
    assert_eq!(seen(&*world.open()).await, expected(&[]));
    let weather = Weather::new();
    assert_eq!(seen(&*world.open_in(&weather)).await, expected(&[]));
    assert_eq!(weather.reads(), 2, "the store itself, and the index");
}

#[tokio::test(start_paused = true)]
async fn an_index_that_lags_is_made_up_for_and_written_anew() {
    let (world, desk) = fleet().await;
    seen(&*world.open()).await;
    let lease = desk.machine("web-1").await;
    desk.append(&lease, 4).await.unwrap();
    let gone = desk.machine("web-2").await;
    desk.store.forget(&gone).await.unwrap();
    let again = desk.machine("web-3").await;
    desk.store.forget(&again).await.unwrap();
    drop(again);
    let again = desk.machine("web-3").await;
    desk.append(&again, 1).await.unwrap();
    let now = expected(&[("web-1", 4), ("web-2", 0), ("web-3", 1)]);
    let weather = Weather::new();
    assert_eq!(seen(&*world.open_in(&weather)).await, now);
    assert_eq!(weather.reads(), 2 + 2, "only what the index lacks is read");
    let weather = Weather::new();
    assert_eq!(seen(&*world.open_in(&weather)).await, now);
    assert_eq!(weather.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_damaged_misleads_nobody() {
    let (world, _) = fleet().await;
    let key = Path::from("team/prod/index.json");
    seen(&*world.open()).await;
    let good = world.objects.get(&key).await.unwrap().bytes().await.unwrap();
    let good = String::from_utf8(good.to_vec()).unwrap();
    for bad in [
        "",
        "{",
        "{}",
        "[1]",
        &good.replace("\\\"number\\\":2", "\\\"number\\\":7"),
        &good.replace("\"life\":1", "\"life\":9"),
    ] {
        world.objects.put(&key, bad.to_owned().into()).await.unwrap();
        assert_ne!(bad, good, "it is another one");
        assert_eq!(seen(&*world.open()).await, expected(&[]), "{bad}");
        let mended = world.objects.get(&key).await.unwrap().bytes().await.unwrap();
        assert_eq!(mended, good, "and it is mended");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_removal_left_is_seen_until_the_next_one() {
    let (world, desk) = fleet().await;
    let weather = Weather::new();
    let killed = Desk::new(world.open_in(&weather), &world.clock);
    let lease = killed.machine("db").await;
    weather.hold_up("forgotten");
    let forgetting = async {
        tokio::select! {
            _ = killed.store.forget(&lease) => unreachable!("it is held up"),
            () = weather.somebody_waits() => {}
        }
    };
    forgetting.await;
    assert!(desk.numbers("db").await.is_empty(), "its lease says that it is forgotten");
    let again = desk.machine("db").await;
    assert!(desk.numbers("db").await.is_empty());
    desk.store.forget(&again).await.unwrap();
    assert_eq!(seen(&*world.open()).await, expected(&[("db", 0)]));
}
