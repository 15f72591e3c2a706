//! Killed at every point that a verb passes: before and after every event and file, before, during and after every call
//! of the driver and of the bootstrap; or at those of them that a world chooses.

use wharf_core::Power;

use crate::Switch;
use crate::suite::{Bench, World};

/// Kills a create at every point, then creates again: there is exactly one machine. Then removes it.
///
/// # Panics
/// When there is none, or more than one, or something is left.
pub async fn crash_then_create<W: World>(fresh: &impl Fn() -> W) -> usize {
    let (points, whole) = passed_by_create(fresh).await;
    let mut tried = 0;
    for (index, point) in chosen(&points, fresh().first(), fresh().stride()) {
        let bench = Bench::new(fresh());
        assert!(bench.create(&Switch::at(Some(index))).await.is_none(), "{point}: was not passed");
        bench.ready(point).await;
        let remains = bench.world.remains().await;
        assert_eq!(remains.len(), whole, "{point}: not exactly one machine: {remains:?}");
        bench.gone(point).await;
        tried += 1;
    }
    tried
}

/// Kills a create at every point, then removes: nothing is left.
///
/// # Panics
/// When something is.
pub async fn crash_then_remove<W: World>(fresh: &impl Fn() -> W) -> usize {
    let (points, _) = passed_by_create(fresh).await;
    let mut tried = 0;
    for (index, point) in chosen(&points, fresh().first(), fresh().stride()) {
        let bench = Bench::new(fresh());
        assert!(bench.create(&Switch::at(Some(index))).await.is_none(), "{point}: was not passed");
        bench.gone(point).await;
        tried += 1;
    }
    tried
}

/// Kills a restart at every point, then restarts again and removes.
///
/// # Panics
/// When the machine does not come back, or something is left.
pub async fn crash_while_powering<W: World>(fresh: &impl Fn() -> W) -> usize {
    let bench = Bench::new(fresh());
    bench.ready("before powering").await;
    let switch = Switch::default();
    let done = bench.power(Power::Restart, &switch).await;
    assert!(matches!(done, Some(Ok(_))), "restart failed: {done:?}");
    bench.gone("after powering").await;
    let mut tried = 0;
    for (index, point) in chosen(&switch.passed(), 0, fresh().stride()) {
        let bench = Bench::new(fresh());
        bench.ready(point).await;
        assert!(
            bench.power(Power::Restart, &Switch::at(Some(index))).await.is_none(),
            "{point}: was not passed"
        );
        let again = bench.power(Power::On, &Switch::default()).await;
        assert!(matches!(again, Some(Ok(_))), "{point}: start failed: {again:?}");
        bench.gone(point).await;
        tried += 1;
    }
    tried
}

/// Kills a removal at every point, the next removal at its every point, then removes: nothing is left.
///
/// # Panics
/// When something is.
pub async fn crash_while_removing<W: World>(fresh: &impl Fn() -> W) -> usize {
    let stride = fresh().stride();
    let points = passed_by_remove(&Bench::new(fresh()), None).await;
    let mut tried = 0;
    for (first, point) in chosen(&points, 0, stride) {
        let seconds = passed_by_remove(&Bench::new(fresh()), Some(first)).await;
        for (second, again) in chosen(&seconds, 0, stride) {
            let both = format!("{point}, then {again}");
            let bench = Bench::new(fresh());
            bench.ready(&both).await;
            assert!(
                bench.remove(&Switch::at(Some(first))).await.is_none(),
                "{both}: the first was not passed"
            );
            assert!(
                bench.remove(&Switch::at(Some(second))).await.is_none(),
                "{both}: the second was not passed"
            );
            bench.gone(&both).await;
            tried += 1;
        }
    }
    tried
}

/// The points that an undisturbed create passes, and how much there is after it.
async fn passed_by_create<W: World>(fresh: &impl Fn() -> W) -> (Vec<String>, usize) {
    let (bench, switch) = (Bench::new(fresh()), Switch::default());
    let created = bench.create(&switch).await;
    assert!(matches!(created, Some(Ok(_))), "an undisturbed create failed: {created:?}");
    let whole = bench.world.remains().await.len();
    bench.gone("an undisturbed create").await;
    (switch.passed(), whole)
}

/// The points that a remove passes, after one that was killed at `first` where given.
async fn passed_by_remove<W: World>(bench: &Bench<W>, first: Option<usize>) -> Vec<String> {
    bench.ready("before a remove").await;
    if first.is_some() {
        assert!(bench.remove(&Switch::at(first)).await.is_none(), "the first point was not passed");
    }
    let switch = Switch::default();
    let removed = bench.remove(&switch).await;
    assert!(matches!(removed, Some(Ok(_))), "an undisturbed remove failed: {removed:?}");
    switch.passed()
}

/// From the `first` on, or from the very first where none is skipped.
fn chosen(points: &[String], first: usize, stride: usize) -> impl Iterator<Item = (usize, &str)> {
    points.iter().map(String::as_str).enumerate().skip(first.min(stride)).step_by(stride + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_that_share_points_out_leave_none_and_try_none_twice() {
        let points: Vec<String> = (0..7).map(|number| number.to_string()).collect();
        let tried =
            |first, stride| chosen(&points, first, stride).map(|(index, _)| index).collect::<Vec<_>>();
        assert_eq!((tried(0, 1), tried(1, 1)), (vec![0, 2, 4, 6], vec![1, 3, 5]));
        let all: Vec<_> = (0..7).collect();
        assert_eq!((tried(0, 0), tried(1, 0)), (all.clone(), all), "where none is skipped, each tries all");
    }
}
