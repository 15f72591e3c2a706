//! Where a shared store is, as a person writes it down.
//!
//! ```text
//! s3://BUCKET/PREFIX?endpoint=https://minio.example:9000&region=eu-west-1
//! azblob://CONTAINER/PREFIX?account=NAME&endpoint=https://…
//! ```
//!
//! What stands behind `?` may be left out where the environment says it. No secret belongs there, and none is taken.

use std::fmt;
use std::str::FromStr;

use object_store::path::Path;
use url::Url;
use wharf_core::{Error, Kind, Result};

/// Whose objects they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// S3, or what speaks like it.
    S3,
    /// Azure's blobs.
    Azure,
}

/// Where a shared store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Whose objects.
    pub service: Service,
    /// The bucket or container.
    pub bucket: String,
    /// What all keys begin with; empty for the whole bucket.
    pub prefix: Path,
    /// Where the service answers, where that is not the usual place.
    pub endpoint: Option<String>,
    /// The region, for S3.
    pub region: Option<String>,
    /// The account, for Azure.
    pub account: Option<String>,
    text: String,
}

impl Address {
    /// Whether `text` is meant as an address of a shared store, and not as a folder.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.contains("://")
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let url = Url::parse(text).map_err(|e| wrong(text, &e.to_string()))?;
        let service = match url.scheme() {
            "s3" => Service::S3,
            "azblob" => Service::Azure,
            other => return Err(wrong(text, &format!("`{other}` is no kind of store"))),
        };
        if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
            return Err(wrong(text, "it holds more than a name before the path"));
        }
        let bucket = url.host_str().filter(|host| !host.is_empty());
        let bucket = bucket.ok_or_else(|| wrong(text, "it names no bucket or container"))?.to_owned();
        let prefix = Path::from_url_path(url.path()).map_err(|e| wrong(text, &e.to_string()))?;
        let mut address = Self {
            service,
            bucket,
            prefix,
            endpoint: None,
            region: None,
            account: None,
            text: text.to_owned(),
        };
        for (name, value) in url.query_pairs() {
            let place = match (&*name, service) {
                ("endpoint", _) => &mut address.endpoint,
                ("region", Service::S3) => &mut address.region,
                ("account", Service::Azure) => &mut address.account,
                _ => return Err(wrong(text, &format!("it cannot say `{name}`"))),
            };
            *place = Some(value.into_owned());
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn wrong(text: &str, why: &str) -> Error {
    // What is wrong may be a secret that was put there.
    let shown = text.split('?').next().unwrap_or_default();
    let shown = match shown.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default()),
        None => shown.to_owned(),
    };
    Error::new(Kind::Usage, format!("`{shown}` is no address of a store: {why}")).hint(
        "s3://BUCKET/PREFIX or azblob://CONTAINER/PREFIX, with ?endpoint=URL behind it for another place than the \
         usual one; keys and secrets stand in the environment",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let plain: Address = "s3://team/wharf/prod".parse().unwrap();
        assert_eq!((plain.service, plain.bucket.as_str()), (Service::S3, "team"));
        assert_eq!((plain.prefix.as_ref(), plain.endpoint), ("wharf/prod", None));
        let other: Address = "s3://team?endpoint=http://127.0.0.1:9000&region=here".parse().unwrap();
        assert_eq!(other.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!((other.prefix.as_ref(), other.region.as_deref()), ("", Some("here")));
        let azure: Address = "azblob://team/x?account=acme".parse().unwrap();
        assert_eq!((azure.service, azure.account.as_deref()), (Service::Azure, Some("acme")));
    }

    #[test]
    fn what_is_none_is_refused_without_showing_secrets() {
        for wrong in ["s3://", "s3:///x", "ftp://a/b", "s3://a?account=x", "azblob://a?region=x"] {
            let error = wrong.parse::<Address>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{wrong}: {error}");
        }
        for secret in ["s3://key:hunter2@team/x", "azblob://team/x?sig=hunter2"] {
            let error = secret.parse::<Address>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
