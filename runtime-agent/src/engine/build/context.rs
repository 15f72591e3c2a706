//! What a client sends along: an archive of files, unpacked into a folder of its own that goes with the build.
//!
//! Nothing in it leads out of the folder: names that climb are refused when it is unpacked, links are followed within it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::output::Output;
use crate::engine::Engine;
use crate::engine::dockerfile::{self, clean};
use crate::engine::download::{self, Download};
use crate::engine::error::{Error, Result};
use crate::engine::glob;
use crate::store::archive::Reader;
use crate::store::archive::compression::decompress;
use crate::store::tree::Tree;
use crate::store::unpack::{self, Copying};
use crate::store::{self, Store};

/// Where the context comes from.
pub(crate) enum Origin {
    /// An archive, packed or not.
    Archive(Box<dyn AsyncRead + Send + Unpin>),
    /// An archive or a lone Dockerfile somewhere on the network.
    Url(String),
}

/// The files, and how to reach them.
pub(super) struct Context {
    /// Removed when the build is over.
    _folder: tempfile::TempDir,
    root: Arc<OwnedFd>,
}

impl Context {
    pub(super) async fn receive(
        engine: &Engine,
        origin: Origin,
        may_download: bool,
        output: &Output,
    ) -> Result<Self> {
        let store = engine.images.store().clone();
        match origin {
            Origin::Archive(archive) => {
                let archive = SyncIoBridge::new(archive);
                blocking(move || Self::unpack(&store, archive)).await
            }
            Origin::Url(url) => {
                let said = format!("Downloading {url}\n");
                let fetched = download::fetch(&url, &store, may_download, output.say(&said)).await?;
                blocking(move || Self::from_download(&store, fetched)).await
            }
        }
    }

    /// What the Dockerfile says. It and `.dockerignore` are taken away where the latter says so: clients send both in
    /// any case.
    pub(super) async fn dockerfile(&self, wanted: &str) -> Result<dockerfile::Lines> {
        let (root, name) = (Arc::clone(&self.root), wanted.to_owned());
        blocking(move || {
            let name = if name.is_empty() { DEFAULT.to_owned() } else { clean(&name)[1..].to_owned() };
            let lower = Some(name.to_lowercase()).filter(|_| name == DEFAULT);
            for name in std::iter::once(&name).chain(&lower) {
                if let Some(bytes) = read(&root, name)? {
                    if bytes.is_empty() {
                        return Err(Error::invalid(format!("the Dockerfile ({name}) cannot be empty")));
                    }
                    remove_ignored(&root, name)?;
                    let refused = |why| Error::invalid(format!("failed to parse {name}: {why}"));
                    return dockerfile::read(&bytes).map_err(refused);
                }
            }
            Err(Error::invalid(format!("Cannot locate specified Dockerfile: {name}")))
        })
        .await
    }

    /// Where `COPY` looks things up.
    pub(super) fn root(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.root)
    }

    fn empty(store: &Store) -> Result<Self> {
        let ingest = store.ingest();
        let folder = tempfile::Builder::new().prefix("context-").tempdir_in(&ingest);
        let folder = folder.map_err(failed("making a folder for the build's context"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(folder.path(), flags, Mode::empty());
        let root = root.map_err(|errno| failed("opening the build's context")(errno.into()))?;
        Ok(Self { _folder: folder, root: Arc::new(root) })
    }

    fn unpack(store: &Store, archive: impl Read) -> Result<Self> {
        let context = Self::empty(store)?;
        let unpacked = || -> store::Result<()> {
            let archive = BufReader::with_capacity(BUFFER, archive);
            let (contents, _) = decompress(archive).map_err(store::Error::ArchiveBroke)?;
            let mut archive = Reader::new(BufReader::with_capacity(BUFFER, contents));
            unpack::copy(&mut archive, context.tree()?, &Copying::default())?;
            // Clients send zeros to the end of a record, and expect them to be taken.
            std::io::copy(&mut archive.into_inner(), &mut std::io::sink())
                .map(drop)
                .map_err(store::Error::ArchiveBroke)
        };
        unpacked().map_err(|error| {
            Error::invalid(Error::internal("Error processing tar file", error).to_string())
        })?;
        Ok(context)
    }

    fn from_download(store: &Store, mut fetched: Download) -> Result<Self> {
        if fetched.is_archive() {
            let file = fetched.file.reopen().map_err(failed("reading the build's context"))?;
            return Self::unpack(store, file);
        }
        let context = Self::empty(store)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&*context.root, DEFAULT, flags, Mode::from_raw_mode(0o600));
        let mut file = File::from(file.map_err(|errno| failed("writing the Dockerfile")(errno.into()))?);
        std::io::copy(fetched.file.as_file_mut(), &mut file).map_err(failed("writing the Dockerfile"))?;
        Ok(context)
    }

    fn tree(&self) -> store::Result<Tree> {
        let root = rustix::io::fcntl_dupfd_cloexec(&*self.root, 0);
        root.map(Tree::over).map_err(store::Error::os("open", "the build's context"))
    }
}

/// A small file's contents, links followed within the context; `None` when there is none.
fn read(root: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>> {
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat2(root, name, flags, Mode::empty(), how);
    let file = match opened {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        opened => File::from(opened.map_err(|errno| failed("opening the Dockerfile")(errno.into()))?),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed("reading the Dockerfile"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::invalid(format!("{name} is longer than {LARGEST} bytes")));
    }
    Ok(Some(bytes))
}

fn remove_ignored(root: &OwnedFd, dockerfile: &str) -> Result<()> {
    let Some(ignored) = read(root, IGNORE)? else { return Ok(()) };
    let ignored = String::from_utf8_lossy(&ignored).into_owned();
    for name in [IGNORE, dockerfile].into_iter().filter(|name| is_ignored(name, &ignored)) {
        match rustix::fs::unlinkat(root, name, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => tracing::warn!(%errno, name, "an ignored file stays in the context"),
        }
    }
    Ok(())
}

/// The last line that fits decides; a line fits what is below it, too.
fn is_ignored(name: &str, patterns: &str) -> bool {
    let lines = patterns.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut ignored = false;
    for line in lines {
        let (pattern, ignores) =
            line.strip_prefix('!').map_or((line, true), |pattern| (pattern.trim(), false));
        let pattern = clean(pattern);
        let above = name.match_indices('/').map(|(at, _)| &name[..at]);
        if std::iter::once(name).chain(above).any(|name| glob::matches_deep(&pattern[1..], name)) {
            ignored = ignores;
        }
    }
    ignored
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::internal("reading the build's context", e))?
}

fn failed(doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::internal(doing, error)
}

const DEFAULT: &str = "Dockerfile";
const IGNORE: &str = ".dockerignore";
/// Far above any real Dockerfile.
const LARGEST: u64 = 4 << 20;
const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_fits_decides() {
        for (patterns, expected) in [
            ("Dockerfile", true),
            ("# Dockerfile", false),
            ("/Docker*\n", true),
            ("*\n!Dockerfile", false),
            ("**/Dockerfile", true),
            ("sub/Dockerfile", false),
            ("!Dockerfile\n./Dockerfile/", true),
        ] {
            assert_eq!(is_ignored("Dockerfile", patterns), expected, "{patterns:?}");
        }
        assert!(is_ignored("a/b/Dockerfile", "a"));
    }
}
