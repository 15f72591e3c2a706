//! What a machine's console showed, at the signed address that boot diagnostics gave away: no token is needed, as at the
//! storage that the real one keeps it in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::http::{Answer, Call, Outcome};
use crate::resource::BodyState;

/// Whether a call is for here.
pub(crate) fn is_for(call: &Call) -> bool {
    call.segments.first().is_some_and(|first| first == "blobs")
}

/// Answers it.
pub(crate) async fn handle(cloud: &Cloud, call: &Call) -> Outcome {
    Outcome::Answer(answer(cloud, call).await, Duration::ZERO)
}

async fn answer(cloud: &Cloud, call: &Call) -> Answer {
    let Some((id, what)) = call.path.trim_start_matches("/blobs").rsplit_once('/') else {
        return Answer::empty(404);
    };
    if call.parameter("sig") != Some(&cloud.signer.sign(&json!({"blob": id}))) {
        return Answer::json(
            403,
            Value::String("AuthenticationFailed: the signature did not match.".to_owned()),
        );
    }
    if what != "serialconsole.log" {
        return Answer::empty(404);
    }
    let body = cloud.state().resources.get(id).and_then(|vm| vm.machine.as_ref()).map(|m| m.body.clone());
    let text = match body {
        Some(BodyState::Here(body)) => body.console().await,
        Some(_) => Ok(String::new()),
        None => return Answer::empty(404),
    };
    match text {
        Ok(text) => Answer::json(200, Value::String(text)),
        Err(why) => Answer::json(500, Value::String(why)),
    }
}
