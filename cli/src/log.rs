//! The log that `--debug` shows: our own crates only, on stderr, through the same door as everything printed.

use std::io::Write;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::ui::Ui;

/// Starts the log if somebody wants it. A process has one; a second start changes nothing.
pub(crate) fn start(ui: &Arc<Ui>, debug: bool) {
    if !debug {
        return;
    }
    // What libraries log may hold what they were given; nobody vouches for its being free of secrets.
    let filter = EnvFilter::new("off,wharf=trace");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Door(Arc::clone(ui)))
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The log of a supervisor, whose stderr is a file beside its machine.
pub(crate) fn start_supervisor() {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("off,wharf=info"))
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct Door(Arc<Ui>);

struct Record(Arc<Ui>, Vec<u8>);

impl<'a> MakeWriter<'a> for Door {
    type Writer = Record;

    fn make_writer(&'a self) -> Record {
        Record(Arc::clone(&self.0), Vec::new())
    }
}

impl Write for Record {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.0.log(&String::from_utf8_lossy(&self.1));
    }
}
