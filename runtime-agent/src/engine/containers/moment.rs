//! Points in time as records and clients read them: RFC 3339 in UTC, to the nanosecond.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wharfd_api_types::container::NEVER;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(OffsetDateTime);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }

    pub(crate) const fn seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    pub(crate) const fn nanoseconds(self) -> i128 {
        self.0.unix_timestamp_nanos()
    }

    pub(crate) fn from_nanoseconds(nanoseconds: i128) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok().map(Self)
    }

    /// How long ago it was; zero for the future.
    pub(crate) fn elapsed(self) -> std::time::Duration {
        (OffsetDateTime::now_utc() - self.0).try_into().unwrap_or_default()
    }

    /// How long until then; nothing for the past.
    pub(crate) fn remaining(self) -> Option<std::time::Duration> {
        (self.0 - OffsetDateTime::now_utc()).try_into().ok()
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(Self)
    }
}

impl From<std::time::SystemTime> for Moment {
    fn from(time: std::time::SystemTime) -> Self {
        Self(time.into())
    }
}

impl From<OffsetDateTime> for Moment {
    fn from(time: OffsetDateTime) -> Self {
        Self(time)
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let utc = self.0.to_offset(time::UtcOffset::UTC);
        let (date, time) = (utc.date(), utc.time());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.nanosecond()
        )
    }
}

/// The wire's way to say an optional time.
pub(crate) fn or_never(moment: Option<Moment>) -> String {
    moment.map_or_else(|| NEVER.to_owned(), |moment| moment.to_string())
}

/// A client's `since` or `until`: seconds with a fraction, or RFC 3339. Empty and `0` are none.
pub(crate) fn parameter(text: &str) -> Option<Moment> {
    if text.is_empty() || text == "0" {
        return None;
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let Ok(seconds) = seconds.parse::<i64>() else { return Moment::parse(text) };
    let nanoseconds: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Moment::from_nanoseconds(i128::from(seconds) * 1_000_000_000 + nanoseconds)
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("not a time: {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_nanoseconds_and_reads_what_it_writes() {
        let moment = Moment::from_nanoseconds(1_700_000_000_000_000_007).unwrap();
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.000000007Z");
        assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
    }

    #[test]
    fn parameters_come_in_three_spellings() {
        let at = |nanoseconds| Moment::from_nanoseconds(nanoseconds);
        assert_eq!(parameter("12"), at(12_000_000_000));
        assert_eq!(parameter("12.000000500"), at(12_000_000_500));
        assert_eq!(parameter("12.5"), at(12_500_000_000));
        assert_eq!(parameter("1970-01-01T00:00:12Z"), at(12_000_000_000));
        assert_eq!((parameter(""), parameter("0"), parameter("yesterday")), (None, None, None));
    }
}
