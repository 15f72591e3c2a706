//! The published rate limits: a token bucket for every action.

use std::collections::BTreeMap;

/// Buckets by action, at moments in seconds.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<String, (f64, f64)>);

impl Buckets {
    /// Whether a call of `api` fits at `now`.
    pub(crate) fn take(&mut self, api: &str, now: f64) -> bool {
        let (size, rate) = published(api);
        let (level, at) = self.0.entry(api.to_owned()).or_insert((size, now));
        *level = (now - *at).max(0.0).mul_add(rate, *level).min(size);
        *at = now;
        if *level < 1.0 {
            return false;
        }
        *level -= 1.0;
        true
    }
}

fn published(api: &str) -> (f64, f64) {
    match api {
        "RunInstances" | "StartInstances" => (5.0, 2.0),
        "TerminateInstances" => (100.0, 5.0),
        _ if api.starts_with("Describe") || api.starts_with("Get") => (100.0, 20.0),
        _ => (50.0, 5.0),
    }
}
