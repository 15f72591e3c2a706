//! `GET /images/json` and `GET /images/{name}/history`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use time::OffsetDateTime;
use wharfd_api_types::Filters;
use wharfd_api_types::image::{HistoryItem, ImageSummary};

use super::super::error::Result;
use crate::api::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::error::Error;
use crate::engine::glob;
use crate::engine::images::list::parse_time;
use crate::engine::images::{Image, Names};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    all: Option<String>,
    filters: Option<String>,
    /// What old clients send instead of a reference filter.
    filter: Option<String>,
    #[serde(rename = "shared-size")]
    shared_size: Option<String>,
}

const KNOWN: [&str; 7] = ["dangling", "label", "label!", "before", "since", "reference", "until"];

pub(super) async fn list(
    State(engine): State<Arc<Engine>>,
    Extension(version): Extension<ApiVersion>,
    wanted: std::result::Result<Query<Wanted>, QueryRejection>,
) -> Result<Response> {
    let Query(wanted) = wanted?;
    let filters = Filters::parse(wanted.filters.as_deref()).map_err(Error::invalid)?;
    filters.only(&KNOWN).map_err(Error::invalid)?;
    let narrowing = Narrowing::read(&engine, filters, wanted.filter)?;
    let shared = wanted.shared_size.as_deref().is_some_and(is_true).then(|| engine.images.shared_sizes());
    let shared = shared.transpose()?;
    let all = wanted.all.as_deref().is_some_and(is_true);
    let listed = |(image, names): &(Arc<Image>, Names)| {
        // What a build left on its way is its cache.
        let named = !names.tags.is_empty() || !names.digests.is_empty();
        (all && narrowing.dangling() != Some(true)) || named || !engine.images.has_children(&image.id)
    };
    let summaries: Vec<ImageSummary> = engine
        .images
        .all()
        .into_iter()
        .filter(listed)
        .filter_map(|(image, names)| {
            let names = narrowing.names(&image, names)?;
            let shared_size = shared.as_ref().map(|sizes| sizes.get(&image.id).copied().unwrap_or_default());
            Some(summary(&image, names, shared_size, version))
        })
        .collect();
    Ok(Json(summaries).into_response())
}

pub(in crate::api) fn summary(
    image: &Image,
    names: Names,
    shared_size: Option<u64>,
    version: ApiVersion,
) -> ImageSummary {
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    // Old clients expect a placeholder where newer ones expect nothing.
    let or_none = |names: Vec<String>, none: &str| {
        if names.is_empty() && version < ApiVersion(1, 43) { vec![none.to_owned()] } else { names }
    };
    ImageSummary {
        containers: -1,
        created: image.created().map_or(0, OffsetDateTime::unix_timestamp),
        id: image.id.to_string(),
        labels: image.configuration.config.labels.clone(),
        parent_id: image.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        repo_digests: or_none(names.digests, "<none>@<none>"),
        repo_tags: or_none(names.tags, "<none>:<none>"),
        shared_size: shared_size.map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX)),
        size,
        virtual_size: (version < ApiVersion(1, 44)).then_some(size),
    }
}

/// The filters, with the images that they name looked up.
struct Narrowing {
    filters: Filters,
    patterns: Vec<String>,
    before: Option<OffsetDateTime>,
    since: Option<OffsetDateTime>,
}

impl Narrowing {
    fn read(engine: &Engine, filters: Filters, filter: Option<String>) -> Result<Self> {
        let named = |key: &str| -> Result<Option<OffsetDateTime>> {
            let Some(name) = filters.get(key).first() else { return Ok(None) };
            Ok(Some(engine.images.resolve(name)?.created().unwrap_or(OffsetDateTime::UNIX_EPOCH)))
        };
        for value in filters.get("dangling") {
            if !is_true(value) && !is_false(value) {
                return Err(Error::invalid(format!("invalid filter 'dangling=[{value}]'")).into());
            }
        }
        let until = filters.get("until").first().map(|text| until(text)).transpose()?;
        let before = named("before")?.into_iter().chain(until).min();
        let since = named("since")?;
        let patterns: Vec<String> = filters.get("reference").iter().cloned().chain(filter).collect();
        if patterns.iter().any(|pattern| !glob::is_whole(pattern)) {
            return Err(Error::invalid("syntax error in pattern").into());
        }
        Ok(Self { filters, patterns, before, since })
    }

    fn dangling(&self) -> Option<bool> {
        self.filters.get("dangling").first().map(|value| is_true(value))
    }

