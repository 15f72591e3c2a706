//! Times as services write them.

use std::time::SystemTime;

use reqwest::header::{DATE, HeaderMap};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// What time it was where the answer with these headers came from.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    OffsetDateTime::parse(text, &Rfc2822).ok().map(SystemTime::from)
}

/// A moment in a body: `2026-11-26T09:00:00.1234567Z`.
#[must_use]
pub fn moment(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn both_forms_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, "Thu, 26 Nov 2026 09:00:01 GMT".parse().unwrap());
        let then = UNIX_EPOCH + Duration::from_secs(1_795_683_601);
        assert_eq!(date(&headers), Some(then));
        assert_eq!(moment("2026-11-26T09:00:01.0000000Z"), Some(then));
        assert_eq!(moment("2026-11-26T10:00:01.0000000+01:00"), Some(then));
        assert_eq!(moment("yesterday"), None);
    }
}
