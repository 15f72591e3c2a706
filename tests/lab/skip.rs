//! Skips that are seen: printed, and counted by the runner.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Says that a test cannot run here, and why. On a machine like CI's nothing may be skipped.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}");
    if let Some(file) = std::env::var_os("WHARF_TEST_SKIPS") {
        let written = OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .and_then(|mut file| writeln!(file, "{line}"));
        written.expect("the list of skips can be written");
    }
    let _ = writeln!(std::io::stderr(), "skipped {line}");
}
