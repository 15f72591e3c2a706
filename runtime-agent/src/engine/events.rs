//! The stream of what happened: published by state transitions only, kept for a while so that `since` works.
//!
//! Publishing never waits. A subscriber that falls more than [`KEPT`] events behind is told so and loses the oldest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

/// How many events are remembered, as many as dockerd remembers.
const KEPT: usize = 256;

/// The noun that something happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EventKind {
    Container,
    Image,
    Network,
    Volume,
    Daemon,
}

impl EventKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Daemon => "daemon",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    /// Docker's word for it, such as `die`; with a detail after a colon in `exec_start: sh`.
    pub(crate) action: String,
    /// Id of a container or network, name of a volume, id or reference of an image.
    pub(crate) actor: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) time: SystemTime,
}

/// The hub: cheap to clone, one a daemon.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sender: broadcast::Sender<Arc<Event>>,
    kept: Mutex<VecDeque<Arc<Event>>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        let (sender, _) = broadcast::channel(KEPT);
        Self { shared: Arc::new(Shared { sender, kept: Mutex::new(VecDeque::with_capacity(KEPT)) }) }
    }

    /// Tells everybody who listens, and whoever asks later.
    pub(crate) fn publish<K: Into<String>, V: Into<String>>(
        &self,
        kind: EventKind,
        action: impl Into<String>,
        actor: impl Into<String>,
        attributes: impl IntoIterator<Item = (K, V)>,
    ) {
        let attributes = attributes.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        let event =
            Event { kind, action: action.into(), actor: actor.into(), attributes, time: SystemTime::now() };
        let event = Arc::new(event);
        // Both under one lock, so that a subscriber sees every event either as kept or as new, never twice.
        let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&event));
        // An error only says that nobody listens.
        let _ = self.shared.sender.send(event);
    }

    /// What is remembered, oldest first, and everything from now on, without a gap between.
    pub(crate) fn subscribe(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.iter().cloned().collect(), self.shared.sender.subscribe())
    }

    /// How many streams are open, for `/info`.
    pub(crate) fn listeners(&self) -> usize {
        self.shared.sender.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(&str, &str); 0] = [];

    #[test]
    fn remembers_the_newest_and_streams_the_rest() {
        let events = Events::new();
        for n in 0..KEPT + 10 {
            events.publish(EventKind::Container, "start", n.to_string(), NONE);
        }
        let (kept, mut new) = events.subscribe();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].actor, "10");
        assert!(new.try_recv().is_err(), "what is kept must not come again");
        events.publish(EventKind::Container, "die", "x", [("exitCode", "3")]);
        let event = new.try_recv().unwrap();
        assert_eq!((event.action.as_str(), event.attributes["exitCode"].as_str()), ("die", "3"));
    }
}
