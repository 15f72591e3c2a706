//! The shared store over objects in memory, in good days and in bad ones. Time runs ahead where nothing happens.
#![expect(clippy::unwrap_used, reason = "all of this is a test")]

mod faults;
mod index;
mod leases;
mod proof;

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use wharf_core::OsEntropy;
use wharf_core::store::Store;
use wharf_driver::{Clock, SystemClock};
use wharf_objects::{Objects, Place, Times};

use crate::faults::{Faulty, Weather};

/// Objects that many commands share.
struct World {
    objects: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    home: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let world = Self { objects, clock, home: tempfile::tempdir().unwrap() };
        world.open_over(Arc::clone(&world.objects)).init().await.unwrap();
        world
    }

    fn open_over(&self, objects: Arc<dyn ObjectStore>) -> Objects {
        let place = Place {
            objects,
            prefix: "team/prod".into(),
            name: "s3://memory/team/prod".to_owned(),
            own: self.home.path().to_owned(),
            person: "ann@laptop".to_owned(),
            times: Times::default(),
        };
        Objects::new(place, Arc::clone(&self.clock), Arc::new(OsEntropy))
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.open_over(Arc::clone(&self.objects)))
    }

    /// A command behind a network of its own.
    fn open_in(&self, weather: &Arc<Weather>) -> Arc<dyn Store> {
        let faulty = Faulty { inner: Arc::clone(&self.objects), weather: Arc::clone(weather) };
        Arc::new(self.open_over(Arc::new(faulty)))
    }
}

#[tokio::test(start_paused = true)]
async fn objects_are_a_store() {
    let world = World::new().await;
    wharf_testkit::stores::contract(&|| world.open(), &world.clock).await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_change_nothing() {
    for every in [2, 3, 5] {
        let world = World::new().await;
        let weather = Weather::new();
        weather.lose_every(every);
        wharf_testkit::stores::contract(&|| world.open_in(&weather), &world.clock).await;
        assert!(weather.lost() > 20, "answers were lost: {}", weather.lost());
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_is_a_store() {
    let world = World::new().await;
    let weather = Weather::new();
    weather.slow(Duration::from_millis(300));
    wharf_testkit::stores::contract(&|| world.open_in(&weather), &world.clock).await;
}
