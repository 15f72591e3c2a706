//! Writing what is copied: an archive from one thread, unpacked by another that sees the new image's files alone.

use std::io::{self, BufReader, BufWriter};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags, Uid};

use super::source::{Content, Source, open};
use crate::engine::containers::inside::Inside;
use crate::engine::containers::user::Accounts;
use crate::engine::dockerfile::clean;
use crate::engine::download::is_archive;
use crate::engine::error::{Error, Result};
use crate::store;
use crate::store::archive::Reader;
use crate::store::archive::compression::decompress;
use crate::store::chamber::{self, Walls};
use crate::store::pack::{Manner, Packer};
use crate::store::snapshots::Loan;
use crate::store::tree::Tree;
use crate::store::unpack::{self, Copying};

/// Where sources go, and how.
pub(super) struct Writing {
    /// Absolute; with a slash at its end a folder.
    pub(super) destination: String,
    pub(super) owner: Option<String>,
    pub(super) keeps_owners: bool,
    /// Whether local archives are unpacked.
    pub(super) unpacks: bool,
}

type Owner = Option<(u32, u32)>;

impl Writing {
    /// Writes everything. Blocking.
    pub(super) fn all(&self, loan: &Loan, sources: Vec<Source>) -> Result<()> {
        let owner = self.owner(&loan.root)?;
        let entered = chamber::enter(Walls::Namespace, &loan.root, &[], |root| {
            sources.into_iter().try_for_each(|source| self.one(root, source, owner))
        });
        let doing = "failed to copy files";
        entered.map_err(|e| Error::internal(doing, e))?.map_err(|e| Error::internal(doing, e))
    }

    /// Whom the copies belong to; `None` is whom the originals do.
    fn owner(&self, root: &Path) -> Result<Owner> {
        let Some(owner) = &self.owner else {
            return Ok((!self.keeps_owners).then_some((0, 0)));
        };
        let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
        let inside = Inside::open(root).map_err(|e| Error::internal("reading the image's accounts", e))?;
        let read = |path| inside.read(path).unwrap_or_default();
        let accounts = Accounts { passwd: read("/etc/passwd"), group: read("/etc/group") };
        let identity = accounts.resolve(&format!("{user}:{group}"), &[]).map_err(|error| {
            Error::invalid(format!("unable to convert uid/gid chown string to host mapping: {error}"))
        })?;
        Ok(Some((identity.uid, identity.gid)))
    }

    fn one(&self, root: &OwnedFd, source: Source, owner: Owner) -> store::Result<()> {
        let (from, path) = match source.content {
            Content::Downloaded(fetched) => {
                let to = self.place(root, &source.name)?;
                return write_file(root, fetched.file.as_file(), &to, owner);
            }
            Content::Below(from, path) => (from, path),
        };
        let found = open(&from, &path, OFlags::PATH).map_err(store::Error::io("open", &path))?;
        if is_folder(&found) {
            let to = self.destination.trim_end_matches('/').to_owned();
            make_folder(root, &to, owner)?;
            return through_archive(root, owner, |packer| {
                packer.contents(open(&from, &path, OFlags::RDONLY | OFlags::DIRECTORY)?, relative(&to))
            });
        }
        if self.unpacks
            && let Ok(file) = open(&from, &path, OFlags::RDONLY)
            && is_archive(file.into())
        {
            let file = open(&from, &path, OFlags::RDONLY).map_err(store::Error::io("open", &path))?;
            return self.unpack(root, file.into());
        }
        let to = self.place(root, &source.name)?;
        through_archive(root, owner, |packer| {
            packer.file_as(&open(&from, &path, OFlags::RDONLY | OFlags::NONBLOCK)?, relative(&to))
        })
    }

    /// Where a file goes: into the destination if that is a folder or is named as one, else under its name.
    fn place(&self, root: &OwnedFd, name: &str) -> store::Result<String> {
        let to = &self.destination;
        let there = open(root, to.trim_start_matches('/'), OFlags::PATH);
        let is_folder = to.ends_with('/') || there.is_ok_and(|found| is_folder(&found));
        let place = if is_folder { format!("{}/{name}", to.trim_end_matches('/')) } else { to.clone() };
        Ok(if is_folder { place } else { through_links(root, place) })
    }

