//! The names of images, as people type them and as registries know them.
//!
//! Short names are always Docker Hub's (`busybox` is `docker.io/library/busybox`), never `localhost/`. The grammar is
//! that of the distribution project, so that what docker accepts is accepted here, with the same complaints.

use std::fmt;
use std::str::FromStr;

use crate::store::Digest;

/// The registry that short names mean.
pub(crate) const DEFAULT_DOMAIN: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A repository: where it is, and its path there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Repository {
    domain: String,
    path: String,
}

/// A repository with a tag, a digest, both or neither.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reference {
    pub(crate) repository: Repository,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidReference {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    #[error("repository name must not be more than {NAME_MAX} characters")]
    TooLong,
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    #[error("unsupported digest algorithm")]
    Digest,
}

impl Repository {
    /// `docker.io`, or host and port.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// The path as the registry knows it: `library/busybox`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// As people type it: `busybox`, `grafana/grafana`, `localhost:5000/x`.
    pub(crate) fn familiar(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.to_string();
        }
        self.path.strip_prefix("library/").unwrap_or(&self.path).to_owned()
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)
    }
}

impl Reference {
    /// The same with `:latest` when it has neither tag nor digest.
    #[must_use]
    pub(crate) fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same repository at this tag.
    pub(crate) fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        let tag = valid_tag(tag).then(|| tag.to_owned()).ok_or(InvalidReference::Format)?;
        Ok(Self { repository: self.repository.clone(), tag: Some(tag), digest: None })
    }

    /// The same repository at this digest.
    pub(crate) fn with_digest(&self, digest: Digest) -> Self {
        Self { repository: self.repository.clone(), tag: None, digest: Some(digest) }
    }

    /// What the registry is asked for: the digest if there is one, else the tag.
    pub(crate) fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| DEFAULT_TAG.to_owned()),
        }
    }

    /// As people type it.
    pub(crate) fn familiar(&self) -> String {
        format!("{}{}", self.repository.familiar(), Suffix(self))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.repository, Suffix(self))
    }
}

struct Suffix<'a>(&'a Reference);

impl fmt::Display for Suffix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.0.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.0.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(InvalidReference::LooksLikeId(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !valid_tag(tag)) {
            return Err(InvalidReference::Format);
        }
        Ok(Self { repository: parse_repository(name)?, tag: tag.map(str::to_owned), digest })
    }
}

fn parse_digest(text: &str) -> Result<Digest, InvalidReference> {
    text.parse().map_err(|_| match text.split_once(':') {
        Some((algorithm, _)) if algorithm != "sha256" => InvalidReference::Digest,
        _ => InvalidReference::Format,
    })
}

fn parse_repository(name: &str) -> Result<Repository, InvalidReference> {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if is_domain(first) => (first, rest.to_owned()),
        _ => (DEFAULT_DOMAIN, name.to_owned()),
    };
    let domain = if domain == "index.docker.io" { DEFAULT_DOMAIN } else { domain };
    let path = if domain == DEFAULT_DOMAIN && !path.contains('/') { format!("library/{path}") } else { path };
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(InvalidReference::Uppercase(path));
    }
    if !valid_domain(domain) || !path.split('/').all(valid_component) {
        return Err(InvalidReference::Format);
    }
    if path.len() > NAME_MAX {
        return Err(InvalidReference::TooLong);
    }
    Ok(Repository { domain: domain.to_owned(), path })
}

/// What distinguishes `localhost/x` and `host:5000/x` from the Docker Hub user in `grafana/grafana`.
fn is_domain(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn valid_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("v6", if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or("")) })
        }
        None => domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        let inside = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inside && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    host.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Lower-case letters and digits, separated by one `.`, one or two `_`, or any number of `-`.
fn valid_component(component: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = component.split(plain).filter(|between| !between.is_empty());
    component.starts_with(plain)
        && component.ends_with(plain)
        && separators.into_iter().all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn valid_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Reference {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn short_names_are_docker_hubs() {
        for (typed, full, familiar) in [
            ("busybox", "docker.io/library/busybox", "busybox"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
            ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
            ("grafana/grafana", "docker.io/grafana/grafana", "grafana/grafana"),
            ("localhost/x", "localhost/x", "localhost/x"),
            ("localhost:5000/a/b__c:v", "localhost:5000/a/b__c:v", "localhost:5000/a/b__c:v"),
            ("127.0.0.1:5000/x", "127.0.0.1:5000/x", "127.0.0.1:5000/x"),
            ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
            ("ghcr.io/o/r", "ghcr.io/o/r", "ghcr.io/o/r"),
        ] {
            let reference = parsed(typed);
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (full, familiar));
        }
    }

    #[test]
    fn tag_and_digest_stand_side_by_side() {
        let digest = Digest::of(b"x");
        let reference = parsed(&format!("busybox:1@{digest}"));
        assert_eq!(reference.tag.as_deref(), Some("1"));
        assert_eq!(reference.wanted(), digest.to_string());
        assert_eq!(parsed("x").or_latest().familiar(), "x:latest");
        assert_eq!(parsed(&format!("x@{digest}")).or_latest().tag, None);
    }

    #[test]
    fn fuzz_references_are_read_or_refused() {
        bolero::check!().for_each(|text: &[u8]| {
            let Ok(text) = std::str::from_utf8(text) else { return };
            let Ok(reference) = text.parse::<Reference>() else { return };
            // The short form need not be: dockerd, too, shows `docker.io/a.b/c` as `a.b/c`, which is another's.
            assert_eq!(parsed(&reference.to_string()), reference, "the long form is read as the same");
        });
    }

    #[test]
    fn refuses_with_dockers_words() {
        for (typed, complaint) in [
            ("", "invalid reference format"),
            ("a b", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a:-x", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("a/../b", "invalid reference format"),
            ("host:99999/a", "invalid reference format"),
            ("a@sha256:12", "invalid reference format"),
            ("a@sha512:12", "unsupported digest algorithm"),
            ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
            ("library/Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ] {
            assert_eq!(typed.parse::<Reference>().unwrap_err().to_string(), complaint, "{typed:?}");
        }
        let id = "a".repeat(64);
        assert!(matches!(id.parse::<Reference>(), Err(InvalidReference::LooksLikeId(_))));
    }
}
