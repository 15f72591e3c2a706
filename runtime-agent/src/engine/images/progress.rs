//! What a pull, load or push tells while it runs.

use tokio::sync::mpsc;

/// One message, in dockerd's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A line that stays, about one layer or tag, or about the whole.
    Status { id: Option<String>, text: String },
    /// A line that the next one about the same layer replaces.
    Bytes { id: String, action: &'static str, current: u64, total: u64 },
    /// An answer for programs, such as the digest of what was pushed.
    Aux(serde_json::Value),
    /// Text that `docker load` prints as it is.
    Stream(String),
}

/// Where messages go. A reader that went away makes it silent.
#[derive(Debug, Clone)]
pub(crate) struct Reporter(mpsc::Sender<Progress>);

impl Reporter {
    pub(crate) const fn new(sender: mpsc::Sender<Progress>) -> Self {
        Self(sender)
    }

    /// Where nobody reads.
    pub(crate) fn to_nobody() -> Self {
        Self(mpsc::channel(1).0)
    }

    pub(crate) async fn say(&self, text: impl Into<String>) {
        self.send(Progress::Status { id: None, text: text.into() }).await;
    }

    pub(super) async fn about(&self, id: impl Into<String>, text: impl Into<String>) {
        self.send(Progress::Status { id: Some(id.into()), text: text.into() }).await;
    }

    pub(super) async fn bytes(&self, id: &str, action: &'static str, current: u64, total: u64) {
        self.send(Progress::Bytes { id: id.to_owned(), action, current, total }).await;
    }

    pub(crate) async fn stream(&self, text: String) {
        self.send(Progress::Stream(text)).await;
    }

    pub(crate) async fn aux(&self, value: serde_json::Value) {
        self.send(Progress::Aux(value)).await;
    }

    async fn send(&self, progress: Progress) {
        // Nobody listens any more: whoever runs the operation learns that otherwise.
        let _ = self.0.send(progress).await;
    }
}
