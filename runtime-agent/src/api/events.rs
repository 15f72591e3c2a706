//! `GET /events`: what happened since then, and what happens until then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use wharfd_api_types::{EventActor, EventMessage, Filters};

use super::error::Result;
use super::stream;
use crate::engine::Engine;
use crate::engine::error::Error;
use crate::engine::events::{Event, EventKind};

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new().route("/events", get(events))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    since: Option<String>,
    until: Option<String>,
    filters: Option<String>,
}

async fn events(
    State(engine): State<Arc<Engine>>,
    wanted: std::result::Result<Query<Wanted>, QueryRejection>,
) -> Result<Response> {
    let Query(wanted) = wanted?;
    let since = wanted.since.as_deref().filter(|s| !s.is_empty()).map(parse_time).transpose()?;
    let until = wanted.until.as_deref().filter(|s| !s.is_empty()).map(parse_time).transpose()?;
    let filters = Filters::parse(wanted.filters.as_deref()).map_err(Error::invalid)?;
    let (kept, mut new) = engine.events.subscribe();
    Ok(stream::lines(move |lines| async move {
        for event in kept {
            let in_time = since.is_some_and(|since| event.time >= since)
                && until.is_none_or(|until| event.time <= until);
            if in_time && matches(&event, &filters) && !lines.send(&message(&event)).await {
                return;
            }
        }
        let left = until.map(|until| until.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO));
        let end = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            let event = tokio::select! {
                () = &mut end => return,
                () = lines.closed() => return,
                event = new.recv() => event,
            };
            match event {
                Ok(event) if matches(&event, &filters) => {
                    if !lines.send(&message(&event)).await {
                        return;
                    }
                }
                Ok(_) => {}
                // Too slow a reader: it loses the oldest events and goes on with the newer ones.
                Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "a reader of the events is too slow"),
                Err(RecvError::Closed) => return,
            }
        }
    }))
}

fn message(event: &Event) -> EventMessage {
    let since_1970 = event.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let old_style = matches!(event.kind, EventKind::Container | EventKind::Image);
    EventMessage {
        status: old_style.then(|| event.action.clone()),
        id: (old_style && !event.actor.is_empty()).then(|| event.actor.clone()),
        from: event.attributes.get("image").filter(|_| event.kind == EventKind::Container).cloned(),
        kind: event.kind.as_str().to_owned(),
        action: event.action.clone(),
        actor: EventActor { id: event.actor.clone(), attributes: event.attributes.clone() },
        scope: "local".to_owned(),
        time: i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX),
        time_nano: i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX),
    }
}

/// Any value of one key, every key: as dockerd matches.
fn matches(event: &Event, filters: &Filters) -> bool {
    // `exec_start: sh` is found under `exec_start`, too.
    let action = event.action.split(':').next().unwrap_or_default();
    let named = |kind: EventKind, wanted: &str| {
        let name = event.attributes.get("name").map_or("", String::as_str);
        event.kind == kind && (event.actor.starts_with(wanted) || name == wanted)
    };
    filters.all("type", |wanted| event.kind.as_str() == wanted)
        && filters.all("event", |wanted| action == wanted || event.action == wanted)
        && filters.all("container", |wanted| named(EventKind::Container, wanted))
        && filters.all("network", |wanted| named(EventKind::Network, wanted))
        && filters.all("volume", |wanted| named(EventKind::Volume, wanted))
        && filters.all("image", |wanted| image_is(event, wanted))
        && filters.all("daemon", |_| event.kind == EventKind::Daemon)
        && filters.all("scope", |wanted| wanted == "local")
        && filters.all("label", |wanted| labelled(&event.attributes, wanted))
}

fn image_is(event: &Event, wanted: &str) -> bool {
    let image = match event.kind {
        EventKind::Image => event.actor.as_str(),
        _ => event.attributes.get("image").map_or("", String::as_str),
    };
    image == wanted || image.split_once(':').is_some_and(|(name, _)| name == wanted)
}

fn labelled(attributes: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => attributes.get(key).is_some_and(|v| v == value),
        None => attributes.contains_key(wanted),
    }
}

/// Seconds since 1970 with an optional fraction, or RFC 3339; the CLI turns everything else into one of these.
fn parse_time(text: &str) -> Result<SystemTime, Error> {
    let wrong = || Error::invalid(format!("failed to parse value {text:?} as a time"));
    if let Ok(time) = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339) {
        return Ok(time.into());
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: u64 = seconds.parse().map_err(|_| wrong())?;
    let nanos: u32 = format!("{fraction:0<9}").get(..9).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let attributes = [("image", "busybox:latest"), ("name", "web"), ("tier", "front")];
        Event {
            kind: EventKind::Container,
            action: "exec_start: sh".to_owned(),
            actor: "0123abcd".to_owned(),
            attributes: attributes.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            time: UNIX_EPOCH + Duration::new(5, 7),
        }
    }

    fn found(filters: &str) -> bool {
        matches(&event(), &Filters::parse(Some(filters)).unwrap())
    }

    #[test]
    fn filters_are_or_within_a_key_and_and_between_keys() {
        assert!(found(r#"{"event":["die","exec_start"],"type":["container"]}"#));
        assert!(found(r#"{"container":{"web":true},"image":["busybox"],"label":["tier=front"]}"#));
        assert!(!found(r#"{"event":["exec_start"],"type":["image"]}"#));
        assert!(!found(r#"{"container":["other"]}"#));
    }

    #[test]
    fn the_old_fields_stand_beside_the_new() {
        let json = serde_json::to_value(message(&event())).unwrap();
        assert_eq!(json["status"], "exec_start: sh");
        assert_eq!(json["from"], "busybox:latest");
        assert_eq!(json["timeNano"], 5_000_000_007_i64);
        assert_eq!(json["Actor"]["Attributes"]["name"], "web");
    }

    #[test]
    fn times_come_as_the_cli_sends_them() {
        assert_eq!(parse_time("5.000000007").unwrap(), UNIX_EPOCH + Duration::new(5, 7));
        assert_eq!(parse_time("1970-01-01T00:00:05Z").unwrap(), UNIX_EPOCH + Duration::from_secs(5));
        assert!(parse_time("yesterday").is_err());
    }
}
