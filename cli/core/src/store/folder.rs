//! The store in a folder of this computer.
//!
//! What it writes is short, so it writes at once instead of on another thread: a command that is dropped leaves no
//! write behind that could come later.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use wharf_driver::{Clock, MachineName, StoreId};

use crate::entropy::Entropy;
use crate::journal::{Entry, parse, write_line};
use crate::store::layout::Layout;
use crate::store::lock::{self, Holder, Try, look, try_lock};
use crate::store::replace::{failed, make_folder, replace, sync_folder};
use crate::store::{Lease, Store, Subject, Wait, identity, sweep};
use crate::{Error, Kind, Result};

const POLL: Duration = Duration::from_millis(50);

/// A store in a folder.
#[derive(Debug)]
pub struct Folder {
    layout: Layout,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    swept: Once,
}

/// What a lease keeps: the lock, and where the journal goes on.
#[derive(Debug)]
struct Guard {
    lock: Mutex<File>,
    tail: Mutex<Tail>,
}

#[derive(Debug, Default)]
struct Tail {
    number: u64,
    length: u64,
    sum: String,
}

impl Folder {
    /// The store in `root`, which is made when something is first written.
    #[must_use]
    pub fn new(root: PathBuf, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { layout: Layout::new(root), clock, entropy, swept: Once::new() }
    }

    /// Takes away what commands that were cut off left: of machines that were forgotten, and of those never begun. What
    /// it would take a look into every journal to find is left for the first lock: whoever only reads is spared it.
    pub fn sweep(&self) {
        sweep::at_a_glance(&self.layout);
    }

    async fn take(&self, subject: &Subject, wait: &Wait<'_>) -> Result<File> {
        let path = self.layout.lock(subject);
        let mut said = false;
        loop {
            make_folder(&self.layout.folder(subject)).map_err(|e| failed("make the folder of", &path, e))?;
            let holder = match try_lock(&path) {
                Ok(Try::Taken(file)) => return Ok(file),
                Ok(Try::Moved) => continue,
                // The folder was forgotten between our making it and our opening the file in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Ok(Try::Held(holder)) => holder,
                Err(error) => return Err(failed("lock", &path, error)),
            };
            if !said {
                (wait.held)(&holder.describe());
                said = true;
            }
            self.pause(subject, wait, &holder).await?;
        }
    }

    async fn pause(&self, subject: &Subject, wait: &Wait<'_>, holder: &Holder) -> Result<()> {
        if self.clock.now() >= wait.until {
            let what = subject.describe();
            return Err(Error::new(Kind::Locked, format!("{what} is held by {}", holder.describe()))
                .hint("wait until that command has ended, or end it"));
        }
        tokio::select! {
            () = wait.cancel.cancelled() => Err(Error::new(Kind::Cancelled, "interrupted while waiting for a lock")),
            () = self.clock.sleep(POLL) => Ok(()),
        }
    }

    /// Reads the journal's end, cutting a torn last line: nothing was done on its strength.
    fn open_tail(&self, subject: &Subject) -> Result<(Tail, u64, usize)> {
        let Subject::Machine(name) = subject else { return Ok((Tail::default(), 0, 0)) };
        let path = self.layout.journal(name);
        let Some(bytes) = read_if_there(&path)? else { return Ok((Tail::default(), 0, 0)) };
        // A damaged journal is reported by whoever reads it; under its lock it may still be forgotten.
        let Ok(lines) = parse(&bytes) else {
            return Ok((Tail { number: u64::MAX, ..Tail::default() }, 0, 0));
        };
        if lines.torn > 0 {
            let cut = OpenOptions::new().write(true).open(&path).and_then(|file| {
                file.set_len(lines.whole as u64)?;
                file.sync_all()
            });
            cut.map_err(|e| failed("cut the torn last line of", &path, e))?;
        }
        let fence = lines.entries.last().map_or(0, |entry| entry.fence);
        let tail = Tail { number: lines.entries.len() as u64, length: lines.whole as u64, sum: lines.sum };
        Ok((tail, fence, lines.torn))
    }

    fn take_over(&self, subject: &Subject, mut file: File, command: &str) -> Result<Lease> {
        let (tail, written, torn) = self.open_tail(subject)?;
        let fence = lock::read(&mut file).fence.max(written) + 1;
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let holder = Holder { fence, process: std::process::id(), command: command.to_owned(), since };
        lock::write(&mut file, &holder).map_err(|e| failed("write", &self.layout.lock(subject), e))?;
        let guard = Guard { lock: Mutex::new(file), tail: Mutex::new(tail) };
        Ok(Lease::new(subject.clone(), fence, torn, CancellationToken::new(), Box::new(guard)))
    }

    fn append_now(&self, lease: &Lease, entry: &Entry) -> Result<()> {
        let Subject::Machine(name) = &lease.subject else {
            return Err(Error::new(Kind::Failed, "only machines have journals"));
        };
        let guard = self.guard(lease)?;
        let mut tail = guard.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if entry.number != tail.number.wrapping_add(1) {
            let message = format!("event {} cannot follow event {}", entry.number, tail.number);
            return Err(Error::new(Kind::Failed, message));
        }
        let path = self.layout.journal(name);
        let (line, sum) = write_line(&tail.sum, entry)
            .map_err(|e| Error::new(Kind::Failed, format!("cannot write an event as JSON: {e}")))?;
        append_line(&path, &line, tail.length).map_err(|e| failed("write", &path, e))?;
        *tail = Tail { number: entry.number, length: tail.length + line.len() as u64, sum };
        Ok(())
    }

