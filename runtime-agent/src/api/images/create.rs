//! `POST /images/create`: pull, or import from the body.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Deserialize;

use super::progress::{self, body_reader};
use super::{credentials, platform};
use crate::api::error::Result;
use crate::api::version::ApiVersion;
use crate::engine::Engine;
use crate::engine::download;
use crate::engine::error::Error;
use crate::engine::images::import::Import;
use crate::engine::images::pull::Pull;
use crate::registry::Reference;
use crate::tls::{Identity, Role};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wanted {
    from_image: String,
    from_src: String,
    repo: String,
    tag: String,
    message: String,
    platform: String,
}

pub(super) async fn create(
    State(engine): State<Arc<Engine>>,
    Extension(version): Extension<ApiVersion>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    uri: Uri,
    wanted: Result<Query<Wanted>, QueryRejection>,
    body: Body,
) -> Result<Response> {
    let Query(wanted) = wanted?;
    // The parameter came with 1.32; before, it was no error to send anything.
    let asked = if version >= ApiVersion(1, 32) { platform(&wanted.platform)? } else { None };
    if !wanted.from_image.is_empty() {
        let pulls = pulls(&engine, &wanted, asked, &headers).await?;
        return progress::run(move |report| async move {
            for pull in &pulls {
                engine.images.pull(pull, &report).await?;
            }
            Ok(())
        })
        .await;
    }
    let import = Import {
        reference: import_reference(&wanted)?,
        message: match wanted.message.as_str() {
            "" => format!("Imported from {}", wanted.from_src),
            _ => wanted.message.clone(),
        },
        // A list has one parameter per change, which the plain extractor doesn't read.
        changes: changes(uri.query().unwrap_or_default()),
        platform: asked,
    };
    if wanted.from_src == "-" {
        let reader = body_reader(body);
        return progress::run(
            move |report| async move { engine.images.import(import, reader, &report).await },
        )
        .await;
    }
    let (url, allowed) = (address(&wanted.from_src)?, identity.role == Role::Admin);
    progress::run(move |report| async move {
        let store = engine.images.store();
        let said = report.say(format!("Downloading from {url}"));
        let fetched = download::fetch(&url, store, allowed, said).await?;
        let file = fetched.file.reopen().map_err(|e| Error::internal("reading a download", e))?;
        engine.images.import(import, tokio::fs::File::from_std(file), &report).await
    })
    .await
}

/// Where an archive is fetched from; as with dockerd, without a scheme it is `http`.
fn address(source: &str) -> Result<String> {
    if source.is_empty() {
        return Err(Error::invalid("fromImage or fromSrc must be given").into());
    }
    Ok(if source.contains("://") { source.to_owned() } else { format!("http://{source}") })
}

/// One pull, or one per tag when no tag was asked for.
async fn pulls(
    engine: &Engine,
    wanted: &Wanted,
    platform: Option<crate::registry::manifest::Platform>,
    headers: &HeaderMap,
) -> Result<Vec<Pull>> {
    let credentials = credentials(headers)?;
    let text = match wanted.tag.as_str() {
        "" => wanted.from_image.clone(),
        digest if digest.contains(':') => format!("{}@{digest}", wanted.from_image),
        tag => format!("{}:{tag}", without_tag(&wanted.from_image)),
    };
    let reference: Reference = text.parse().map_err(Error::from)?;
    let references = if reference.tag.is_none() && reference.digest.is_none() {
        engine.images.tags(&reference, &credentials).await?
    } else {
        vec![reference]
    };
    let pull = |reference| Pull { reference, platform: platform.clone(), credentials: credentials.clone() };
    Ok(references.into_iter().map(pull).collect())
}

/// dockerd lets the `tag` parameter win over a tag in the name.
fn without_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((before, after)) if !after.contains('/') => before,
        _ => name,
    }
}

fn import_reference(wanted: &Wanted) -> Result<Option<Reference>> {
    if wanted.repo.is_empty() {
        return Ok(None);
    }
    let reference: Reference = wanted.repo.parse().map_err(Error::from)?;
    if reference.digest.is_some() {
        return Err(Error::invalid("cannot import digest reference").into());
    }
    let reference = if wanted.tag.is_empty() {
        reference
    } else {
        reference.with_tag(&wanted.tag).map_err(Error::from)?
    };
    Ok(Some(reference.or_latest()))
}

fn changes(query: &str) -> Vec<String> {
    let decoded = serde_urlencoded::from_str::<Vec<(String, String)>>(query).unwrap_or_default();
    decoded.into_iter().filter(|(key, _)| key == "changes").map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_heard() {
        assert_eq!(changes("fromSrc=-&changes=ENV+a%3Db&changes=CMD+sh"), ["ENV a=b", "CMD sh"]);
    }

    #[test]
    fn the_tag_parameter_wins() {
        assert_eq!(without_tag("localhost:5000/x:1"), "localhost:5000/x");
        assert_eq!(without_tag("localhost:5000/x"), "localhost:5000/x");
    }
}
