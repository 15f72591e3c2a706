//! Calls that fail before or after their effect: passing faults are retried, others stop the create, and then another
//! create continues and a remove leaves nothing.

use wharf_core::RemoveOptions;
use wharf_driver::Kind;

use crate::suite::bench::name;
use crate::suite::{Bench, World};
use crate::{Fault, FaultLayer, Switch, When};

/// Fails every call of `perform` and of `destroy` in turn.
///
/// # Panics
/// When a passing fault is not survived, or anything is left.
pub async fn faults<W: World>(fresh: &impl Fn() -> W) -> usize {
    is_over_when_it_says_so(fresh).await;
    let mut tried = 0;
    for when in [When::Before, When::After] {
        for kind in [Kind::Transient, Kind::Failed] {
            for verb in ["perform", "destroy"] {
                let mut call = 0;
                while fails(fresh, Fault { verb, call, when, kind }).await {
                    call += 1;
                    tried += 1;
                }
            }
        }
    }
    tried
}

/// A removal does not wait for the deadline of a create that has ended by itself, only as long as late answers take.
async fn is_over_when_it_says_so<W: World>(fresh: &impl Fn() -> W) {
    let bench = Bench::new(fresh());
    let fault = Fault { verb: "perform", call: 0, when: When::Before, kind: Kind::Failed };
    let wharf = bench.process(&Switch::default(), FaultLayer::wrap(vec![fault]));
    let call = bench.call("create");
    if wharf.create(&bench.request(), &call).await.is_ok() {
        return;
    }
    let began = bench.world.clock().now();
    bench.gone("a create that failed").await;
    let passed = bench.world.clock().now().saturating_duration_since(began);
    assert!(passed < call.deadline / 2, "the removal took {passed:?} of the create's {:?}", call.deadline);
}

/// Whether there is such a call at all.
async fn fails<W: World>(fresh: &impl Fn() -> W, fault: Fault) -> bool {
    let bench = Bench::new(fresh());
    let never = Switch::default();
    let calls =
        |verb: &str| never.passed().iter().filter(|p| p.starts_with(&format!("before {verb} "))).count();
    let wharf = bench.process(&never, FaultLayer::wrap(vec![fault]));
    let created = wharf.create(&bench.request(), &bench.call("create")).await;
    let survives = fault.kind.retryable() || fault.verb != "perform" || calls("perform") <= fault.call;
    assert_eq!(created.is_ok(), survives, "{fault:?}: create: {created:?}");
    if created.is_err() {
        // Another process continues, without the fault.
        bench.ready(&format!("{fault:?}")).await;
    }
    if fault.verb == "destroy" {
        let options = RemoveOptions { purge: true, force: false };
        let removed = wharf.remove(&name(), options, &bench.call("rm")).await;
        let survives = fault.kind.retryable() || calls("destroy") <= fault.call;
        assert_eq!(removed.is_ok(), survives, "{fault:?}: remove: {removed:?}");
    }
    bench.gone(&format!("{fault:?}")).await;
    calls(fault.verb) > fault.call
}
