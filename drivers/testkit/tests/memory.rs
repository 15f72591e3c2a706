//! The driver in memory passes the suite, in a cloud whose effects and lists come late.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use wharf_driver::Factory;
use wharf_testkit::memory::{Cloud, Habits, Memory};
use wharf_testkit::{World, suite};

struct Fresh(String);

fn fresh(habits: Habits) -> Fresh {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("conformance-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    Cloud::named(&name).behave(habits);
    Fresh(name)
}

impl World for Fresh {
    fn factory(&self) -> Factory {
        Factory::of::<Memory>()
    }

    fn config(&self) -> Value {
        json!({ "cloud": self.0, "fail": null })
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Cloud::named(&self.0).everything() })
    }

    fn virtual_time(&self) -> bool {
        true
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(300)
    }
}

#[tokio::test]
async fn conforms_at_once() {
    println!("{}", suite::run(|| fresh(Habits::default())).await);
}

#[tokio::test]
async fn conforms_when_everything_comes_late() {
    let habits = Habits { late: Duration::from_secs(10), lag: Duration::from_secs(10) };
    println!("{}", suite::run(|| fresh(habits)).await);
}
