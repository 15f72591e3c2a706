//! The driver in memory passes the suite, in a cloud whose effects and lists come late.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use wharf_driver::Factory;
use wharf_testkit::memory::{Cloud, Habits, Memory};
use wharf_testkit::{World, suite};

struct Fresh {
    cloud: String,
    shared: bool,
}

fn fresh(habits: Habits, shared: bool) -> Fresh {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let cloud = format!("conformance-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    Cloud::named(&cloud).behave(habits);
    Fresh { cloud, shared }
}

impl World for Fresh {
    fn factory(&self) -> Factory {
        Factory::of::<Memory>()
    }

    fn config(&self) -> Value {
        json!({ "cloud": self.cloud, "fail": null, "shared": self.shared })
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Cloud::named(&self.cloud).everything() })
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(300)
    }
}

#[tokio::test(start_paused = true)]
async fn conforms_at_once() {
    println!("{}", suite::run(|| fresh(Habits::default(), false)).await);
}

#[tokio::test(start_paused = true)]
async fn conforms_when_machines_share_a_network() {
    println!("{}", suite::run(|| fresh(Habits::default(), true)).await);
}

#[tokio::test(start_paused = true)]
async fn conforms_when_everything_comes_late() {
    println!("{}", suite::run(|| fresh(LATE, false)).await);
}

#[tokio::test(start_paused = true)]
async fn shares_when_everything_comes_late() {
    println!("{}", suite::sharing(&|| fresh(LATE, true)).await);
}

const LATE: Habits = Habits { late: Duration::from_secs(10), lag: Duration::from_secs(10) };
