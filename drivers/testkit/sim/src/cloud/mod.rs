//! The cloud itself: one lock around what it holds, and the order in which Resource Manager judges a request: who asks,
//! which subscription, which version, how often, and only then what.

mod bodies;
mod clock;
mod deeds;
mod deployment;
mod durations;
mod fault;
mod log;
mod names;
mod operation;
mod random;
mod state;
mod throttle;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use clock::Clock;
pub(crate) use deployment::{
    Deployment, Stage, Step, nested as nested_deployment_error, status_name as deployment_status_name,
    synthetic as synthetic_call,
};
pub(crate) use durations::Work;
pub use fault::{Effect, Fault};
pub use log::Entry;
pub(crate) use names::Names;
pub(crate) use operation::{Deed, Fate, Operation, Status, Style};
pub use random::Random;
pub use state::Policy;
pub(crate) use state::{Due, Group, Order, State};
pub(crate) use throttle::Policy as Bucket;

use crate::config::{Config, Quotas};
use crate::flavour::{Advertised, Flavour};
use crate::http::{Answer, Call, Outcome};
use crate::resource::Kind;
use crate::sign_in::Signer;

/// Namespaces that every cloud has.
pub(crate) const NAMESPACES: &[&str] = &[
    "Microsoft.Authorization",
    "Microsoft.Compute",
    "Microsoft.KeyVault",
    "Microsoft.Network",
    "Microsoft.Resources",
    "Microsoft.Storage",
];

/// A simulated cloud.
#[derive(Debug)]
pub struct Cloud {
    pub(crate) config: Config,
    pub(crate) names: Names,
    pub(crate) advertised: Advertised,
    pub(crate) signer: Signer,
    state: Mutex<State>,
    /// Told when something is scheduled or a body is to be worked on.
    pub(crate) changed: tokio::sync::Notify,
}

impl Cloud {
    /// A cloud that nobody listens for: whoever holds it hands it its calls.
    pub fn offline(config: Config) -> std::io::Result<Arc<Self>> {
        Self::new(config, 443)
    }

    /// A cloud that will listen on `port`.
    pub(crate) fn new(config: Config, port: u16) -> std::io::Result<Arc<Self>> {
        let names = Names::new(&config, port);
        let advertised = config.flavour.advertised();
        let signer = Signer::new(&config)?;
        let state = Mutex::new(State::new(config.seed, &config.registered));
        Ok(Arc::new(Self { config, names, advertised, signer, state, changed: tokio::sync::Notify::new() }))
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.config.clock
    }

    /// Which cloud this is.
    pub fn flavour(&self) -> Flavour {
        self.config.flavour
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.config.quotas
    }

    /// Whether a stamp's operator syndicated images.
    pub(crate) fn has_images(&self) -> bool {
        !self.config.without_images
    }

    /// The lock. A panic elsewhere has been reported there.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a resource in a group.
    pub(crate) fn id(&self, group: &str, kind: Kind, name: &str) -> String {
        let subscription = &self.config.account.subscription;
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{}/{name}", kind.full())
    }

    /// A public address that nobody has.
    pub(crate) fn free_address(&self, state: &mut State) -> String {
        if let Some(address) = self.config.bodies.next_address() {
            return address.to_string();
        }
        // Ranges that documents may use: they lead nowhere.
        let number = state.random.number();
        let net = ["192.0.2", "198.51.100", "203.0.113"][(number % 3) as usize];
        format!("{net}.{}", 1 + (number >> 8) % 254)
    }

    /// Brings the cloud up to now, and says when something is due next.
    pub fn catch_up(&self) -> Option<Duration> {
        let now = self.clock().now();
        loop {
            let due = self.state().next_due(now);
            match due {
                Some((at, due)) => self.happen(at, due),
                None => return self.state().next_moment(),
            }
        }
    }

    /// Ends an operation now: one that takes no time.
    pub(crate) fn end_now(&self, state: &mut State, operation: &str) {
        deeds::end(self, state, operation, self.clock().now());
    }

