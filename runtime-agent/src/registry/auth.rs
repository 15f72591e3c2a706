//! Who asks: what a registry demands in a 401, and the token or password that answers it.
//!
//! Secrets are sent to the registry they were given for and to the token server that it names, and are never printed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::error::{Error, Result};

/// What the client sent in `X-Registry-Auth`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
    /// A refresh token, instead of a password.
    #[serde(rename = "identitytoken")]
    pub(crate) identity_token: String,
    /// A token that is sent as it is.
    #[serde(rename = "registrytoken")]
    pub(crate) registry_token: String,
    #[serde(rename = "serveraddress")]
    pub(crate) server_address: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads the header: base64 (either alphabet, padded or not) of JSON. Empty and `null` mean nobody in particular.
    pub(crate) fn from_header(value: &str) -> Option<Self> {
        let value = value.trim();
        let bytes = URL_SAFE
            .decode(value)
            .or_else(|_| URL_SAFE_NO_PAD.decode(value))
            .or_else(|_| STANDARD.decode(value))
            .ok()?;
        serde_json::from_slice::<Option<Self>>(&bytes).ok().map(Option::unwrap_or_default)
    }

    pub(super) fn has_password(&self) -> bool {
        !self.username.is_empty() && !self.password.is_empty()
    }
}

/// What token servers know the engine as: dockerd's name, which some of them ask for.
const CLIENT: &str = "docker";

/// The `Authorization` header for the next request.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    Basic,
    Bearer(String),
}

/// What a 401 asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The one to answer: a token where it is offered.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut found = None;
        for value in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
            match Self::parse(value) {
                Some(bearer @ Self::Bearer { .. }) => return Some(bearer),
                Some(basic) => found = Some(basic),
                None => {}
            }
        }
        found
    }

    fn parse(value: &str) -> Option<Self> {
        let (scheme, parameters) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        for (key, value) in parameters_of(parameters) {
            match key.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                "scope" => scope = Some(value),
                _ => {}
            }
        }
        Some(Self::Bearer { realm: realm?, service, scope })
    }
}

/// `key="value",key=value`, where a quoted value may hold commas and escaped quotes.
fn parameters_of(mut text: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    while let Some((key, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                rest.split_once(',').map_or((rest.trim().to_owned(), ""), |(v, r)| (v.trim().to_owned(), r))
            }
        };
        parameters.push((key.trim_matches([' ', ',']).to_owned(), value));
        text = rest;
    }
    parameters
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

/// Whom to ask for a token, and for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenRequest<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scope: Option<&'a str>,
    /// Also for one that stands for the password from now on, where the server has such.
    pub(super) offline: bool,
}

/// What a token server gave.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Token {
    token: String,
    access_token: String,
    /// Stands for the password.
    pub(super) refresh_token: String,
}

impl Token {
    /// The one to show to the registry. Servers use one name or the other, or both.
    pub(super) fn access(&self) -> &str {
        if self.token.is_empty() { &self.access_token } else { &self.token }
    }
}

/// Asks the token server, as the user if there is one, else as nobody.
pub(super) async fn fetch_token(
    client: &reqwest::Client,
    asked: TokenRequest<'_>,
    credentials: &Credentials,
) -> Result<Token> {
    let realm = asked.realm;
    let request = if credentials.identity_token.is_empty() {
        anonymous_or_basic(client, asked, credentials)
    } else {
        refresh(client, asked, credentials)
    };
    let shown = || format!("Get \"{realm}\"");
    let response =
        request.send().await.map_err(|e| Error::Unreachable { request: shown(), source: e.without_url() })?;
    let status = response.status();
    let body = response
        .bytes()
        .await
        .map_err(|e| Error::Unreachable { request: shown(), source: e.without_url() })?;
    if !status.is_success() {
        return Err(Error::refused(status.as_u16(), &body));
    }
    let parsed = serde_json::from_slice::<Token>(&body);
    let token = parsed.map_err(|e| Error::Nonsense { request: shown(), why: e.to_string() })?;
    if token.access().is_empty() {
        let why = "authorization server did not include a token".into();
        return Err(Error::Nonsense { request: shown(), why });
    }
    Ok(token)
}

fn anonymous_or_basic(
    client: &reqwest::Client,
    asked: TokenRequest<'_>,
    credentials: &Credentials,
) -> reqwest::RequestBuilder {
    let mut query: Vec<(&str, &str)> = Vec::new();
    query.extend(asked.service.map(|service| ("service", service)));
    let scopes = asked.scope.into_iter().flat_map(|scopes| scopes.split(' '));
    query.extend(scopes.map(|scope| ("scope", scope)));
    if credentials.has_password() {
        query.push(("account", &credentials.username));
        if asked.offline {
            query.extend([("offline_token", "true"), ("client_id", CLIENT)]);
        }
    }
    let url = with_query(asked.realm, &query);
    let request = client.get(url);
    if credentials.has_password() {
        request.basic_auth(&credentials.username, Some(&credentials.password))
    } else {
        request
    }
}

/// The OAuth 2 form, for identity tokens.
fn refresh(
    client: &reqwest::Client,
    asked: TokenRequest<'_>,
    credentials: &Credentials,
) -> reqwest::RequestBuilder {
    let form = with_query(
        "",
        &[
            ("grant_type", "refresh_token"),
            ("service", asked.service.unwrap_or_default()),
            ("client_id", CLIENT),
            ("scope", asked.scope.unwrap_or_default()),
            ("refresh_token", &credentials.identity_token),
        ],
    );
    client
        .post(asked.realm)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.trim_start_matches('?').to_owned())
}

/// Appends parameters, percent-encoded.
fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = url.to_owned();
    for (key, value) in parameters {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(key);
        url.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                url.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(value: &'static str) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        Challenge::read(&headers)
    }

    #[test]
    fn fuzz_challenges_are_read_or_passed_over() {
        bolero::check!().for_each(|value: &[u8]| {
            let Ok(value) = reqwest::header::HeaderValue::from_bytes(value) else { return };
            let mut headers = HeaderMap::new();
            headers.append(WWW_AUTHENTICATE, value.clone());
            let _ = Challenge::read(&headers);
            if let Ok(text) = value.to_str() {
                let _ = Credentials::from_header(text);
            }
        });
    }

    #[test]
    fn reads_challenges_as_registries_write_them() {
        let bearer = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            challenge(bearer),
            Some(Challenge::Bearer {
                realm: "https://auth.docker.io/token".into(),
                service: Some("registry.docker.io".into()),
                scope: Some("repository:a/b:pull,push".into()),
            })
        );
        assert_eq!(challenge(r#"Basic realm="Registry \"x\"""#), Some(Challenge::Basic));
        assert_eq!(challenge("Bearer service=x"), None);
        assert_eq!(challenge("Negotiate"), None);
    }

    #[test]
    fn reads_the_header_in_either_alphabet() {
        let json = r#"{"username":"u?>","password":"p~~~"}"#;
        for encoded in [URL_SAFE.encode(json), URL_SAFE_NO_PAD.encode(json), STANDARD.encode(json)] {
            let credentials = Credentials::from_header(&encoded).unwrap();
            assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("u?>", "p~~~"));
            assert!(!format!("{credentials:?}").contains("p~~~"));
        }
        assert_eq!(Credentials::from_header("bnVsbA=="), Some(Credentials::default()));
        assert_eq!(Credentials::from_header("%%%"), None);
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(
            with_query("https://x/t?a=1", &[("scope", "repository:a/b:pull")]),
            "https://x/t?a=1&scope=repository%3Aa%2Fb%3Apull"
        );
    }
}
