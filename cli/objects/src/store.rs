//! The seam of stores, kept over an object store.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, OwnedMutexGuard};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use wharf_core::journal::{Entry, write_line};
use wharf_core::store::{self, Lease, Store, Subject, Wait};
use wharf_core::{Entropy, Error, Kind, MachineName, Result};
use wharf_driver::{Clock, StoreId};

use crate::bucket::{Bucket, Written};
use crate::held::{Held, lost};
use crate::index::{self, Index, Row};
use crate::journal::{Journals, Read, seal};
use crate::lease::{self, Holder, Times};
use crate::{layout, probe};

/// Where a shared store is and who asks.
#[derive(Debug, Clone)]
pub struct Place {
    /// The objects.
    pub objects: Arc<dyn ObjectStore>,
    /// What all keys begin with.
    pub prefix: Path,
    /// How people name it.
    pub name: String,
    /// The folder for what stays on this computer.
    pub own: PathBuf,
    /// Who asks, for others who wait: `user@computer`.
    pub person: String,
    /// How long things take.
    pub times: Times,
}

/// A store in an object store.
#[derive(Debug)]
pub struct Objects {
    place: Place,
    bucket: Bucket,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    id: OnceCell<StoreId>,
    journals: Journals,
    gates: Mutex<HashMap<Subject, Arc<Gate>>>,
    keeping: TaskTracker,
    letting_go: TaskTracker,
}

/// Who is next within this program: one asks the store at a time.
#[derive(Debug, Default)]
struct Gate {
    turn: Arc<tokio::sync::Mutex<()>>,
    holder: Mutex<String>,
    /// The life of the machine's name, while its lease is held here; 0 otherwise.
    life: AtomicU64,
}

/// What a lease keeps.
struct Guard {
    held: Arc<Held>,
    gate: Arc<Gate>,
    tail: tokio::sync::Mutex<Option<Tail>>,
    letting_go: TaskTracker,
    _release: DropGuard,
}

/// Where the journal goes on.
#[derive(Debug)]
struct Tail {
    object: u64,
    event: u64,
    sum: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    version: u32,
    id: StoreId,
}

/// What stands before a file's bytes, so that no two holders write the same object. A file that was taken away is one
/// that says so: objects are removed without a condition, by whoever asks last.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    fence: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

impl Objects {
    /// The store at `place`. Nothing is asked yet.
    #[must_use]
    pub fn new(place: Place, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let bucket = Bucket::new(
            Arc::clone(&place.objects),
            place.prefix.clone(),
            Arc::clone(&clock),
            place.times.call,
        );
        Self {
            place,
            bucket,
            clock,
            entropy,
            id: OnceCell::new(),
            journals: Journals::default(),
            gates: Mutex::default(),
            keeping: TaskTracker::new(),
            letting_go: TaskTracker::new(),
        }
    }

    /// Makes the store, once it is proven that its objects can be written under conditions. One that is there stays.
    ///
    /// # Errors
    /// Refused when conditions are ignored there.
    pub async fn init(&self) -> Result<StoreId> {
        let own = format!("probe-{}", self.fresh()?);
        let key = Path::from_iter(self.place.prefix.parts().chain(Path::from(own).parts()));
        probe::prove(&self.place.objects, &key).await.map_err(|e| e.during(&self.place.name))?;
        let identity = Identity { version: LAYOUT_VERSION, id: StoreId(self.fresh()?) };
        let bytes = serde_json::to_vec(&identity).map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
        match self.bucket.create(&layout::identity(), bytes).await? {
            Written::Done(_) => Ok(identity.id),
            Written::Refused => self.opened().await.cloned(),
        }
    }

    /// The store's id, once it is known that there is one and that this release knows its layout.
    async fn opened(&self) -> Result<&StoreId> {
        self.id.get_or_try_init(|| self.identify()).await
    }

