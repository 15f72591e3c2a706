//! Work on one body is done in the order that it was asked for, and one thing at a time: a machine that is started before
//! its stop is over would be stopped by it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// Who is at work on which body.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Receiver<()>>>);

/// A place behind everything that was asked of a body before. The next one's turn comes when this is dropped.
#[derive(Debug)]
pub struct Turn {
    before: Option<Receiver<()>>,
    _over: Sender<()>,
}

impl Turns {
    /// The next place at this body.
    pub fn next(&self, body: &str) -> Turn {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, before| !over(before));
        let (ends, over) = channel();
        Turn { before: last.insert(body.to_owned(), over), _over: ends }
    }
}

impl Turn {
    /// Waits until everything before is over, however it ended.
    pub async fn comes(&mut self) {
        if let Some(before) = self.before.take() {
            // Nobody says anything: the other end is dropped.
            let _ = before.await;
        }
    }
}

fn over(before: &mut Receiver<()>) -> bool {
    before.try_recv() != Err(tokio::sync::oneshot::error::TryRecvError::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_asked_first_is_over_before_the_next_begins_and_other_bodies_do_not_wait() {
        let turns = Turns::default();
        let (mut first, mut second, mut third) = (turns.next("a"), turns.next("a"), turns.next("a"));
        let mut other = turns.next("b");
        other.comes().await;
        first.comes().await;
        assert!(!there(&mut second) && !there(&mut third));
        drop(first);
        second.comes().await;
        drop(second);
        third.comes().await;
        drop((third, other));
        turns.next("c");
        assert_eq!(turns.0.lock().unwrap().len(), 1, "what is over is forgotten");
    }

    /// Whether its turn is there already.
    fn there(turn: &mut Turn) -> bool {
        turn.before.as_mut().is_none_or(over)
    }
}
