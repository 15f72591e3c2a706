//! Manifests: what an image consists of, and the lists that offer one per platform.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use crate::store::Digest;

pub(crate) mod media {
    //! Names of formats, Docker's and OCI's.
    pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    pub(crate) const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    pub(crate) const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub(crate) const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// What we can read, in order of preference.
    pub(crate) const MANIFESTS: [&str; 4] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];
}

/// A pointer to content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Descriptor,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
}

/// The same image for several platforms, or several images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) manifests: Vec<Descriptor>,
}

/// Either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    Image(Manifest),
    Index(Index),
}

/// What an image runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) variant: String,
}

impl Parsed {
    /// `said` is what came with the bytes; the document's own word and its shape decide.
    pub(crate) fn read(said: &str, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            #[serde(default)]
            schema_version: u32,
            media_type: Option<String>,
            manifests: Option<serde::de::IgnoredAny>,
            config: Option<serde::de::IgnoredAny>,
        }
        let nonsense =
            |error: serde_json::Error| Error::Nonsense { request: "manifest".into(), why: error.to_string() };
        let probe: Probe = serde_json::from_slice(bytes).map_err(nonsense)?;
        match probe {
            Probe { schema_version: 2, manifests: Some(_), config: None, .. } => {
                serde_json::from_slice(bytes).map(Self::Index).map_err(nonsense)
            }
            Probe { schema_version: 2, config: Some(_), manifests: None, .. } => {
                serde_json::from_slice(bytes).map(Self::Image).map_err(nonsense)
            }
            other => Err(Error::MediaType(other.media_type.unwrap_or_else(|| said.to_owned()))),
        }
    }
}

impl Index {
    /// The manifest for a platform; of several, the one whose variant fits best.
    pub(crate) fn choose(&self, wanted: &Platform) -> Result<&Descriptor> {
        let fitting = self.manifests.iter().filter_map(|descriptor| {
            let rank = wanted.rank(descriptor.platform.as_ref()?)?;
            Some((rank, descriptor))
        });
        // The first of the best, as the list's author ordered them.
        let best = fitting.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, descriptor)| descriptor)
            .ok_or_else(|| Error::NoPlatform { platform: wanted.to_string() })
    }
}

impl Platform {
    /// This machine's.
    pub(crate) fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "powerpc64" => ("ppc64le", ""),
            other => (other, ""),
        };
        Self { os: "linux".into(), architecture: architecture.into(), variant: variant.into() }
    }

    /// `linux/arm64/v8`, `linux/amd64` or `arm64`; other names of an architecture are understood.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| {
            part.is_empty() || !part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }) {
            return None;
        }
        let (os, architecture, variant) = match parts.as_slice() {
            ["linux"] => return Some(Self::host()),
            [architecture] => ("linux", *architecture, ""),
            [os, architecture] => (*os, *architecture, ""),
            [os, architecture, variant] => (*os, *architecture, *variant),
            _ => return None,
        };
        Some(Self { os: os.to_lowercase(), ..Self::normal(&architecture.to_lowercase(), variant) })
    }

    fn normal(architecture: &str, variant: &str) -> Self {
        let (architecture, variant) = match (architecture, variant) {
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("i386", variant) => ("386", variant),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            other => other,
        };
        Self { os: String::new(), architecture: architecture.into(), variant: variant.into() }
    }

    /// Whether something for `offered` runs on (or is) `self`.
    pub(crate) fn accepts(&self, offered: &Self) -> bool {
        self.rank(offered).is_some()
    }

    /// `None` when it doesn't run here at all; more is better.
    fn rank(&self, offered: &Self) -> Option<u32> {
        let offered =
            Self { os: offered.os.clone(), ..Self::normal(&offered.architecture, &offered.variant) };
        if (&self.os, &self.architecture) != (&offered.os, &offered.architecture) {
            return None;
        }
        let version = |platform: &Self| -> u32 {
            let default = if platform.architecture == "arm64" { 8 } else { 0 };
            platform.variant.strip_prefix('v').and_then(|v| v.parse().ok()).unwrap_or(default)
        };
        match (version(self), version(&offered)) {
            (mine, theirs) if mine == theirs => Some(u32::MAX),
            // An older variant runs, the newest of them best; no variant wanted means any, the plainest best.
            (0, theirs) => Some(u32::MAX - 1 - theirs.min(1000)),
            (mine, theirs) if theirs < mine => Some(theirs),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(platforms: &[&str]) -> Index {
        let descriptor = |(at, text): (usize, &&str)| Descriptor {
            media_type: media::OCI_MANIFEST.into(),
            digest: Digest::of(at.to_string().as_bytes()),
            size: 1,
            platform: Some(Platform::parse(text).unwrap()),
            annotations: None,
        };
        let manifests = platforms.iter().enumerate().map(descriptor).collect();
        Index { schema_version: 2, media_type: None, manifests }
    }

    fn chosen(offers: &[&str], wanted: &str) -> Option<usize> {
        let index = offer(offers);
        let chosen = index.choose(&Platform::parse(wanted).unwrap()).ok()?.digest;
        index.manifests.iter().position(|descriptor| descriptor.digest == chosen)
    }

    #[test]
    fn chooses_the_best_variant_that_runs() {
        assert_eq!(chosen(&["linux/arm64", "linux/amd64"], "linux/amd64"), Some(1));
        assert_eq!(chosen(&["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"), Some(2));
        assert_eq!(chosen(&["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7"), Some(1));
        assert_eq!(chosen(&["linux/arm/v7"], "linux/arm/v6"), None);
        assert_eq!(chosen(&["linux/arm64/v8"], "linux/aarch64"), Some(0));
        assert_eq!(chosen(&["linux/amd64/v3", "linux/amd64"], "linux/x86_64"), Some(1));
        assert_eq!(chosen(&["unknown/unknown", "windows/amd64"], "linux/amd64"), None);
    }

    #[test]
    fn the_shape_decides_what_a_document_is() {
        let digest = Digest::of(b"x");
        let image = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{digest}","size":1}},"layers":[]}}"#);
        assert!(matches!(Parsed::read("text/plain", image.as_bytes()), Ok(Parsed::Image(_))));
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(Parsed::read("", index.as_bytes()), Ok(Parsed::Index(_))));
        let old = Parsed::read(
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            br#"{"schemaVersion":1}"#,
        );
        assert!(matches!(old, Err(Error::MediaType(_))));
        let both =
            format!(r#"{{"schemaVersion":2,"manifests":[],"config":{{"digest":"{digest}","size":1}}}}"#);
        assert!(Parsed::read("", both.as_bytes()).is_err(), "one document must not be two things");
    }
}
