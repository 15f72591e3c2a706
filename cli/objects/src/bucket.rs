//! Objects under one prefix: read, listed, removed, and written only under a condition. Every call ends in time, and
//! errors are in words.
//!
//! An answer may be lost after its write took effect. The write is then sent again, and refused by itself: so a refusal
//! counts only if what is there is not what was to be written. No two writers ever write the same bytes to one key.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use wharf_core::{Error, Kind, Result};
use wharf_driver::Clock;

/// What was read, and by which it can be replaced.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) version: UpdateVersion,
}

/// What came of a write that had a condition.
#[derive(Debug)]
pub(crate) enum Written {
    Done(UpdateVersion),
    /// Something else is there.
    Refused,
}

/// The objects.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    clock: Arc<dyn Clock>,
    /// Every write ends within this, and every attempt at a reading.
    timeout: Duration,
}

impl Bucket {
    pub(crate) fn new(
        objects: Arc<dyn ObjectStore>,
        prefix: Path,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Self {
        Self { objects, prefix, clock, timeout }
    }

    /// The object; `None` when it is not there.
    pub(crate) async fn read(&self, key: &Path) -> Result<Option<Object>> {
        self.again_if_late("read", key, || self.read_patiently(key)).await
    }

    /// Writes the object if there is none.
    pub(crate) async fn create(&self, key: &Path, bytes: Vec<u8>) -> Result<Written> {
        self.write(key, bytes.into(), PutMode::Create).await
    }

    /// Replaces the object if it is still that one.
    pub(crate) async fn update(
        &self,
        key: &Path,
        bytes: Vec<u8>,
        version: &UpdateVersion,
    ) -> Result<Written> {
        self.write(key, bytes.into(), PutMode::Update(version.clone())).await
    }

    /// Removes the object. Being gone already is success.
    pub(crate) async fn delete(&self, key: &Path) -> Result<()> {
        let deleting = async {
            match self.objects.delete(&self.under(key)).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
                Err(error) => Err(failed("remove", key, &error)),
            }
        };
        self.in_time("remove", key, deleting).await
    }

    /// The keys below `folder`, in order.
    pub(crate) async fn list(&self, folder: &Path) -> Result<Vec<Path>> {
        let mut keys = self.again_if_late("list", folder, || self.list_once(folder)).await?;
        keys.sort();
        Ok(keys)
    }

    async fn list_once(&self, folder: &Path) -> Result<Vec<Path>> {
        let whole = self.under(folder);
        let found =
            self.objects.list(Some(&whole)).map_ok(|found| found.location).try_collect::<Vec<_>>().await;
        let below = found.map_err(|error| failed("list", folder, &error))?.into_iter().filter_map(|key| {
            let parts: Vec<_> = key.prefix_match(&self.prefix)?.collect();
            Some(Path::from_iter(parts))
        });
        Ok(below.collect())
    }

    async fn read_patiently(&self, key: &Path) -> Result<Option<Object>> {
        let mut tries = 0;
        loop {
            match self.read_once(key).await {
                Err(error) if tries < TRIES && may_pass(&error) => {
                    tries += 1;
                    self.clock.sleep(PAUSE * tries).await;
                }
                Err(error) => return Err(failed("read", key, &error)),
                Ok(object) => return Ok(object),
            }
        }
    }

    async fn read_once(&self, key: &Path) -> object_store::Result<Option<Object>> {
        let got = match self.objects.get(&self.under(key)).await {
            Ok(got) => got,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let version = UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        Ok(Some(Object { bytes: got.bytes().await?, version }))
    }

    async fn write(&self, key: &Path, bytes: Bytes, mode: PutMode) -> Result<Written> {
        self.in_time("write", key, self.write_patiently(key, bytes, mode)).await
    }

    async fn write_patiently(&self, key: &Path, bytes: Bytes, mode: PutMode) -> Result<Written> {
        let mut tries = 0;
        loop {
            let options = PutOptions { mode: mode.clone(), ..PutOptions::default() };
            let put = self.objects.put_opts(&self.under(key), PutPayload::from(bytes.clone()), options).await;
            let error = match put {
                Ok(done) => {
                    return Ok(Written::Done(UpdateVersion { e_tag: done.e_tag, version: done.version }));
                }
                Err(error) => error,
            };
            if is_refusal(&error) {
                match self.read_patiently(key).await? {
                    Some(there) if there.bytes == bytes => return Ok(Written::Done(there.version)),
                    // Refused because somebody else's write was under way, which then failed.
                    None if matches!(mode, PutMode::Create) && tries < TRIES => {}
                    _ => return Ok(Written::Refused),
                }
            } else if tries >= TRIES || !may_pass(&error) {
                return Err(failed("write", key, &error));
            }
            tries += 1;
            self.clock.sleep(PAUSE * tries).await;
        }
    }

    /// No lease hangs on a reading: one that gets no answer is sent again.
    async fn again_if_late<T, F: Future<Output = Result<T>>>(
        &self,
        what: &str,
        key: &Path,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T> {
        for _ in 1..READINGS {
            tokio::select! {
                biased;
                done = attempt() => return done,
                () = self.clock.sleep(self.timeout) => {}
            }
        }
        self.in_time(what, key, attempt()).await
    }

    async fn in_time<T>(&self, what: &str, key: &Path, doing: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            done = doing => done,
            () = self.clock.sleep(self.timeout) => {
                let message = format!("cannot {what} `{key}` in the shared store: no answer in {} s", self.timeout.as_secs());
                Err(Error::new(Kind::Unreachable, message).hint(REACH))
            }
        }
    }

    fn under(&self, key: &Path) -> Path {
        Path::from_iter(self.prefix.parts().chain(key.parts()))
    }
}

fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::AlreadyExists { .. } | StoreError::Precondition { .. })
}

/// Whether the same call may go well a moment later.
fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Generic { .. } | StoreError::JoinError { .. })
}

/// The error of a failed call. What a store says may quote a signed address: signatures are taken out.
pub(crate) fn failed(what: &str, key: &Path, error: &StoreError) -> Error {
    if let Some(own) = own(error) {
        return own.again();
    }
    let (kind, hint) = match error {
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            (Kind::NotAllowed, "check the credentials that the environment holds, and what they may do there")
        }
        StoreError::NotFound { .. } => {
            (Kind::Refused, "check the name of the bucket or container: wharf makes none")
        }
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } => {
            (Kind::Refused, "use a store that writes under conditions")
        }
        _ => (Kind::Unreachable, REACH),
    };
    Error::new(kind, format!("cannot {what} `{key}` in the shared store: {}", without_signatures(error)))
        .hint(hint)
}

/// What we said ourselves, to whoever called for us.
fn own(error: &StoreError) -> Option<&Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if let Some(own) = one.downcast_ref() {
            return Some(own);
        }
        cause = one.source();
    }
    None
}

fn without_signatures(error: &StoreError) -> String {
    let text = error.to_string();
    let mut parts = text.split("sig=");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("sig=…");
        clean.push_str(
            part.find(|c: char| !c.is_ascii_alphanumeric() && c != '%').map_or("", |end| &part[end..]),
        );
    }
    clean
}

const TRIES: u32 = 3;
/// How often a reading is sent before its silence is an error.
const READINGS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
const REACH: &str = "check the endpoint, the network, and whether a proxy is needed (HTTPS_PROXY)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_not_shown() {
        let source = "GET https://a.example/c?sv=1&sig=aB%2Fc&se=2 said no".into();
        let error = failed("read", &Path::from("x"), &StoreError::Generic { store: "a", source });
        assert!(error.to_string().contains("sig=…&se=2 said no"), "{error}");
    }
}
