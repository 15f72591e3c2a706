//! Long lists come in pages, each with the address of the next.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::http::{Answer, Call};

/// Where the next page begins.
const TOKEN: &str = "$skiptoken";

/// Leaves in an answer what one page holds.
pub(super) fn cut(cloud: &Cloud, call: &Call, mut answer: Answer) -> Answer {
    let Some(items) = answer.body.as_ref().and_then(|body| body.get("value")?.as_array()) else {
        return answer;
    };
    let from = call.parameter(TOKEN).and_then(|token| token.parse().ok()).unwrap_or(0_usize);
    let to = from.saturating_add(cloud.config.page.max(1));
    let more = to < items.len();
    let page: Vec<Value> = items.iter().skip(from).take(to - from).cloned().collect();
    let mut body = json!({"value": page});
    if more {
        body["nextLink"] = json!(next(cloud, call, to));
    }
    answer.body = Some(body);
    answer
}

fn next(cloud: &Cloud, call: &Call, from: usize) -> String {
    let mut query = call.query.clone();
    query.insert(TOKEN.to_owned(), from.to_string());
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    format!("{}{}?{query}", cloud.names.arm, call.path)
}