    fn unpack(&self, root: &OwnedFd, file: std::fs::File) -> store::Result<()> {
        let to = self.destination.trim_end_matches('/').to_owned();
        make_folder(root, &to, Some((0, 0)))?;
        let (contents, _) = decompress(BufReader::new(file)).map_err(store::Error::ArchiveBroke)?;
        let copying = Copying { folder: to.into_bytes(), ..Copying::default() };
        unpack::copy(&mut Reader::new(BufReader::new(contents)), tree(root)?, &copying)
    }
}

/// A destination that is a link means what it leads to, in the image, whether that is there or not.
fn through_links(root: &OwnedFd, mut path: String) -> String {
    for _ in 0..LINKS_MAX {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let opened = open(root, relative_text(folder), OFlags::PATH | OFlags::DIRECTORY);
        let target = opened.ok().and_then(|folder| rustix::fs::readlinkat(folder, name, Vec::new()).ok());
        let Some(target) = target.and_then(|target| target.into_string().ok()) else { break };
        path = if target.starts_with('/') { clean(&target) } else { clean(&format!("{folder}/{target}")) };
    }
    path
}

/// As in the kernel.
const LINKS_MAX: usize = 40;

/// Has `pack` write an archive, and unpacks it as it comes.
fn through_archive(
    root: &OwnedFd,
    owner: Owner,
    pack: impl FnOnce(&mut Packer<BufWriter<io::PipeWriter>>) -> io::Result<()> + Send,
) -> store::Result<()> {
    let (reader, writer) = io::pipe().map_err(store::Error::io("pack", "a source"))?;
    let copying = Copying { owner, ..Copying::default() };
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut packer = Packer::new(BufWriter::new(writer), Manner::Plain);
            pack(&mut packer)?;
            packer.finish().map(drop)
        });
        let mut archive = Reader::new(BufReader::new(reader));
        let unpacked = unpack::copy(&mut archive, tree(root)?, &copying);
        drop(archive);
        let packed = packing.join().map_err(|_| store::Error::Stopped)?;
        // The writer's complaint is the cause, unless it only says that nobody reads any more.
        match packed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(store::Error::io("read", "a source")(error))
            }
            _ => unpacked,
        }
    })
}

/// A download has no attributes of its own; dockerd lets only its owner read it.
fn write_file(root: &OwnedFd, file: &std::fs::File, to: &str, owner: Owner) -> store::Result<()> {
    through_archive(root, owner, |packer| {
        rustix::fs::fchmod(file, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
        packer.file_as(file, relative(to))
    })
}

/// Makes a folder that is missing, and gives it to its owner; those above it belong to root.
fn make_folder(root: &OwnedFd, path: &str, owner: Owner) -> store::Result<()> {
    let failed = |doing| store::Error::os(doing, path);
    if open(root, relative_text(path), OFlags::PATH).is_ok_and(|found| is_folder(&found)) {
        return Ok(());
    }
    let Some(place) = tree(root)?.place(path.as_bytes())? else { return Ok(()) };
    let mode = rustix::fs::Mode::from_raw_mode(0o755);
    rustix::fs::mkdirat(&place.folder, &place.name, mode).map_err(failed("make"))?;
    rustix::fs::chmodat(&place.folder, &place.name, mode, AtFlags::empty()).map_err(failed("make"))?;
    let (user, group) = owner.unwrap_or((0, 0));
    let (user, group) = (Uid::from_raw(user), rustix::fs::Gid::from_raw(group));
    rustix::fs::chownat(&place.folder, &place.name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("set the owner of"))
}

fn tree(root: &OwnedFd) -> store::Result<Tree> {
    rustix::io::fcntl_dupfd_cloexec(root, 0).map(Tree::over).map_err(store::Error::os("open", "/"))
}

fn is_folder(found: &OwnedFd) -> bool {
    rustix::fs::fstat(found).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn relative(path: &str) -> &[u8] {
    relative_text(path).as_bytes()
}

fn relative_text(path: &str) -> &str {
    path.trim_start_matches('/')
}
