//! Who holds a lock when things go wrong: holders that die, pause, or cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use object_store::{ObjectStoreExt as _, path::Path};
use wharf_core::Kind;
use wharf_core::store::Subject;
use wharf_objects::Times;
use wharf_testkit::stores::{Desk, machine};

use crate::World;
use crate::faults::Weather;

const LONG: Duration = Duration::from_secs(600);

/// Two commands: one behind a network of its own, and one that works with the store as it is.
async fn two() -> (World, Arc<Weather>, Desk, Desk) {
    let world = World::new().await;
    let weather = Weather::new();
    let first = Desk::new(world.open_in(&weather), &world.clock);
    let second = Desk::new(world.open(), &world.clock);
    (world, weather, first, second)
}

#[tokio::test(start_paused = true)]
async fn a_holder_at_work_keeps_its_lock() {
    let (_world, _, first, second) = two().await;
    let lease = first.machine("web").await;
    let refused = second.lock(&machine("web"), Times::default().lease * 20).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Locked);
    assert!(refused.message().contains("`wharf try` of ann@laptop"), "{refused}");
    first.append(&lease, 1).await.unwrap();
    assert!(!lease.ended.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_reached_loses_it_after_its_time_and_knows() {
    let (world, weather, first, second) = two().await;
    let lease = first.machine("web").await;
    first.append(&lease, 1).await.unwrap();
    weather.cut();
    let cut = world.clock.now();
    let next = second.lock(&machine("web"), LONG).await.unwrap();
    assert!(world.clock.now() - cut >= Times::default().lease, "nobody takes over earlier");
    assert!(lease.ended.is_cancelled(), "the holder stopped before another began");
    assert_eq!(first.append(&lease, 2).await.unwrap_err().kind(), Kind::Locked);
    second.append(&next, 2).await.unwrap();
    assert_eq!(second.numbers("web").await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_event_held_up_on_its_way_is_refused_however_late() {
    let (_world, weather, first, second) = two().await;
    let lease = first.machine("web").await;
    first.append(&lease, 1).await.unwrap();
    // The check is over, the write is on its way: then the holder stands still, as a suspended computer does.
    weather.hold_up("/");
    let (late, next) = tokio::join!(first.append(&lease, 2), async {
        weather.somebody_waits().await;
        second.lock(&machine("web"), LONG).await.unwrap()
    });
    assert!(late.is_err(), "nobody knew how it would end");
    second.append(&next, 2).await.unwrap();
    weather.let_through();
    drop(lease);
    first.store.settled().await;
    second.append(&next, 3).await.unwrap();
    assert_eq!(second.numbers("web").await, [1, 2, 3]);
    let fences: Vec<u64> =
        second.store.journal(&"web".parse().unwrap()).await.unwrap().iter().map(|e| e.fence).collect();
    assert_eq!(fences, [1, next.fence, next.fence], "what was held up got no number");
}

#[tokio::test(start_paused = true)]
async fn an_event_on_its_way_counts_when_it_gets_there_before_the_next_holder() {
    let (_world, weather, first, second) = two().await;
    let lease = first.machine("web").await;
    first.append(&lease, 1).await.unwrap();
    weather.hold_up("events");
    let late = tokio::select! {
        late = first.append(&lease, 2) => late,
        () = async { weather.somebody_waits().await; std::future::pending().await } => unreachable!(),
    };
    assert_eq!(late.unwrap_err().kind(), Kind::Unreachable);
    // The holder ends without knowing, and says so when it lets go.
    drop(lease);
    first.store.settled().await;
    weather.let_through();
    tokio::task::yield_now().await;
    let next = second.machine("web").await;
    assert_eq!(second.numbers("web").await, [1, 2]);
    second.append(&next, 3).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_end_nobody_saw_cannot_appear_under_the_next_holder() {
    let (_world, weather, first, second) = two().await;
    let lease = first.machine("web").await;
    weather.hold_up("events");
    assert_eq!(first.append(&lease, 1).await.unwrap_err().kind(), Kind::Unreachable);
    drop(lease);
    first.store.settled().await;
    let next = second.machine("web").await;
    assert!(second.numbers("web").await.is_empty());
    weather.let_through();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(second.numbers("web").await.is_empty(), "its number is taken by a seal");
    second.append(&next, 1).await.unwrap();
    assert_eq!(second.numbers("web").await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_file_held_up_on_its_way_replaces_nothing() {
    for subject in [machine("web"), Subject::Authority] {
        let (_world, weather, first, second) = two().await;
        let lease = first.lock(&subject, LONG).await.unwrap();
        first.store.put(&lease, "ca.pem", b"first").await.unwrap();
        weather.hold_up("/");
        let (late, next) = tokio::join!(first.store.put(&lease, "ca.pem", b"late"), async {
            weather.somebody_waits().await;
            second.lock(&subject, LONG).await.unwrap()
        });
        assert!(late.is_err());
        let read = async || second.store.get(&subject, "ca.pem").await.unwrap().unwrap();
        assert_eq!(read().await, b"first");
        weather.let_through();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(read().await, b"first", "though the next holder has not written it");
        second.store.put(&next, "ca.pem", b"second").await.unwrap();
        assert_eq!(read().await, b"second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_forgotten_and_made_anew_gets_no_event_of_its_former_life() {
    let (_world, weather, first, second) = two().await;
    let lease = first.machine("web").await;
    first.append(&lease, 1).await.unwrap();
    weather.hold_up("events");
    let late = first.append(&lease, 2).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Unreachable);
    drop(lease);
    first.store.settled().await;
    let next = second.machine("web").await;
    second.store.forget(&next).await.unwrap();
    drop(next);
    let anew = second.machine("web").await;
    second.append(&anew, 1).await.unwrap();
    weather.let_through();
    tokio::time::sleep(Duration::from_secs(1)).await;
    second.append(&anew, 2).await.unwrap();
    assert_eq!(second.numbers("web").await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_freed_by_hand_is_lost_to_its_holder() {
    let (_world, _, first, second) = two().await;
    let lease = first.machine("web").await;
    first.append(&lease, 1).await.unwrap();
    second.store.unlock(&machine("web")).await.unwrap();
    assert_eq!(second.store.holder(&machine("web")).await.unwrap(), None);
    let next = second.lock(&machine("web"), Duration::ZERO).await.unwrap();
    assert_eq!(first.append(&lease, 2).await.unwrap_err().kind(), Kind::Locked);
    assert_eq!(first.store.put(&lease, "a", b"").await.unwrap_err().kind(), Kind::Locked);
    tokio::time::sleep(Times::default().lease).await;
    assert!(lease.ended.is_cancelled());
    drop(lease);
    first.store.settled().await;
    second.append(&next, 2).await.unwrap();
    assert_eq!(second.numbers("web").await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_given_up_in_time() {
    let (_world, weather, first, _) = two().await;
    let lease = first.machine("web").await;
    weather.slow(Duration::from_secs(3600));
    let fresh = Desk::new(Arc::clone(&first.store), &first.clock);
    let error = fresh.store.journal(&"db".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(first.append(&lease, 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_reading_without_an_answer_is_sent_again() {
    let (_world, weather, first, _) = two().await;
    let lease = first.machine("web").await;
    first.append(&lease, 1).await.unwrap();
    for readings in [1, 2] {
        weather.unheard(readings);
        let fresh = Desk::new(Arc::clone(&first.store), &first.clock);
        assert_eq!(fresh.numbers("web").await, [1]);
    }
    // Those who never get one are told so; and what it takes is bounded.
    weather.unheard(usize::MAX);
    let error = first.store.journal(&"db".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn a_journal_with_a_gap_is_damaged_and_its_machine_is_still_listed() {
    let (world, _, first, _) = two().await;
    let lease = first.machine("web").await;
    for number in 1..=3 {
        first.append(&lease, number).await.unwrap();
    }
    world.objects.delete(&Path::from("team/prod/machines/web/00000001/events/00000002")).await.unwrap();
    let other = world.open();
    let damage = other.journal(&"web".parse().unwrap()).await.unwrap_err();
    assert!(damage.message().contains("number 2 is missing"), "{damage}");
    assert_eq!(other.machines().await.unwrap(), ["web".parse().unwrap()]);
    drop(lease);
    first.store.settled().await;
    let desk = Desk::new(other, &world.clock);
    let lease = desk.machine("web").await;
    desk.store.forget(&lease).await.unwrap();
    assert!(desk.store.machines().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_taken_without_an_answer_is_found_and_taken_again() {
    for unanswered in [1, 2] {
        let (world, weather, first, second) = two().await;
        weather.unanswered(unanswered);
        let begun = world.clock.now();
        let lease = first.lock(&machine("web"), LONG).await.unwrap();
        assert!(world.clock.now() - begun < Times::default().lease, "what is one's own is not waited for");
        assert!(!lease.ended.is_cancelled());
        assert_eq!(second.lock(&machine("web"), Duration::ZERO).await.unwrap_err().kind(), Kind::Locked);
        first.append(&lease, 1).await.unwrap();
        assert_eq!(second.numbers("web").await, [1]);
    }
    let (_world, weather, first, _) = two().await;
    weather.unanswered(usize::MAX);
    assert_eq!(first.lock(&machine("web"), LONG).await.unwrap_err().kind(), Kind::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn a_taking_that_is_held_up_gives_nobody_a_lock_that_another_holds() {
    let (_world, weather, first, second) = two().await;
    weather.hold_up("lease");
    let asked = machine("web");
    let (late, next) = tokio::join!(first.lock(&asked, Duration::ZERO), async {
        weather.somebody_waits().await;
        let next = second.machine("web").await;
        weather.let_through();
        next
    });
    assert_eq!(late.unwrap_err().kind(), Kind::Locked);
    second.append(&next, 1).await.unwrap();
    assert_eq!(second.numbers("web").await, [1]);
}