    /// The lease's guard, if it is still the newest lease.
    fn guard<'a>(&self, lease: &'a Lease) -> Result<&'a Guard> {
        let lost = || Error::new(Kind::Locked, "the lock was lost to another command");
        let guard = lease.guard::<Guard>().ok_or_else(lost)?;
        let mut file = guard.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.layout.lock(&lease.subject);
        let there = lock::still_there(&file, &path).map_err(|e| failed("read", &path, e))?;
        if there && lock::read(&mut file).fence == lease.fence { Ok(guard) } else { Err(lost()) }
    }

    fn forget_now(&self, lease: &Lease) -> Result<()> {
        self.guard(lease)?;
        let folder = self.layout.folder(&lease.subject);
        let mut fresh = [0; 8];
        self.entropy.fill(&mut fresh)?;
        let removed = self.layout.removed();
        let target = removed.join(hex::encode(fresh));
        let aside = || make_folder(&removed).and_then(|()| fs::rename(&folder, &target));
        // Another command may sweep between the two.
        let moved = aside().or_else(|e| if e.kind() == io::ErrorKind::NotFound { aside() } else { Err(e) });
        moved
            .and_then(|()| sync_folder(&self.layout.machines()))
            .map_err(|e| failed("remove", &folder, e))?;
        match fs::remove_dir_all(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &target, error)),
            _ => Ok(()),
        }
    }
}

impl Store for Folder {
    fn id(&self) -> BoxFuture<'_, Result<StoreId>> {
        Box::pin(async {
            let mut fresh = [0; 8];
            self.entropy.fill(&mut fresh)?;
            identity::read_or_make(&self.layout, fresh)
        })
    }

    fn machines(&self) -> BoxFuture<'_, Result<Vec<MachineName>>> {
        Box::pin(async {
            let folder = self.layout.machines();
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(failed("read", &folder, error)),
            };
            let mut names = Vec::new();
            for entry in entries {
                let entry = entry.map_err(|e| failed("read", &folder, e))?;
                let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                // A folder without events is a create that was refused or cut off before it began.
                if fs::metadata(self.layout.journal(&name)).is_ok_and(|journal| journal.len() > 0) {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        })
    }

    fn lock<'a>(&'a self, subject: &'a Subject, wait: &'a Wait<'a>) -> BoxFuture<'a, Result<Lease>> {
        Box::pin(async move {
            self.swept.call_once(|| sweep::thoroughly(&self.layout));
            let file = self.take(subject, wait).await?;
            self.take_over(subject, file, wait.holder)
        })
    }

    fn journal<'a>(&'a self, name: &'a MachineName) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(async move {
            let path = self.layout.journal(name);
            let Some(bytes) = read_if_there(&path)? else { return Ok(Vec::new()) };
            let lines = parse(&bytes).map_err(|damage| {
                Error::new(Kind::Failed, format!("machine `{name}`: {damage}"))
                    .fact("journal", path.display().to_string())
                    .hint(format!(
                        "bring the file back from a backup; `wharf rm --force {name}` forgets the machine and leaves \
                         what it is made of"
                    ))
                    .caused_by(damage)
            })?;
            Ok(lines.entries)
        })
    }

    fn append<'a>(&'a self, lease: &'a Lease, entry: &'a Entry) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.append_now(lease, entry) })
    }

    fn put<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.guard(lease)?;
            let path = self.layout.folder(&lease.subject).join(file);
            let made = path.parent().map_or(Ok(()), make_folder);
            made.and_then(|()| replace(&path, bytes)).map_err(|e| failed("write", &path, e))
        })
    }

    fn delete<'a>(&'a self, lease: &'a Lease, file: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.guard(lease)?;
            let path = self.layout.folder(&lease.subject).join(file);
            let removed = match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                removed => removed.and_then(|()| path.parent().map_or(Ok(()), sync_folder)),
            };
            removed.map_err(|e| failed("remove", &path, e))
        })
    }

    fn get<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move { read_if_there(&self.layout.folder(subject).join(file)) })
    }

    fn put_own<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        self.put(lease, file, bytes)
    }

    fn own<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.get(subject, file)
    }

    fn path(&self, subject: &Subject) -> PathBuf {
        self.layout.folder(subject)
    }

    fn holder<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async {
            let path = self.layout.lock(subject);
            match look(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                looked => looked.map_err(|e| failed("read", &path, e)),
            }
        })
    }

    fn unlock<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let Some(by) = self.holder(subject).await? else { return Ok(()) };
            let message = format!("{} is held by {by}, which is running", subject.describe());
            Err(Error::new(Kind::Locked, message)
                .hint("end that command: a lock of this computer ends with it"))
        })
    }

    fn forget<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.forget_now(lease) })
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// Appends and syncs. After a failure, as on a full disk, the file is as long as before.
fn append_line(path: &Path, line: &[u8], length: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let written = file.write_all(line).and_then(|()| file.sync_all());
    if written.is_err() {
        // If this fails too, the half line is torn and the next reader cuts it.
        drop(file.set_len(length));
    }
    written?;
    if length == 0 { path.parent().map_or(Ok(()), sync_folder) } else { Ok(()) }
}
