//! Tokens of somebody else that Entra is told to believe: a file that a platform keeps fresh (Kubernetes, many CI
//! systems), or a service that a CI job may ask.

use std::path::PathBuf;

use wharf_driver::{Error, Kind, Result, Secret};

use crate::http::{Http, safe_url, send};

/// Where the token comes from. It is read anew every time: it lives for minutes.
#[derive(Debug, Clone)]
pub enum Federation {
    /// A file.
    File(PathBuf),
    /// A service that answers `{"value": …}`, as the runners of GitHub have.
    Service {
        /// Its address.
        url: String,
        /// What opens it.
        bearer: Secret<String>,
    },
}

/// Whom the token must be for.
const AUDIENCE: &str = "api://AzureADTokenExchange";

impl Federation {
    pub(super) async fn token(&self, http: &Http) -> Result<Secret<String>> {
        match self {
            Self::File(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    let message = format!("cannot read the federated token {}: {error}", file.display());
                    Error::new(Kind::NotAllowed, message).hint("AZURE_FEDERATED_TOKEN_FILE names the file")
                })?;
                Ok(Secret::new(text.trim().to_owned()))
            }
            Self::Service { url, bearer } => {
                let mut url = safe_url(url)?;
                url.query_pairs_mut().append_pair("audience", AUDIENCE);
                let request = http.client.get(url).bearer_auth(bearer.expose());
                let raw = send("asking the CI service for a token", request).await?;
                match raw.json()["value"].as_str() {
                    Some(token) if raw.is_success() => Ok(Secret::new(token.to_owned())),
                    _ => {
                        let message = format!("the CI service gave no token: status {}", raw.status);
                        Err(Error::new(Kind::NotAllowed, message)
                            .hint("the job needs the permission `id-token: write`"))
                    }
                }
            }
        }
    }
}
