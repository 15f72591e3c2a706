//! Sending blobs and manifests to a registry.

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::error::{Error, Result};
use super::session::Session;
use crate::store::Digest;

impl Session {
    /// Whether the registry answers, and knows the user.
    pub(crate) async fn ping(&self) -> Result<()> {
        self.send(Method::GET, &self.base_url(), |request| request).await.map(drop)
    }

    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        match self.send(Method::HEAD, &self.blob_url(digest), |request| request).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { refusal }) if refusal.status == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a whole blob in one request.
    pub(crate) async fn upload(
        &self,
        digest: &Digest,
        size: u64,
        content: impl AsyncRead + Send + Sync + 'static,
    ) -> Result<()> {
        let begun = self.send(Method::POST, &self.uploads_url(), |r| r.header(CONTENT_LENGTH, 0)).await?;
        let location = begun.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let nowhere =
            || Error::Nonsense { request: "Post".into(), why: "it names no place to upload to".into() };
        let location = begun.url().join(location.ok_or_else(nowhere)?).map_err(|_| nowhere())?;
        let separator = if location.query().is_some() { '&' } else { '?' };
        let url = format!("{location}{separator}digest={digest}");
        // The body can be sent once only; the request before it has signed in already.
        let body =
            std::sync::Mutex::new(Some(Body::wrap_stream(ReaderStream::with_capacity(content, 128 * 1024))));
        let with_body = |request: reqwest::RequestBuilder| {
            let body = body.lock().ok().and_then(|mut body| body.take()).unwrap_or_default();
            request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, size).body(body)
        };
        self.send(Method::PUT, &url, with_body).await.map(drop)
    }

    pub(crate) async fn put_manifest(&self, tag: &str, media_type: &str, manifest: Vec<u8>) -> Result<()> {
        let with_body = |request: reqwest::RequestBuilder| {
            request.header(CONTENT_TYPE, media_type).body(manifest.clone())
        };
        self.send(Method::PUT, &self.manifest_url(tag), with_body).await.map(drop)
    }
}