    /// The names that remain of an image; `None` when the image doesn't.
    fn names(&self, image: &Image, mut names: Names) -> Option<Names> {
        let dangling = names.tags.is_empty();
        let created = image.created();
        let labels = image.configuration.config.labels.as_ref();
        let labelled = |wanted: &str| {
            let (key, value) =
                wanted.split_once('=').map_or((wanted, None), |(key, value)| (key, Some(value)));
            labels
                .and_then(|labels| labels.get(key))
                .is_some_and(|found| value.is_none_or(|value| value == found))
        };
        let kept = self.filters.get("dangling").iter().all(|value| is_true(value) == dangling)
            && self.filters.get("label").iter().all(|label| labelled(label))
            && !self.filters.get("label!").iter().any(|label| labelled(label))
            && self.before.is_none_or(|before| created.is_some_and(|created| created < before))
            && self.since.is_none_or(|since| created.is_some_and(|created| created > since));
        if !kept {
            return None;
        }
        if !self.patterns.is_empty() {
            names.tags.retain(|name| self.patterns.iter().any(|pattern| name_matches(pattern, name)));
            names.digests.retain(|name| self.patterns.iter().any(|pattern| name_matches(pattern, name)));
            if names.tags.is_empty() && names.digests.is_empty() {
                return None;
            }
        }
        Some(names)
    }
}

/// A pattern means the whole name, or the repository alone.
fn name_matches(pattern: &str, name: &str) -> bool {
    let repository = name.split('@').next().unwrap_or(name);
    let repository = match repository.rsplit_once(':') {
        Some((before, after)) if !after.contains('/') => before,
        _ => repository,
    };
    glob::matches(pattern, name) || glob::matches(pattern, repository)
}

/// A point in time, seconds since 1970, or how long ago (`24h`, `10m30s`).
pub(super) fn until(text: &str) -> Result<OffsetDateTime> {
    let seconds = text.split('.').next().and_then(|text| text.parse::<i64>().ok());
    let parsed = parse_time(text)
        .or_else(|| seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()))
        .or_else(|| OffsetDateTime::now_utc().checked_sub(ago(text)?));
    Ok(parsed.ok_or_else(|| Error::invalid(format!("invalid filter 'until=[{text}]'")))?)
}

fn ago(text: &str) -> Option<time::Duration> {
    let mut total = time::Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        total += match &rest[digits..unit] {
            "h" => time::Duration::hours(number),
            "m" => time::Duration::minutes(number),
            "s" => time::Duration::seconds(number),
            _ => return None,
        };
        rest = &rest[unit..];
    }
    Some(total)
}

pub(super) fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "True" | "TRUE")
}

pub(super) fn is_false(text: &str) -> bool {
    matches!(text, "0" | "f" | "F" | "false" | "False" | "FALSE")
}

pub(super) fn history(engine: &Engine, name: &str) -> Result<Response> {
    let image = engine.images.resolve(name)?;
    let names = engine.images.names(&image.id);
    let steps = engine.images.history(&image)?;
    let ancestors = engine.images.ancestors(&image);
    let id = |at: usize| match at.checked_sub(1) {
        None => image.id.to_string(),
        Some(above) => ancestors.get(above).map_or("<missing>".to_owned(), |image| image.id.to_string()),
    };
    let tags = |at: usize| match at.checked_sub(1) {
        None => names.tags.clone(),
        Some(above) => {
            ancestors.get(above).map(|image| engine.images.names(&image.id).tags).unwrap_or_default()
        }
    };
    let item = |(at, step): (usize, crate::engine::images::list::Step)| HistoryItem {
        comment: step.history.comment,
        created: step
            .history
            .created
            .as_deref()
            .and_then(parse_time)
            .map_or(0, OffsetDateTime::unix_timestamp),
        created_by: step.history.created_by,
        id: id(at),
        size: i64::try_from(step.size).unwrap_or(i64::MAX),
        tags: Some(tags(at)).filter(|tags| !tags.is_empty()),
    };
    let items: Vec<HistoryItem> = steps.into_iter().enumerate().map(item).collect();
    Ok(Json(items).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expected) in [
            ("busybox", "busybox:latest", true),
            ("busybox:*", "busybox:latest", true),
            ("busy*", "busybox:latest", true),
            ("*", "a/b:1", false),
            ("*/*", "a/b:1", true),
            ("b?sybox", "busybox:1", true),
            ("[a-c]usybox", "busybox:1", true),
            ("[^a-c]usybox", "busybox:1", false),
            ("localhost:5000/x", "localhost:5000/x:1", true),
            ("busybox", "busybox@sha256:00", true),
            ("other", "busybox:latest", false),
        ] {
            assert_eq!(name_matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn times_come_in_three_forms() {
        assert_eq!(ago("1h30m"), Some(time::Duration::minutes(90)));
        assert_eq!(ago("x"), None);
        assert_eq!(until("100").unwrap().unix_timestamp(), 100);
        assert_eq!(until("1970-01-01T00:01:40Z").unwrap().unix_timestamp(), 100);
        assert!(until("yesterday").is_err());
    }
}
