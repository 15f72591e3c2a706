//! The controls, for whoever is at them: weather, policies, and what was called. Plain HTTP and JSON.
//!
//! `GET /calls`, `DELETE /calls`, `GET /counts`, `GET /resources`, `GET|POST|DELETE /faults`, `GET|POST|DELETE /policies`,
//! `POST /device-codes/approve`, `POST /ci-token` (`{"subject", "audience", "seconds"}`), `POST /advance`
//! (`{"seconds"}`).

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::cloud::{Cloud, Fault, Policy};
use crate::http::{Answer, Call, Outcome};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    subject: String,
    audience: String,
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

/// Answers a call to the controls.
pub(crate) fn handle(cloud: &Cloud, call: &Call) -> Outcome {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let answer = route(cloud, call, &segments).unwrap_or_else(|why| Answer::json(400, json!({"error": why})));
    Outcome::Answer(answer, Duration::ZERO)
}

fn route(cloud: &Cloud, call: &Call, segments: &[&str]) -> Result<Answer, String> {
    let done = || Ok(Answer::empty(204));
    match (call.method.as_str(), segments) {
        ("GET", ["calls"]) => Ok(Answer::json(200, json!(cloud.calls()))),
        ("DELETE", ["calls"]) => {
            cloud.clear_calls();
            done()
        }
        ("GET", ["counts"]) => Ok(Answer::json(200, json!(cloud.counts()))),
        ("GET", ["resources"]) => Ok(Answer::json(200, json!(cloud.holds()))),
        ("GET", ["faults"]) => Ok(Answer::json(200, json!(cloud.state().faults))),
        ("POST", ["faults"]) => {
            cloud.add_fault(read::<Fault>(call)?);
            done()
        }
        ("DELETE", ["faults"]) => {
            cloud.clear_faults();
            done()
        }
        ("GET", ["policies"]) => Ok(Answer::json(200, json!(cloud.state().policies))),
        ("POST", ["policies"]) => {
            cloud.add_policy(read::<Policy>(call)?);
            done()
        }
        ("DELETE", ["policies"]) => {
            cloud.state().policies.clear();
            done()
        }
        ("POST", ["device-codes", "approve"]) => {
            cloud.approve_device_codes();
            done()
        }
        ("POST", ["ci-token"]) => {
            let wish: Wish = read(call)?;
            let token = cloud.ci_token(&wish.subject, &wish.audience, Duration::from_secs(wish.seconds));
            Ok(Answer::json(200, json!({"token": token})))
        }
        ("POST", ["advance"]) => {
            let advance: Advance = read(call)?;
            let by = Duration::try_from_secs_f64(advance.seconds).map_err(|error| error.to_string())?;
            cloud.clock().advance(by);
            cloud.catch_up();
            done()
        }
        _ => Ok(Answer::empty(404)),
    }
}

fn read<T: for<'de> Deserialize<'de>>(call: &Call) -> Result<T, String> {
    serde_json::from_slice(&call.body).map_err(|error| error.to_string())
}