    async fn identify(&self) -> Result<StoreId> {
        let Some(object) = self.bucket.read(&layout::identity()).await? else {
            let message = format!("there is no store at {}", self.place.name);
            return Err(Error::new(Kind::Refused, message)
                .hint(format!("`wharf store init {}` makes one", self.place.name)));
        };
        let identity: Identity = serde_json::from_slice(&object.bytes).map_err(|e| {
            Error::new(Kind::Failed, format!("`store.json` at {} is damaged: {e}", self.place.name))
                .hint("bring the object back from an older version of it")
        })?;
        if identity.version > LAYOUT_VERSION {
            let message =
                format!("the store has layout {}, and this release knows {LAYOUT_VERSION}", identity.version);
            return Err(
                Error::new(Kind::Refused, message).hint("use the newer release of wharf that wrote it")
            );
        }
        Ok(identity.id)
    }

    fn fresh(&self) -> Result<String> {
        let mut fresh = [0; 8];
        self.entropy.fill(&mut fresh)?;
        Ok(hex::encode(fresh))
    }

    fn gate(&self, subject: &Subject) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gates.entry(subject.clone()).or_default())
    }

    /// Waits for other commands of this program.
    async fn turn(&self, gate: &Gate, subject: &Subject, wait: &Wait<'_>) -> Result<OwnedMutexGuard<()>> {
        let mut said = false;
        loop {
            if let Ok(turn) = Arc::clone(&gate.turn).try_lock_owned() {
                return Ok(turn);
            }
            let by = gate.holder.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if !said && !by.is_empty() {
                (wait.held)(&by);
                said = true;
            }
            tokio::select! {
                biased;
                turn = Arc::clone(&gate.turn).lock_owned() => return Ok(turn),
                paused = lease::pause(&*self.clock, self.place.times.poll, subject, &by, wait) => paused?,
            }
        }
    }

    async fn take(&self, subject: &Subject, wait: &Wait<'_>) -> Result<Lease> {
        self.opened().await?;
        let gate = self.gate(subject);
        let turn = self.turn(&gate, subject, wait).await?;
        let holder = Holder {
            command: wait.holder.to_owned(),
            person: self.place.person.clone(),
            process: std::process::id(),
            since: self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            lasts_ms: u64::try_from(self.place.times.lease.as_millis()).unwrap_or(u64::MAX),
        };
        *gate.holder.lock().unwrap_or_else(PoisonError::into_inner) = holder.describe();
        let asks = (subject, holder, self.fresh()?);
        let taken = lease::take(&self.bucket, &*self.clock, self.place.times, asks, wait).await?;
        let (unsettled, ended) = (taken.unsettled, CancellationToken::new());
        let (clock, key) = (Arc::clone(&self.clock), layout::lease(subject));
        let held = Held::new(self.bucket.clone(), clock, self.place.times, key, (taken, ended.clone()));
        let held = Arc::new(held);
        let released = CancellationToken::new();
        self.keeping.spawn(Arc::clone(&held).keep(released.clone(), turn));
        gate.life.store(held.life, Ordering::SeqCst);
        let guard = Guard {
            held: Arc::clone(&held),
            gate,
            tail: tokio::sync::Mutex::new(None),
            letting_go: self.letting_go.clone(),
            _release: released.drop_guard(),
        };
        if let Subject::Machine(name) = subject
            && held.life == held.fence
            && held.fence > 1
        {
            self.clear(name, held.life - 1).await;
        }
        if unsettled {
            // Until that is done, what the last holder has on its way is ours to reckon with, too.
            held.opened();
            self.seal(subject, &held).await?;
            held.closed();
        }
        Ok(Lease::new(subject.clone(), held.fence, 0, ended, Box::new(guard)))
    }

    /// Makes sure that nothing of an earlier holder can get there any more.
    async fn seal(&self, subject: &Subject, held: &Held) -> Result<()> {
        if let Subject::Machine(name) = subject {
            seal(&self.bucket, name, held.life, held.fence).await?;
        }
        for key in self.bucket.list(&layout::files(subject, held.life)).await? {
            let mut tries = 0;
            while let Some(object) = self.bucket.read(&key).await? {
                let (header, bytes) = unwrapped(&key, &object.bytes)?;
                let again = wrapped(&Header { fence: held.fence, ..header }, bytes)?;
                if let Written::Done(_) = self.bucket.update(&key, again, &object.version).await? {
                    break;
                }
                tries += 1;
                if tries > TRIES {
                    return Err(lost());
                }
            }
        }
        Ok(())
    }

    /// Which life of a name is the current one; 0 where there is none.
    async fn life(&self, name: &MachineName) -> Result<u64> {
        let subject = Subject::Machine(name.clone());
        let held = self.gate(&subject).life.load(Ordering::SeqCst);
        if held != 0 {
            return Ok(held);
        }
        let there = lease::read(&self.bucket, &layout::lease(&subject)).await?;
        Ok(there.map_or(0, |(record, ..)| record.life))
    }

    /// The journal of the life that is the current one when this returns.
    async fn current(&self, name: &MachineName) -> Result<Option<Read>> {
        let mut life = self.life(name).await?;
        loop {
            if life == 0 {
                return Ok(None);
            }
            let read = self.journals.read(&self.bucket, name, life).await;
            let Err(error) = read else { return read.map(Some) };
            // It may have been forgotten while it was read.
            let now = self.life(name).await?;
            if now == life {
                return Err(error);
            }
            life = now;
        }
    }

    async fn append_now(&self, lease: &Lease, entry: &Entry) -> Result<()> {
        let Subject::Machine(name) = &lease.subject else {
            return Err(Error::new(Kind::Failed, "only machines have journals"));
        };
        let guard = guard(lease)?;
        let mut tail = guard.tail.lock().await;
        guard.held.outlasts_a_call().await?;
        let at = match tail.take() {
            Some(at) => at,
            None => Tail::of(self.journals.read(&self.bucket, name, guard.held.life).await?),
        };
        if entry.number != at.event + 1 {
            let message = format!("event {} cannot follow event {}", entry.number, at.event);
            *tail = Some(at);
            return Err(Error::new(Kind::Failed, message));
        }
        let (line, sum) = write_line(&at.sum, entry)
            .map_err(|e| Error::new(Kind::Failed, format!("cannot write an event as JSON: {e}")))?;
        let key = layout::event(name, guard.held.life, at.object + 1);
        guard.held.outlasts_a_call().await?;
        guard.held.opened();
        match self.bucket.create(&key, line).await? {
            Written::Done(_) => {
                guard.held.closed();
                *tail = Some(Tail { object: at.object + 1, event: entry.number, sum });
                Ok(())
            }
            Written::Refused => {
                guard.held.lose();
                Err(lost())
            }
        }
    }

    async fn replace(&self, lease: &Lease, file: &str, bytes: Option<&[u8]>) -> Result<()> {
        let held = &guard(lease)?.held;
        let header = Header { fence: held.fence, gone: bytes.is_none() };
        let key = layout::file(&lease.subject, held.life, file);
        for _ in 0..TRIES {
            held.outlasts_a_call().await?;
            let there = self.bucket.read(&key).await?;
            if let Some(object) = &there
                && unwrapped(&key, &object.bytes)?.0.fence > held.fence
            {
                held.lose();
                return Err(lost());
            }
            let new = wrapped(&header, bytes.unwrap_or_default())?;
            held.outlasts_a_call().await?;
            held.opened();
            let written = match &there {
                None => self.bucket.create(&key, new).await?,
                Some(object) => self.bucket.update(&key, new, &object.version).await?,
            };
            held.closed();
            if let Written::Done(_) = written {
                return Ok(());
            }
            // What an earlier holder had on its way got there first, or what a later one wrote.
            held.renew().await?;
        }
        Err(lost())
    }

    async fn get_now(&self, subject: &Subject, file: &str) -> Result<Option<Vec<u8>>> {
        self.opened().await?;
        let life = match subject {
            Subject::Machine(name) => self.life(name).await?,
            _ => 0,
        };
        let key = layout::file(subject, life, file);
        let Some(object) = self.bucket.read(&key).await? else { return Ok(None) };
        let (header, bytes) = unwrapped(&key, &object.bytes)?;
        Ok((!header.gone).then(|| bytes.to_vec()))
    }

    async fn forget_now(&self, lease: &Lease) -> Result<()> {
        let Subject::Machine(name) = &lease.subject else {
            return Err(Error::new(Kind::Failed, "only machines can be forgotten"));
        };
        let guard = guard(lease)?;
        guard.held.outlasts_a_call().await?;
        guard.held.forget().await?;
        guard.gate.life.store(0, Ordering::SeqCst);
        // For whoever lists; the lease has it already.
        let over = layout::forgotten(name, guard.held.life);
        self.bucket.create(&over, b"{}\n".to_vec()).await?;
        match std::fs::remove_dir_all(self.path(&lease.subject)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, "files of a machine that is forgotten stay on this computer");
            }
            _ => {}
        }
        // It is forgotten already; what stays is found by nobody, and the next life of the name tries again.
        self.clear(name, guard.held.life).await;
        Ok(())
    }

    /// Removes what the lives of a name up to `last` left, as far as that is possible.
    async fn clear(&self, name: &MachineName, last: u64) {
        if let Err(error) = self.remove_lives(name, last).await {
            tracing::debug!(%error, "objects of a machine that is forgotten stay in the store");
        }
    }

    async fn remove_lives(&self, name: &MachineName, last: u64) -> Result<()> {
        let keys = self.bucket.list(&layout::machine(name)).await?;
        let life = |key: &Path| key.parts().nth(2).and_then(|part| part.as_ref().parse::<u64>().ok());
        let gone = keys.into_iter().filter(|key| life(key).is_some_and(|life| life <= last));
        // What says that a life is over goes last.
        let (over, gone): (Vec<_>, Vec<_>) = gone.partition(|key| key.filename() == Some("forgotten"));
        self.remove(gone).await?;
        self.remove(over).await
    }

    async fn remove(&self, gone: Vec<Path>) -> Result<()> {
        let removing = gone.into_iter().map(|key| async move { self.bucket.delete(&key).await });
        futures_util::stream::iter(removing).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The journals of all machines that have begun. One list and one read, where the index has them all.
    async fn all(&self) -> Result<Vec<store::Journal>> {
        self.opened().await?;
        let listed = index::list(&self.bucket).await?;
        let (mut index, object) = index::read(&self.bucket).await;
        let mut current = Index::default();
        let copied: Vec<_> = listed.iter().map(|(name, (life, _))| (name.clone(), *life)).collect();
        for (name, life) in &copied {
            let row = index.0.remove(name).filter(|row| row.life == *life);
            self.journals.learn(name, *life, row.map(Row::copies).unwrap_or_default());
        }
        let reading = listed.into_iter().map(|(name, (life, listed))| async move {
            let read = self.journals.read_numbers(&self.bucket, &name, life, listed.numbers).await;
            (name, read)
        });
        let read: Vec<_> = futures_util::stream::iter(reading).buffered(AT_ONCE).collect().await;
        for (name, life) in copied {
            let row = Row::of(life, &self.journals.known(&name, life));
            current.0.insert(name, row);
        }
        if object.as_ref().map(|object| &object.bytes[..]) != serde_json::to_vec(&current).ok().as_deref() {
            index::write(&self.bucket, &current, object).await;
        }
        let mut journals = Vec::new();
        for (name, read) in read {
            match read.map(|read| read.lines.entries) {
                Ok(entries) if entries.is_empty() => {}
                Err(error) if error.kind() != Kind::Failed => return Err(error),
                entries => journals.push((name, entries)),
            }
        }
        Ok(journals)
    }
}

