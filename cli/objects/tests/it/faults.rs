//! Objects behind bad weather: answers are lost after the write took effect, calls are slow, held up or cut, conditions
//! are ignored.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

/// Which conditions are ignored.
pub(crate) type Ignored = fn(&PutMode) -> bool;

/// What befalls the calls.
#[derive(Debug)]
pub(crate) struct Weather {
    lose_every: AtomicUsize,
    writes: AtomicUsize,
    lost: AtomicUsize,
    reads: AtomicUsize,
    unheard: AtomicUsize,
    unanswered: AtomicUsize,
    slow: Mutex<Duration>,
    cut: AtomicBool,
    ignore: Mutex<Option<Ignored>>,
    /// Writes of keys with this in them are held up until it is taken away.
    door: watch::Sender<Option<&'static str>>,
    waiting: watch::Sender<usize>,
}

impl Weather {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            lose_every: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            unheard: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            slow: Mutex::default(),
            cut: AtomicBool::new(false),
            ignore: Mutex::default(),
            door: watch::Sender::new(None),
            waiting: watch::Sender::new(0),
        })
    }

    pub(crate) fn lose_every(&self, writes: usize) {
        self.lose_every.store(writes, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// How many objects were read until now.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// The next `readings` get no answer.
    pub(crate) fn unheard(&self, readings: usize) {
        self.unheard.store(readings, Ordering::Relaxed);
    }

    /// The next `writes` take effect and get no answer.
    pub(crate) fn unanswered(&self, writes: usize) {
        self.unanswered.store(writes, Ordering::Relaxed);
    }

    pub(crate) fn slow(&self, by: Duration) {
        *self.slow.lock().unwrap() = by;
    }

    /// Nothing gets through any more.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    pub(crate) fn ignore(&self, conditions: Ignored) {
        *self.ignore.lock().unwrap() = Some(conditions);
    }

    pub(crate) fn hold_up(&self, keys: &'static str) {
        self.door.send_replace(Some(keys));
    }

    /// Until a write stands at the door.
    pub(crate) async fn somebody_waits(&self) {
        self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.unwrap();
    }

    pub(crate) fn let_through(&self) {
        self.door.send_replace(None);
    }

    async fn pass(&self) -> Result<()> {
        let slow = *self.slow.lock().unwrap();
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        if self.cut.load(Ordering::Relaxed) { Err(failed("the network is cut")) } else { Ok(()) }
    }

    async fn heard(&self) {
        silence(&self.unheard).await;
    }

    async fn door(&self, key: &Path) {
        let mut door = self.door.subscribe();
        let meant = |keys: &Option<&'static str>| keys.is_some_and(|keys| key.as_ref().contains(keys));
        if meant(&door.borrow_and_update()) {
            self.waiting.send_modify(|waiting| *waiting += 1);
            door.wait_for(|keys| !meant(keys)).await.unwrap();
            self.waiting.send_modify(|waiting| *waiting -= 1);
        }
    }
}

/// Objects in that weather.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn ObjectStore>,
    pub(crate) weather: Arc<Weather>,
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, key: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        self.weather.pass().await?;
        // Held up on the way: what is under way gets there even when nobody waits for the answer any more.
        let (inner, weather, key) = (Arc::clone(&self.inner), Arc::clone(&self.weather), key.clone());
        if self.weather.ignore.lock().unwrap().is_some_and(|ignored| ignored(&options.mode)) {
            options.mode = PutMode::Overwrite;
        }
        let under_way = tokio::spawn(async move {
            weather.door(&key).await;
            inner.put_opts(&key, payload, options).await
        });
        let done = under_way.await.unwrap();
        silence(&self.weather.unanswered).await;
        let write = self.weather.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let every = self.weather.lose_every.load(Ordering::Relaxed);
        if every > 0 && write.is_multiple_of(every) {
            self.weather.lost.fetch_add(1, Ordering::Relaxed);
            return Err(failed("the answer is lost"));
        }
        done
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.weather.pass().await?;
        self.weather.heard().await;
        self.weather.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get_opts(key, options).await
    }

    async fn get_ranges(&self, key: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(key, ranges).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let weather = Arc::clone(&self.weather);
        let listed = self.inner.list(prefix);
        let heard = async move { weather.heard().await };
        heard.into_stream().flat_map(|()| stream::empty()).chain(listed).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects in bad weather")
    }
}

/// No answer, as long as there are `left` of those.
async fn silence(left: &AtomicUsize) {
    let one_less = |left: usize| left.checked_sub(1);
    if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
        std::future::pending::<()>().await;
    }
}

fn failed(why: &'static str) -> Error {
    Error::Generic { store: "weather", source: why.into() }
}
