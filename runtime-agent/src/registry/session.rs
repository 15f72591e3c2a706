//! One repository at one endpoint: manifests and blobs, and whoever asks for them.
//!
//! The first 401 is answered with a token or the password, once; what was learnt serves every later request. A redirect
//! to another host (registries send blobs from elsewhere) never carries the authorization along.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use reqwest::header::{ACCEPT, CONTENT_TYPE, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use super::auth::{Authorization, Challenge, Credentials, TokenRequest, fetch_token};
use super::error::{Error, Refusal, Result};
use super::hosts::Endpoint;
use super::manifest::{Descriptor, media};
use crate::store::Digest;

/// Manifests are kilobytes; dockerd's limit.
const MANIFEST_MAX: u64 = 4 * 1024 * 1024;
/// Configurations too, but some carry long histories.
const CONFIGURATION_MAX: u64 = 8 * 1024 * 1024;

pub(crate) struct Session {
    client: reqwest::Client,
    endpoint: Endpoint,
    path: String,
    credentials: Credentials,
    authorization: Mutex<Option<Authorization>>,
    /// Signing in is what it is for: the token that stands for the password is asked for, and kept here.
    identity_token: Option<Mutex<String>>,
}

/// A manifest as it came.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl Session {
    pub(super) fn new(
        client: reqwest::Client,
        endpoint: Endpoint,
        path: &str,
        credentials: Credentials,
    ) -> Self {
        let registry_token = &credentials.registry_token;
        let authorization =
            (!registry_token.is_empty()).then(|| Authorization::Bearer(registry_token.clone()));
        Self {
            client,
            endpoint,
            path: path.to_owned(),
            credentials,
            authorization: Mutex::new(authorization),
            identity_token: None,
        }
    }

    pub(super) fn for_login(self) -> Self {
        Self { identity_token: Some(Mutex::default()), ..self }
    }

    /// What stands for the password from now on; empty where the registry has no such.
    pub(crate) fn identity_token(&self) -> String {
        let kept = self.identity_token.as_ref();
        kept.map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The digest behind a tag, without fetching it. `None` when the registry doesn't tell.
    pub(crate) async fn digest_of(&self, wanted: &str) -> Result<Option<Digest>> {
        let response = self.send(Method::HEAD, &self.manifest_url(wanted), accept_manifests).await?;
        let header = response.headers().get("docker-content-digest");
        Ok(header.and_then(|digest| digest.to_str().ok()).and_then(|digest| digest.parse().ok()))
    }

    /// A manifest by tag or digest. By digest, it is verified.
    pub(crate) async fn manifest(&self, wanted: &str) -> Result<Fetched> {
        let url = self.manifest_url(wanted);
        let response = self.send(Method::GET, &url, accept_manifests).await?;
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type =
            media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = self.body(response, &url, MANIFEST_MAX).await?;
        let digest = Digest::of(&bytes);
        match wanted.parse::<Digest>() {
            Ok(expected) if expected != digest => Err(Error::WrongManifest(expected)),
            _ => Ok(Fetched { digest, media_type, bytes }),
        }
    }

    /// A whole small blob, verified: an image's configuration.
    pub(crate) async fn configuration(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let url = self.blob_url(&descriptor.digest);
        let response = self.send(Method::GET, &url, |request| request).await?;
        let bytes = self.body(response, &url, CONFIGURATION_MAX).await?;
        if Digest::of(&bytes) != descriptor.digest {
            return Err(Error::WrongManifest(descriptor.digest));
        }
        Ok(bytes)
    }

    /// A blob from a byte on. The answer may begin earlier than asked, when the registry knows no ranges: the second
    /// value says where it begins.
    pub(crate) async fn blob(&self, digest: &Digest, from: u64) -> Result<(Response, u64)> {
        let url = self.blob_url(digest);
        let range = move |request: RequestBuilder| {
            if from == 0 { request } else { request.header(RANGE, format!("bytes={from}-")) }
        };
        let response = self.send(Method::GET, &url, range).await?;
        let begins = if response.status() == StatusCode::PARTIAL_CONTENT { from } else { 0 };
        Ok((response, begins))
    }

    /// The first page of the repository's tags, which is all of them in all but the largest.
    pub(crate) async fn tags(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Tags {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let url = format!("{}/v2/{}/tags/list", self.endpoint.base, self.path);
        let response = self.send(Method::GET, &url, |request| request).await?;
        let body = self.body(response, &url, MANIFEST_MAX).await?;
        let parsed = serde_json::from_slice::<Tags>(&body);
        let why = |error: serde_json::Error| Error::Nonsense {
            request: self.shown("Get", &url),
            why: error.to_string(),
        };
        Ok(parsed.map_err(why)?.tags.unwrap_or_default())
    }

    pub(crate) fn unreachable(&self, method: &str, url: &str, source: reqwest::Error) -> Error {
        Error::Unreachable { request: self.shown(method, url), source: source.without_url() }
    }

    pub(crate) fn blob_url(&self, digest: &Digest) -> String {
        format!("{}/v2/{}/blobs/{digest}", self.endpoint.base, self.path)
    }

    pub(crate) fn manifest_url(&self, wanted: &str) -> String {
        format!("{}/v2/{}/manifests/{wanted}", self.endpoint.base, self.path)
    }

    pub(crate) fn uploads_url(&self) -> String {
        format!("{}/v2/{}/blobs/uploads/", self.endpoint.base, self.path)
    }

    pub(crate) fn base_url(&self) -> String {
        format!("{}/v2/", self.endpoint.base)
    }

    /// Sends a request, signing in when the registry asks for it. Any answer but success is an error.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response> {
        let mut signed_in = false;
        loop {
            let request = build(self.client.request(method.clone(), url));
            let response = self.authorize(request).send().await;
            let response = response.map_err(|error| self.unreachable(&go_method(&method), url, error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            if response.status() == StatusCode::UNAUTHORIZED && !signed_in {
                signed_in = true;
                if let Some(challenge) = Challenge::read(response.headers()) {
                    self.sign_in(&challenge, &self.shown(&go_method(&method), url)).await?;
                    continue;
                }
            }
            return Err(self.refusal(response, url).await);
        }
    }

    fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match authorization {
            None => request,
            Some(Authorization::Basic) => {
                request.basic_auth(&self.credentials.username, Some(&self.credentials.password))
            }
            Some(Authorization::Bearer(token)) => request.bearer_auth(token),
        }
    }

    async fn sign_in(&self, challenge: &Challenge, request: &str) -> Result<()> {
        let authorization = match challenge {
            Challenge::Basic if self.credentials.has_password() => Authorization::Basic,
            Challenge::Basic => return Err(Error::NoCredentials { request: request.to_owned() }),
            Challenge::Bearer { realm, service, scope } => {
                let asked = TokenRequest {
                    realm,
                    service: service.as_deref(),
                    scope: scope.as_deref(),
                    offline: self.identity_token.is_some(),
                };
                let token = fetch_token(&self.client, asked, &self.credentials).await?;
                let access = Authorization::Bearer(token.access().to_owned());
                if let Some(kept) = &self.identity_token {
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = token.refresh_token;
                }
                access
            }
        };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
        Ok(())
    }

    async fn refusal(&self, response: Response, url: &str) -> Error {
        let status = response.status().as_u16();
        let insufficient = response
            .headers()
            .get_all("www-authenticate")
            .iter()
            .any(|value| value.to_str().is_ok_and(|value| value.contains("insufficient_scope")));
        // A valid token that opens nothing: there is no such repository, or not for this user.
        if status == 401 && insufficient {
            return Error::Refused { refusal: Refusal::denied() };
        }
        let body = self.body(response, url, MANIFEST_MAX).await.unwrap_or_default();
        Error::refused(status, &body)
    }

    async fn body(&self, mut response: Response, url: &str, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(bytes),
                Ok(Some(chunk)) if (bytes.len() + chunk.len()) as u64 <= most => {
                    bytes.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => {
                    let why = format!("it is longer than {most} bytes");
                    return Err(Error::Nonsense { request: self.shown("Get", url), why });
                }
                Err(error) => return Err(self.unreachable("Get", url, error)),
            }
        }
    }

    fn shown(&self, method: &str, url: &str) -> String {
        format!("{method} \"{url}\"")
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("endpoint", &self.endpoint)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn accept_manifests(request: RequestBuilder) -> RequestBuilder {
    media::MANIFESTS.iter().fold(request, |request, media_type| request.header(ACCEPT, *media_type))
}

/// `Get`, as Go's errors print it and scripts match it.
fn go_method(method: &Method) -> String {
    let lower = method.as_str().to_lowercase();
    lower[..1].to_uppercase() + &lower[1..]
}
