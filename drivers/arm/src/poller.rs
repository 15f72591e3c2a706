//! One poller for all operations of one command in a subscription. What is published decides how: a principal has 25
//! reads a second and a burst of 250, so that a hundred machines, each asked about every two seconds, would leave
//! nothing for the reads that make them. So
//!
//! * a few operations are asked about one by one, which gives their errors and is cheap for the provider, and all of
//!   these polls together stay below half of the reads;
//! * from [`MANY`] on in one collection, one list every second or so tells of all of them. That costs a read for a page,
//!   and of the compute provider's lists (90 at once, 30 a minute) more than come in: the emptier that bucket, the
//!   longer until the next one, so that others who list in the subscription find some left.
//!
//! A list only ever shortens a wait: what ended well is believed where the thing is new, and whatever else it shows (a
//! failure, something missing, something that stays as it is) is asked about by itself. There is no task behind it:
//! whoever's turn it is asks for all who wait, and when he goes away the next one does.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use wharf_driver::Clock;

use crate::{Answer, Method};

/// From so many operations on, a list is less than asking one by one.
pub(crate) const MANY: usize = 8;
/// Between two lists, when what is waited for is young and later; twice that when the provider has no lists left.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(1);
/// Between two polls of single operations, on average.
const GAP: Duration = Duration::from_millis(80);
/// How much of that average may be used up at once.
const BURST: Duration = Duration::from_millis(1600);
/// Even what lists show is asked about by itself this often.
const SELDOM: Duration = Duration::from_secs(30);

/// What the connections of one command to a subscription share.
#[derive(Debug, Default)]
pub(crate) struct Poller {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next poll of a single operation were due if all went evenly.
    due: Option<Instant>,
    /// By the path of the list.
    rounds: BTreeMap<String, Arc<Round>>,
}

/// The operations under way in one collection.
#[derive(Debug, Default)]
struct Round {
    seats: AtomicUsize,
    /// The list is refused, and not asked for again.
    refused: AtomicBool,
    last: tokio::sync::Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// When a list was asked for, whether or not it came.
    tried: Option<Instant>,
    seen: Option<Listed>,
}

#[derive(Debug, Clone)]
struct Listed {
    begun: Instant,
    /// By id in small letters.
    entries: Arc<BTreeMap<String, Value>>,
}

/// One operation that is waited for.
#[derive(Debug)]
pub(crate) struct Seat {
    round: Arc<Round>,
    /// The path of the list.
    pub(crate) list: String,
    id: String,
    deletes: bool,
    /// Whether the operation makes something that was not there: only then does "succeeded" not stem from before it.
    new: bool,
    began: Instant,
    /// Lists that are older say nothing.
    after: Instant,
    /// When it was last asked about by itself.
    alone: Instant,
    /// The last such question was for the thing itself.
    glances: bool,
}

/// What a list says of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Hint {
    /// It ended well, and this was made.
    Made(Value),
    /// It goes on.
    GoesOn,
    /// It must be asked about by itself.
    Ask,
}

impl Poller {
    /// A place among those who wait for something in the collection that `path` is in.
    pub(crate) fn seat(&self, method: &Method, path: &str, new: bool, now: Instant) -> Option<Seat> {
        let deletes = *method == Method::DELETE;
        if !deletes && *method != Method::PUT {
            return None;
        }
        // `/subscriptions/…/resourceGroups/…/providers/Namespace/type/name` and nothing below it.
        let (list, _) = path.rsplit_once('/').filter(|_| path.matches('/').count() == 8)?;
        let key = list.to_ascii_lowercase();
        let round = Arc::clone(self.state().rounds.entry(key).or_default());
        round.seats.fetch_add(1, Ordering::Relaxed);
        let id = path.to_ascii_lowercase();
        Some(Seat {
            round,
            list: list.to_owned(),
            id,
            deletes,
            new,
            began: now,
            after: now,
            alone: now,
            glances: false,
        })
    }

