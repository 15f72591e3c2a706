//! What a client reads while it waits, in dockerd's words; or only the result.

use tokio::sync::Mutex;

use crate::engine::error::{Error, Result};
use crate::engine::images::Image;
use crate::engine::images::progress::Reporter;

use std::sync::Arc;

/// Where it goes.
#[derive(Debug)]
pub(super) struct Output {
    reporter: Reporter,
    /// Of a quiet build everything is held back, in case it fails.
    held_back: Option<Mutex<String>>,
}

impl Output {
    pub(super) fn new(reporter: Reporter, quiet: bool) -> Self {
        Self { reporter, held_back: quiet.then(Mutex::default) }
    }

    pub(super) async fn say(&self, text: &str) {
        match &self.held_back {
            Some(held) => held.lock().await.push_str(text),
            None => self.reporter.stream(text.to_owned()).await,
        }
    }

    /// In red, as dockerd shows what programs write to their standard error.
    pub(super) async fn warn(&self, text: &str) {
        self.say(&format!("\u{1b}[91m{text}\u{1b}[0m")).await;
    }

    /// For programs.
    pub(super) async fn identify(&self, image: &Image) {
        if self.held_back.is_none() {
            self.reporter.aux(serde_json::json!({ "ID": image.id.to_string() })).await;
        }
    }

    /// Where a pull reports to.
    pub(super) fn reporter(&self) -> Reporter {
        if self.held_back.is_some() { Reporter::to_nobody() } else { self.reporter.clone() }
    }

    /// The last word of a quiet build: the id, or everything that led to the failure.
    pub(super) async fn finish(&self, built: Result<Arc<Image>, Error>) -> Result<()> {
        let Some(held) = &self.held_back else { return built.map(drop) };
        match built {
            Ok(image) => {
                self.reporter.stream(format!("{}\n", image.id)).await;
                Ok(())
            }
            Err(error) => {
                let text = std::mem::take(&mut *held.lock().await);
                if !text.is_empty() {
                    self.reporter.stream(text).await;
                }
                Err(error)
            }
        }
    }
}
