//! Long-running operations, followed to their real end.
//!
//! ```text
//! answer ── provisioningState Succeeded ───────────────────────────────▶ done
//!        ── Azure-AsyncOperation, Operation-Location ▶ status ▶ Succeeded ▶ (PUT) the thing itself ▶ done
//!        ── Location ▶ 202 … 200, 201, 204 ▶ (PUT) the thing itself ▶ done
//!        ── provisioningState of something else ▶ the thing itself until it is terminal ▶ done
//! ```
//! `Failed` and `Canceled` at any place are a fault, with what the service says. A header beside a state that is terminal
//! already is not followed: most network interfaces are there at once and have one all the same.
//!
//! Many operations are asked about together, by the poller. One by one they are asked about twice a second when they are
//! young, every second later and every two seconds after some minutes. Of what is being made, the thing itself and its
//! operation are asked by turns: the compute provider counts both for each (45 polls of an operation and one in four
//! seconds, 36 reads of a thing and one in five). An order to wait (429, 503) is kept, advice beside an answer is not
//! waited for longer than that. A poll that fails in passing is asked again, and only the deadline ends that: it is waiting, and
//! nothing is written. A header that points to another host is not followed, for the token goes nowhere else.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use serde_json::Value;
use wharf_driver::{Error, Kind};

use crate::client::{Arm, Call, Reply};
use crate::poller::{Hint, Seat};
use crate::{Answer, Fault, Method, Trouble};

const SHORTEST: Duration = Duration::from_millis(500);
const LONGER: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(2);
const LONGEST_AFTER_FAULTS: Duration = Duration::from_secs(15);

/// What tells how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Watch {
    /// The answer says it all.
    Done,
    /// An address whose body has a `status`.
    Status(String),
    /// An address whose HTTP status counts.
    Location(String),
    /// The thing itself.
    Thing,
}

impl Arm {
    /// Waits for the end of what `reply` began.
    pub(crate) async fn follow(&self, call: &Call<'_>, reply: Reply, until: Instant) -> Answer<Reply> {
        let mut watch = self.watch(call, &reply)?;
        if watch == Watch::Done {
            return Ok(reply);
        }
        let began = self.clock().now();
        let mut seat = self.poller.seat(&call.method, call.path, reply.status == 201, began);
        let (mut pause, mut last) = (SHORTEST, reply);
        loop {
            watch = match watch {
                Watch::Done => return Ok(last),
                watch => {
                    self.wait(call, pause, &last, until).await?;
                    match self.look_together(call, &watch, seat.as_mut()).await {
                        Ok((next, seen)) => {
                            let crowded = seat.as_ref().is_some_and(Seat::is_crowded);
                            // The poller waits for its next list itself.
                            pause = if crowded { Duration::ZERO } else { self.pause_after(began) };
                            last = seen.unwrap_or(last);
                            next
                        }
                        Err(trouble) if trouble.passes() => {
                            tracing::debug!(doing = call.doing, "a poll failed in passing");
                            pause = trouble.retry_after().unwrap_or((pause * 2).min(LONGEST_AFTER_FAULTS));
                            watch
                        }
                        Err(trouble) => return Err(trouble),
                    }
                }
            };
        }
    }

    /// What takes long is asked about less often.
    fn pause_after(&self, began: Instant) -> Duration {
        let age = self.clock().now().saturating_duration_since(began);
        (age / 8).clamp(SHORTEST, LONGER).max(age / 100).min(LONGEST)
    }

    /// How the end of an answer's operation will be known.
    fn watch(&self, call: &Call<'_>, reply: &Reply) -> Answer<Watch> {
        match state(&reply.body) {
            Some(state) if is_good(state) => return Ok(Watch::Done),
            Some(state) if is_bad(state) => return Err(ended(call, state, reply)),
            _ => {}
        }
        let header = |name: &str| {
            let url = reply.headers.get(name)?.to_str().ok()?;
            self.is_ours(url).then(|| url.to_owned())
        };
        if let Some(url) = header("azure-asyncoperation").or_else(|| header("operation-location")) {
            return Ok(Watch::Status(url));
        }
        if reply.status == 202
            && let Some(url) = header("location")
        {
            return Ok(Watch::Location(url));
        }
        let unfinished = state(&reply.body).is_some() || reply.status == 202;
        Ok(if unfinished && call.method != Method::POST { Watch::Thing } else { Watch::Done })
    }

    /// Looks once, with all who wait for something in the same collection, or alone.
    async fn look_together(
        &self,
        call: &Call<'_>,
        watch: &Watch,
        seat: Option<&mut Seat>,
    ) -> Answer<(Watch, Option<Reply>)> {
        let Some(seat) = seat else {
            self.poller.turn(self.clock()).await;
            return self.look(call, watch).await;
        };
        let crowded = seat.is_crowded();
        if crowded {
            let path = seat.list.clone();
            let all = Call::get("looking at all that is under way", call.kind, &path);
            match seat.look(self.clock(), || self.left(&all), || self.list(&all)).await? {
                Hint::Made(body) => {
                    return Ok((Watch::Done, Some(Reply { status: 200, headers: HeaderMap::new(), body })));
                }
                Hint::GoesOn => return Ok((watch.clone(), None)),
                Hint::Ask => {}
            }
        }
        self.poller.turn(self.clock()).await;
        let glances = seat.asks(self.clock().now());
        if glances && !crowded && matches!(watch, Watch::Status(_)) {
            return self.glance(call, watch).await;
        }
        self.look(call, watch).await
    }