    /// Waits until one more operation may be asked about by itself.
    pub(crate) async fn turn(&self, clock: &dyn Clock) {
        let now = clock.now();
        let due = {
            let mut state = self.state();
            let due = state.due.map_or(now, |due| due.max(now));
            state.due = Some(due + GAP);
            due
        };
        let wait = due.saturating_duration_since(now).saturating_sub(BURST);
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whether so many wait that they are asked about together.
    pub(crate) fn is_crowded(&self) -> bool {
        self.round.seats.load(Ordering::Relaxed) >= MANY && !self.round.refused.load(Ordering::Relaxed)
    }

    /// It is about to be asked about by itself: whether the thing tells as much as its operation this time.
    pub(crate) fn asks(&mut self, now: Instant) -> bool {
        self.alone = now;
        self.glances = self.new && !self.deletes && !self.glances;
        self.glances
    }

    /// What the next list says of this operation; `list` is called by one of those who wait for it, later the less is
    /// `left` (from 0 to 1) of what the provider allows.
    ///
    /// # Errors
    /// When the list cannot be had in passing.
    pub(crate) async fn look<F>(
        &mut self,
        clock: &dyn Clock,
        left: impl FnOnce() -> f64,
        list: impl FnOnce() -> F,
    ) -> Answer<Hint>
    where
        F: Future<Output = Answer<Vec<Value>>>,
    {
        let Some(listed) = self.next(clock, left, list).await? else { return Ok(Hint::Ask) };
        self.after = listed.begun;
        if clock.now().saturating_duration_since(self.alone) >= SELDOM {
            return Ok(Hint::Ask);
        }
        Ok(self.judge(listed.entries.get(&self.id)))
    }

    /// A list that was begun after the last one this operation was looked up in.
    async fn next<F>(
        &self,
        clock: &dyn Clock,
        left: impl FnOnce() -> f64,
        list: impl FnOnce() -> F,
    ) -> Answer<Option<Listed>>
    where
        F: Future<Output = Answer<Vec<Value>>>,
    {
        let mut last = self.round.last.lock().await;
        if let Some(seen) = last.seen.as_ref().filter(|seen| seen.begun > self.after) {
            return Ok(Some(seen.clone()));
        }
        if !self.is_crowded() {
            return Ok(None);
        }
        if let Some(tried) = last.tried {
            let wait = (tried + self.period(clock.now(), left())).saturating_duration_since(clock.now());
            if !wait.is_zero() {
                clock.sleep(wait).await;
            }
        }
        let begun = clock.now();
        last.tried = Some(begun);
        let entries = match list().await {
            Ok(entries) => entries,
            Err(trouble) if trouble.passes() => return Err(trouble),
            Err(_) => {
                // Who may make things need not be allowed to list them.
                self.round.refused.store(true, Ordering::Relaxed);
                return Ok(None);
            }
        };
        let by_id = entries.into_iter().filter_map(|entry| {
            let id = entry["id"].as_str()?.to_ascii_lowercase();
            Some((id, entry))
        });
        let listed = Listed { begun, entries: Arc::new(by_id.collect()) };
        last.seen = Some(listed.clone());
        Ok(Some(listed))
    }

    fn period(&self, now: Instant, left: f64) -> Duration {
        let usual = (now.saturating_duration_since(self.began) / 8).clamp(SHORTEST, LONGEST);
        // From half of the bucket on downwards.
        usual.mul_f64(2.0 - (left * 2.0).clamp(0.0, 1.0))
    }

    fn judge(&self, entry: Option<&Value>) -> Hint {
        let Some(entry) = entry else {
            // Lists lag behind what was just made.
            return if self.deletes { Hint::Ask } else { Hint::GoesOn };
        };
        let state = entry.pointer("/properties/provisioningState").and_then(Value::as_str);
        match (self.deletes, state.unwrap_or_default()) {
            (true, "Deleting") => Hint::GoesOn,
            (false, "Succeeded") if self.new => Hint::Made(entry.clone()),
            (false, "Creating" | "Updating") => Hint::GoesOn,
            _ => Hint::Ask,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.round.seats.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharf_driver::SystemClock;

    use super::*;

    const WEB: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web";

    fn crowd(poller: &Poller, clock: &SystemClock, method: &Method, new: bool) -> Vec<Seat> {
        let seat = |number| poller.seat(method, &format!("{WEB}{number}"), new, clock.now()).unwrap();
        (0..MANY).map(seat).collect()
    }

    fn entry(number: usize, state: &str) -> Value {
        json!({"id": format!("{WEB}{number}").to_uppercase(), "properties": {"provisioningState": state}})
    }

    #[test]
    fn only_whole_things_have_a_seat() {
        let (poller, now) = (Poller::default(), Instant::now());
        assert!(poller.seat(&Method::POST, WEB, false, now).is_none());
        assert!(poller.seat(&Method::PUT, "/subscriptions/s/resourceGroups/g", true, now).is_none());
        assert!(poller.seat(&Method::PUT, &format!("{WEB}/extensions/x"), true, now).is_none());
        assert!(poller.seat(&Method::DELETE, WEB, false, now).is_some_and(|seat| !seat.is_crowded()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_list_tells_all_and_the_next_one_comes_a_while_later() {
        let (poller, clock, lists) = (Poller::default(), SystemClock::new(), AtomicUsize::new(0));
        let mut seats = crowd(&poller, &clock, &Method::PUT, true);
        clock.sleep(Duration::from_secs(1)).await;
        let began = clock.now();
        for round in 0..3 {
            for (number, seat) in seats.iter_mut().enumerate() {
                let list = async || {
                    lists.fetch_add(1, Ordering::Relaxed);
                    let state = if round == 2 { "Succeeded" } else { "Creating" };
                    Ok((0..MANY).map(|number| entry(number, state)).collect())
                };
                let hint = seat.look(&clock, || 1.0, list).await.unwrap();
                let expected = if round == 2 { Hint::Made(entry(number, "Succeeded")) } else { Hint::GoesOn };
                assert_eq!(hint, expected);
            }
        }
        assert_eq!(lists.load(Ordering::Relaxed), 3);
        assert_eq!(clock.now() - began, SHORTEST * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_less_lists_are_left_the_later_the_next_one_comes() {
        let (poller, clock) = (Poller::default(), SystemClock::new());
        let seat = crowd(&poller, &clock, &Method::PUT, true).remove(0);
        clock.sleep(LONGEST * 10).await;
        let period = |left| seat.period(clock.now(), left);
        assert_eq!(
            [1.0, 0.5, 0.25, 0.0].map(period),
            [1.0, 1.0, 1.5, 2.0].map(|times| LONGEST.mul_f64(times))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_refused_is_not_asked_for_again() {
        let (poller, clock) = (Poller::default(), SystemClock::new());
        let mut seats = crowd(&poller, &clock, &Method::PUT, true);
        let refusal =
            async || Err(wharf_driver::Error::new(wharf_driver::Kind::NotAllowed, "no right to list").into());
        assert_eq!(seats[0].look(&clock, || 1.0, refusal).await.unwrap(), Hint::Ask);
        assert!(!seats[1].is_crowded());
        assert_eq!(seats[1].look(&clock, || 1.0, async || unreachable!()).await.unwrap(), Hint::Ask);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_list_does_not_settle_is_asked_about_by_itself() {
        let (poller, clock) = (Poller::default(), SystemClock::new());
        let made = crowd(&poller, &clock, &Method::PUT, false).remove(0);
        assert_eq!(made.judge(Some(&entry(0, "Succeeded"))), Hint::Ask, "it may have been so before");
        assert_eq!(made.judge(Some(&entry(0, "Failed"))), Hint::Ask);
        assert_eq!(made.judge(None), Hint::GoesOn);
        let mut gone = crowd(&poller, &clock, &Method::DELETE, false);
        assert_eq!(gone[0].judge(None), Hint::Ask);
        assert_eq!(gone[0].judge(Some(&entry(0, "Succeeded"))), Hint::Ask, "it is not being removed");
        clock.sleep(SELDOM).await;
        let list = async || Ok(vec![entry(0, "Deleting")]);
        assert_eq!(gone[0].look(&clock, || 1.0, list).await.unwrap(), Hint::Ask, "for once");
        gone[0].asks(clock.now());
        assert_eq!(gone[0].look(&clock, || 1.0, list).await.unwrap(), Hint::GoesOn);
    }

    #[tokio::test(start_paused = true)]
    async fn single_polls_have_one_budget() {
        let (poller, clock) = (Poller::default(), SystemClock::new());
        let began = clock.now();
        futures_util::future::join_all((0..100).map(|_| poller.turn(&clock))).await;
        assert_eq!(clock.now() - began, GAP * 99 - BURST);
    }
}