impl Store for Objects {
    fn id(&self) -> BoxFuture<'_, Result<StoreId>> {
        Box::pin(async { self.opened().await.cloned() })
    }

    fn machines(&self) -> BoxFuture<'_, Result<Vec<MachineName>>> {
        Box::pin(async { Ok(self.all().await?.into_iter().map(|(name, _)| name).collect()) })
    }

    fn journals(&self) -> BoxFuture<'_, Result<Vec<store::Journal>>> {
        Box::pin(self.all())
    }

    fn lock<'a>(&'a self, subject: &'a Subject, wait: &'a Wait<'a>) -> BoxFuture<'a, Result<Lease>> {
        Box::pin(self.take(subject, wait))
    }

    fn journal<'a>(&'a self, name: &'a MachineName) -> BoxFuture<'a, Result<Vec<Entry>>> {
        Box::pin(async move {
            self.opened().await?;
            Ok(self.current(name).await?.map(|read| read.lines.entries).unwrap_or_default())
        })
    }

    fn append<'a>(&'a self, lease: &'a Lease, entry: &'a Entry) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.append_now(lease, entry))
    }

    fn put<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.replace(lease, file, Some(bytes)))
    }

    fn delete<'a>(&'a self, lease: &'a Lease, file: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.replace(lease, file, None))
    }

    fn get<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(self.get_now(subject, file))
    }

    fn put_own<'a>(&'a self, lease: &'a Lease, file: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            guard(lease)?.held.outlasts_a_call().await?;
            let path = self.path(&lease.subject).join(file);
            let made = path.parent().map_or(Ok(()), store::make_folder);
            made.and_then(|()| store::replace(&path, bytes)).map_err(|e| store::failed("write", &path, e))
        })
    }

    fn own<'a>(&'a self, subject: &'a Subject, file: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let path = self.path(subject).join(file);
            match std::fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(store::failed("read", &path, error)),
            }
        })
    }

    fn path(&self, subject: &Subject) -> PathBuf {
        layout::folder(subject).parts().fold(self.place.own.clone(), |path, part| path.join(part.as_ref()))
    }

    fn holder<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async {
            self.opened().await?;
            let there = lease::read(&self.bucket, &layout::lease(subject)).await?;
            Ok(there.and_then(|(record, ..)| record.holder).map(|holder| holder.describe()))
        })
    }

    fn unlock<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            self.opened().await?;
            lease::free(&self.bucket, &layout::lease(subject), self.fresh()?).await
        })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.letting_go.close();
            self.letting_go.wait().await;
        })
    }

    fn forget<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.forget_now(lease))
    }
}