    /// Looks at what is being made: only its good end is believed, and everything else is its operation's to tell.
    async fn glance(&self, call: &Call<'_>, watch: &Watch) -> Answer<(Watch, Option<Reply>)> {
        let get = Call { method: Method::GET, body: None, query: &[], ..call.clone() };
        match self.ask(&get).await {
            Ok(seen) if state(&seen.body).is_some_and(is_good) => Ok((Watch::Done, Some(seen))),
            Err(trouble) if trouble.passes() => Err(trouble),
            _ => Ok((watch.clone(), None)),
        }
    }

    /// Looks once: what to look at next, and what the thing is, where it was seen.
    async fn look(&self, call: &Call<'_>, watch: &Watch) -> Answer<(Watch, Option<Reply>)> {
        match watch {
            Watch::Done => Ok((Watch::Done, None)),
            Watch::Status(url) => match self.poll(call, url).await {
                Ok(seen) => {
                    let status = seen.body["status"].as_str().unwrap_or_default().to_owned();
                    match status.as_str() {
                        status if is_bad(status) => Err(ended(call, status, &seen)),
                        status if is_good(status) => self.thing_at_last(call).await,
                        _ => Ok((watch.clone(), None)),
                    }
                }
                // Operations are forgotten after a while; the thing knows.
                Err(trouble) if is_not_found(&trouble) => Ok((Watch::Thing, None)),
                Err(trouble) => Err(trouble),
            },
            Watch::Location(url) => match self.poll(call, url).await {
                Ok(seen) if seen.status == 202 => Ok((watch.clone(), None)),
                Ok(_) => self.thing_at_last(call).await,
                Err(trouble) if is_not_found(&trouble) => Ok((Watch::Thing, None)),
                // It answers as the operation ended.
                Err(Trouble::Said(fault)) if !is_passing(&fault) => {
                    Err(Fault { status: None, ..*fault }.into())
                }
                Err(trouble) => Err(trouble),
            },
            Watch::Thing => self.thing(call).await,
        }
    }

    /// After the end of an operation: a PUT shows what it made.
    async fn thing_at_last(&self, call: &Call<'_>) -> Answer<(Watch, Option<Reply>)> {
        if matches!(call.method, Method::PUT | Method::PATCH) {
            self.thing(call).await
        } else {
            Ok((Watch::Done, None))
        }
    }

    async fn thing(&self, call: &Call<'_>) -> Answer<(Watch, Option<Reply>)> {
        let get = Call { method: Method::GET, body: None, query: &[], ..call.clone() };
        match self.ask(&get).await {
            Ok(seen) => match state(&seen.body) {
                Some(state) if is_bad(state) => Err(ended(call, state, &seen)),
                Some(state) if !is_good(state) => Ok((Watch::Thing, Some(seen))),
                // What is to be deleted is there still.
                _ if call.method == Method::DELETE => Ok((Watch::Thing, Some(seen))),
                _ => Ok((Watch::Done, Some(seen))),
            },
            Err(trouble) if is_not_found(&trouble) && call.method == Method::DELETE => {
                Ok((Watch::Done, None))
            }
            // Copies of what was just made lag behind each other.
            Err(trouble) if is_not_found(&trouble) => Ok((Watch::Thing, None)),
            Err(trouble) => Err(trouble),
        }
    }

    async fn wait(&self, call: &Call<'_>, pause: Duration, last: &Reply, until: Instant) -> Answer<()> {
        if self.clock().now() + pause >= until {
            let state = state(&last.body).map(|state| format!(" (`{state}`)")).unwrap_or_default();
            let message =
                format!("{} did not end before the deadline{state}; it goes on without us", call.doing);
            return Err(Error::new(Kind::TimedOut, message)
                .hint("look again in some minutes; --timeout waits longer")
                .into());
        }
        self.clock().sleep(pause).await;
        Ok(())
    }
}

/// How far the thing itself says it is.
fn state(body: &Value) -> Option<&str> {
    body.pointer("/properties/provisioningState")?.as_str()
}

fn is_good(state: &str) -> bool {
    state.eq_ignore_ascii_case("Succeeded")
}

fn is_bad(state: &str) -> bool {
    ["Failed", "Canceled", "Cancelled"].iter().any(|bad| state.eq_ignore_ascii_case(bad))
}

fn is_not_found(trouble: &Trouble) -> bool {
    trouble.fault().is_some_and(Fault::is_not_found)
}

fn is_passing(fault: &Fault) -> bool {
    fault.status.is_some_and(|status| status == 408 || status == 429 || status >= 500)
}

fn ended(call: &Call<'_>, state: &str, reply: &Reply) -> Trouble {
    Fault::of_operation(call.doing, state, &reply.body, &reply.headers).into()
}
