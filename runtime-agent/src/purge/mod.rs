//! `wharfd purge --data-root DIR --exec-root DIR`: takes everything of one engine off the host.
//!
//! In this order, so that nothing comes back: the daemon and whoever would start it again, containers with their shims,
//! networks, mounts, and the two folders. What belongs to an engine with other folders stays, and so does a folder's
//! own mount: it may be a disk. Each thing that was done is a line on standard output.
//!
//! Promises: being gone already is success, and running it again goes on where it was cut off. One failure does not keep
//! the rest from being done; it is told on standard error, and makes the exit code 1.

mod daemon;
mod files;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::{engine, runtime};

/// Take an engine, its containers, images and volumes off the host.
#[derive(Debug, Parser)]
#[command(name = "wharfd purge", no_binary_name = true)]
struct Flags {
    /// Folder of what survives a reboot
    #[arg(long, default_value = "/var/lib/wharf", value_name = "DIR")]
    data_root: PathBuf,
    /// Folder of what does not
    #[arg(long, default_value = "/run/wharf", value_name = "DIR")]
    exec_root: PathBuf,
}

pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let flags = match Flags::try_parse_from(arguments.into_iter().skip(2)) {
        Ok(flags) => flags,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let mut report = Report::default();
    for root in [&flags.data_root, &flags.exec_root].into_iter().filter(|root| !root.is_absolute()) {
        report.failed(format!("not an absolute path: {}", root.display()));
    }
    if !report.any_failed {
        purge(&flags, &mut report);
    }
    if report.any_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn purge(roots: &Flags, report: &mut Report) {
    daemon::end(roots, report);
    for (container, ended) in runtime::end_all(&roots.exec_root) {
        report.note(ended.map(|()| format!("ended container {container}")));
    }
    networks(roots, report);
    for root in [&roots.exec_root, &roots.data_root] {
        files::unmount_below(root, report);
        files::remove(root, report);
    }
    runtime::remove_groups();
}

fn networks(roots: &Flags, report: &mut Report) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report.failed(error),
    };
    for done in runtime.block_on(engine::networks::purge(&roots.data_root, &roots.exec_root)) {
        report.note(done);
    }
}

/// What was done, and whether all of it could be.
#[derive(Debug, Default)]
struct Report {
    any_failed: bool,
}

impl Report {
    fn note<E: Display>(&mut self, done: Result<String, E>) {
        match done {
            Ok(done) => self.done(&done),
            Err(error) => self.failed(error),
        }
    }

    #[expect(clippy::unused_self, reason = "as its sibling")]
    fn done(&mut self, what: &str) {
        // Nobody may be listening; the work goes on.
        let _ = writeln!(io::stdout(), "{what}");
    }

    fn failed(&mut self, error: impl Display) {
        self.any_failed = true;
        let _ = writeln!(io::stderr(), "wharfd: {error}");
    }
}
