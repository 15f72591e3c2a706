//! `--events json`: everything that stderr would say, one JSON object a line, for programs that follow along.
//!
//! Each has `at` (milliseconds since 1970) and `event`; what is about a machine names it as `machine`.
//!
//! ```text
//! phase     phase, message          a part of the command began: checking, making, bootstrapping, removing …
//! step      step, state, message    one of the driver's steps: state is started, done or failed
//! doing     message                 what is done right now
//! waiting   message                 for another command that holds the machine
//! end       seconds                 nothing more comes of this machine
//! note      message                 a sentence for people
//! warning   message                 something that stops nothing
//! error     error, kind, code, causes, facts, hint    as with `-o json`
//! log       message                 what --debug says, and wrong usage
//! ```
//! Fields and events are added, never changed.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use wharf_core::{Event, What};

/// Writes events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Events {
    clock: fn() -> SystemTime,
}

impl Events {
    pub(crate) const fn new(clock: fn() -> SystemTime) -> Self {
        Self { clock }
    }

    /// One line.
    pub(super) fn line(self, event: &str, fields: Value) -> String {
        let at = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut line = Map::new();
        line.insert("at".into(), json!(u64::try_from(at).unwrap_or(u64::MAX)));
        line.insert("event".into(), json!(event));
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        format!("{}\n", Value::Object(line))
    }

    /// What a verb of the engine says; `sentence` is what people read of it.
    pub(super) fn of(self, event: &Event, sentence: &str) -> String {
        let machine = &event.machine;
        let said = |state: &str, step: &str| json!({ "machine": machine, "step": step, "state": state, "message": sentence });
        let (kind, fields) = match &event.what {
            What::Phase(phase) => {
                let phase = format!("{phase:?}").to_lowercase();
                ("phase", json!({ "machine": machine, "phase": phase, "message": sentence }))
            }
            What::StepStarted { name, .. } => ("step", said("started", name)),
            What::StepDone { name } => ("step", said("done", name)),
            What::StepFailed { name } => ("step", said("failed", name)),
            What::Doing(_) => ("doing", json!({ "machine": machine, "message": sentence })),
            What::Waiting { .. } => ("waiting", json!({ "machine": machine, "message": sentence })),
            What::Warning(_) => ("warning", json!({ "machine": machine, "message": sentence })),
        };
        self.line(kind, fields)
    }
}