    fn happen(&self, at: Duration, due: Due) {
        match due {
            Due::End(id) => deeds::end(self, &mut self.state(), &id, at),
            Due::Boot(machine) => {
                self.state().orders.push(Order::Create(machine));
                self.changed.notify_one();
            }
            Due::Deploy(id) => deployment::advance(self, &id, at),
            Due::Late(call) => {
                // Nobody is there to hear the answer.
                let _ = self.carry_out(&call, None);
            }
        }
    }

    /// Answers a call, with whatever weather there is.
    pub fn handle(&self, call: &Call) -> Outcome {
        self.catch_up();
        let effect = {
            let mut state = self.state();
            let state = &mut *state;
            fault::strike(&mut state.faults, call, &mut state.random)
        };
        let mut after = Duration::ZERO;
        match &effect {
            Some(Effect::CutBefore) => return self.cut(call),
            Some(Effect::Refuse { status, code, message, retry_after }) => {
                let mut error = crate::error::ArmError::new(*status, code, message.clone());
                if let Some(seconds) = retry_after {
                    error = error.header("retry-after", seconds.to_string());
                }
                return Outcome::Answer(self.finish(call, error.into(), false), after);
            }
            Some(Effect::Slow { milliseconds }) => after = Duration::from_millis(*milliseconds),
            Some(effect) if effect.put_off().is_some() => {
                let wait = self.clock().scaled(effect.put_off().unwrap_or_default());
                let at = self.clock().now() + wait;
                self.state().schedule(at, Due::Late(Box::new(call.clone())));
                self.changed.notify_one();
                return self.cut(call);
            }
            _ => {}
        }
        let answer = self.carry_out(call, effect.as_ref());
        // What takes no time has happened before the answer is read.
        self.catch_up();
        self.changed.notify_one();
        if effect == Some(Effect::CutAfter) {
            return self.cut(call);
        }
        let neighbour = answer.1;
        Outcome::Answer(self.finish(call, answer.0, neighbour), after)
    }

    fn carry_out(&self, call: &Call, effect: Option<&Effect>) -> (Answer, bool) {
        if let Some(answer) = crate::sign_in::route(self, call) {
            return (answer, false);
        }
        crate::route::dispatch(self, call, effect)
    }

    fn cut(&self, call: &Call) -> Outcome {
        self.note(call, 0, None, false);
        Outcome::Cut
    }

    /// Notes a call and gives its answer the headers that all have.
    fn finish(&self, call: &Call, answer: Answer, neighbour: bool) -> Answer {
        let code = answer.body.as_ref().and_then(|body| body.pointer("/error/code").or(body.get("error")));
        let code = code.and_then(serde_json::Value::as_str).map(str::to_owned);
        self.note(call, answer.status, code, neighbour);
        let mut state = self.state();
        let (request, correlation) = (state.random.uuid(), state.random.uuid());
        let correlation = call.header("x-ms-correlation-request-id").map_or(correlation, str::to_owned);
        let date = self.clock().today().format(&time::macros::format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        ));
        let location = self.flavour().locations()[0].0.to_ascii_uppercase();
        let mut answer = answer
            .header("date", date.unwrap_or_default())
            .header("x-ms-routing-request-id", format!("{location}:{request}"))
            .header("x-ms-correlation-request-id", correlation)
            .header("x-ms-request-id", request)
            .header("strict-transport-security", "max-age=31536000; includeSubDomains");
        let echo =
            call.header("x-ms-return-client-request-id").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if let Some(id) = call.header("x-ms-client-request-id").filter(|_| echo) {
            answer = answer.header("x-ms-client-request-id", id);
        }
        answer
    }

    fn note(&self, call: &Call, status: u16, code: Option<String>, neighbour: bool) {
        let entry = Entry {
            at: u64::try_from(self.clock().now().as_millis()).unwrap_or(u64::MAX),
            method: call.method.clone(),
            path: call.path.clone(),
            version: call.parameter("api-version").map(str::to_owned),
            of: crate::route::subject(call),
            status,
            code,
            client_request_id: call.header("x-ms-client-request-id").map(str::to_owned),
            neighbour,
        };
        self.state().log.add(entry);
    }
}
