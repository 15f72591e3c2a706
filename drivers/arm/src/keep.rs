//! Small answers that are worth keeping between commands, in the cache's folder: safe to delete at any moment, replaced
//! whole, and never needed. A file that cannot be read or written is as good as none.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One answer's place.
#[derive(Debug, Clone)]
pub(crate) struct Keep(PathBuf);

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    /// In seconds since 1970.
    at: u64,
    value: T,
}

impl Keep {
    /// Where `what` about `subject` is kept below `cache`.
    pub(crate) fn new(cache: &Path, what: &str, subject: &str) -> Self {
        let name = hex::encode(Sha256::digest(subject));
        Self(cache.join("arm").join(format!("{what}-{}.json", name.get(..16).unwrap_or(&name))))
    }

    /// The answer, unless it is older than `oldest`.
    pub(crate) fn read<T: DeserializeOwned>(&self, now: SystemTime, oldest: Duration) -> Option<T> {
        let kept: Kept<T> = serde_json::from_slice(&std::fs::read(&self.0).ok()?).ok()?;
        let age = seconds(now).checked_sub(kept.at)?;
        (age <= oldest.as_secs()).then_some(kept.value)
    }

    /// Keeps `value`.
    pub(crate) fn write<T: Serialize>(&self, now: SystemTime, value: &T) {
        let written = self.try_write(&Kept { at: seconds(now), value });
        if let Err(error) = written {
            tracing::debug!(file = %self.0.display(), %error, "not kept");
        }
    }

    fn try_write<T: Serialize>(&self, kept: &Kept<T>) -> std::io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.persist(&self.0).map_err(|error| error.error)?;
        Ok(())
    }
}

fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_ages() {
        let cache = tempfile::tempdir().unwrap();
        let keep = Keep::new(cache.path(), "cloud", "https://management.azure.com");
        let (now, day) = (SystemTime::now(), Duration::from_secs(86_400));
        assert_eq!(keep.read::<String>(now, day), None);
        keep.write(now, &"answer");
        assert_eq!(keep.read::<String>(now, day).as_deref(), Some("answer"));
        assert_eq!(keep.read::<String>(now + day * 2, day), None);
        assert_eq!(keep.read::<u32>(now, day), None, "another shape is no answer");
    }
}