impl Tail {
    fn of(read: Read) -> Self {
        Self { object: read.last, event: read.lines.entries.len() as u64, sum: read.lines.sum }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.gate.life.store(0, Ordering::SeqCst);
        self.held.is_let_go_of(self.letting_go.token());
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("held", &self.held).finish_non_exhaustive()
    }
}

fn guard(lease: &Lease) -> Result<&Guard> {
    lease.guard().ok_or_else(lost)
}

fn wrapped(header: &Header, bytes: &[u8]) -> Result<Vec<u8>> {
    let header = serde_json::to_vec(header).map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
    Ok([&header, b"\n".as_slice(), bytes].concat())
}

fn unwrapped<'a>(key: &Path, object: &'a [u8]) -> Result<(Header, &'a [u8])> {
    let end = object.iter().position(|&byte| byte == b'\n');
    let parts = end.and_then(|end| Some((serde_json::from_slice(&object[..end]).ok()?, &object[end + 1..])));
    parts.ok_or_else(|| {
        Error::new(Kind::Failed, format!("`{key}` in the shared store is damaged: it has no header"))
            .hint("bring the object back from an older version of it")
    })
}

const LAYOUT_VERSION: u32 = 1;
const TRIES: usize = 3;
const AT_ONCE: usize = 16;
