//! The layers around a driver: passing faults are repeated, deadlines and interruptions end a call.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;
use wharf_driver::{Clock, Context, Factory, Kind, SystemClock, layers};
use wharf_testkit::memory::{Cloud, Habits, Memory};
use wharf_testkit::suite::{Bench, Desk};
use wharf_testkit::{Fault, FaultLayer, Switch, When, World};

struct Layered {
    cloud: &'static str,
    faults: Vec<Fault>,
}

impl World for Layered {
    fn factory(&self) -> Factory {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let faulty = Factory::of::<Memory>().layered(FaultLayer::wrap(self.faults.clone()));
        faulty.layered(move |driver| layers::standard(driver, &clock))
    }

    fn config(&self) -> Value {
        json!({ "cloud": self.cloud, "fail": null })
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Cloud::named(self.cloud).everything() })
    }
}

fn faults(count: usize, kind: Kind) -> Vec<Fault> {
    (0..count).map(|call| Fault { verb: "perform", call, when: When::Before, kind }).collect()
}

async fn perform(
    cloud: &'static str,
    faults: Vec<Fault>,
    change: impl Fn(&mut Context),
) -> (Result<(), Kind>, Duration) {
    let desk = Desk::new(Layered { cloud, faults }).await;
    let plan = desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap();
    let (mut cx, since) = (desk.cx.clone(), Instant::now());
    change(&mut cx);
    let done = desk.driver.perform(&plan.steps[0].action, &[], &cx).await;
    (done.map(drop).map_err(|error| error.kind()), since.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_passing_fault_is_repeated_at_growing_pauses() {
    let (done, took) = perform("repeated", faults(3, Kind::Transient), |_| {}).await;
    assert_eq!(done, Ok(()));
    let pauses = Duration::from_millis(200 + 400 + 800);
    assert!(took >= pauses && took < pauses * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lasting_fault_is_not_repeated() {
    for kind in [Kind::Refused, Kind::Quota, Kind::HostKey, Kind::NotAllowed, Kind::Failed] {
        let (done, took) = perform("lasting", faults(1, kind), |_| {}).await;
        assert_eq!((done, took), (Err(kind), Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn repeating_ends_with_the_deadline_and_tells_the_fault() {
    let soon = |cx: &mut Context| cx.deadline = Instant::now().into_std() + Duration::from_secs(1);
    let (done, took) = perform("hopeless", faults(100, Kind::Unreachable), soon).await;
    assert_eq!(done, Err(Kind::Unreachable));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_and_its_effect_comes_all_the_same() {
    Cloud::named("slow").behave(Habits { late: Duration::from_secs(100), lag: Duration::ZERO });
    let soon = |cx: &mut Context| cx.deadline = Instant::now().into_std() + Duration::from_secs(5);
    let (done, took) = perform("slow", Vec::new(), soon).await;
    assert_eq!(done, Err(Kind::TimedOut));
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
    assert_eq!(Cloud::named("slow").everything().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_interruption_ends_a_call_and_nothing_is_called_any_more() {
    let (done, took) = perform("interrupted", Vec::new(), |cx| cx.cancel.cancel()).await;
    assert_eq!((done, took), (Err(Kind::Cancelled), Duration::ZERO));
    assert_eq!(Cloud::named("interrupted").calls().get("make"), None);
}

/// What `perform` promises of what it left.
async fn leaves_nothing(cloud: &'static str, faults: Vec<Fault>) -> bool {
    let desk = Desk::new(Layered { cloud, faults }).await;
    let plan = desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap();
    desk.driver.perform(&plan.steps[0].action, &[], &desk.cx).await.unwrap_err().leaves_nothing()
}

const LOST: Fault = Fault { verb: "perform", call: 0, when: When::After, kind: Kind::Transient };

#[tokio::test(start_paused = true)]
async fn a_refusal_after_an_answer_that_was_lost_promises_nothing() {
    let refused = |call| Fault { verb: "perform", call, when: When::Before, kind: Kind::Refused };
    assert!(leaves_nothing("refused", vec![refused(0)]).await);
    assert!(!leaves_nothing("refused after a loss", vec![LOST, refused(1)]).await);
}

/// A driver whose calls go wrong below the engine, counted over all its processes.
struct Faulty {
    cloud: &'static str,
    factory: Factory,
}

impl World for Faulty {
    fn factory(&self) -> Factory {
        self.factory.clone()
    }

    fn config(&self) -> Value {
        json!({ "cloud": self.cloud, "fail": null })
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Cloud::named(self.cloud).everything() })
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_command_began_a_refusal_does_not_end() {
    let call = |call, when, kind| Fault { verb: "perform", call, when, kind };
    // Network and disk are begun at once: the first command loses the answers to both, the second one is refused.
    let lost = [0, 1].map(|index| call(index, When::After, Kind::Failed));
    let refused = [2, 3].map(|index| call(index, When::Before, Kind::Refused));
    let factory = Factory::of::<Memory>().layered(FaultLayer::wrap([lost, refused].concat()));
    let bench = Bench::new(Faulty { cloud: "begun before", factory });
    for kind in [wharf_core::Kind::Failed, wharf_core::Kind::Refused] {
        let error = bench.create(&Switch::default()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(bench.world.remains().await.len(), 2);
    }
    bench.gone("what was begun").await;
}
