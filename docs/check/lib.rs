//! What holds the book to the program: pages are read ([`page`]), their commands are taken apart ([`shell`]) and run on a
//! [`stage`] ([`play`](mod@play)), what they show is compared ([`shown`]), the [`reference`](mod@reference) is made of the program's own data,
//! and [`screen`]s are recorded at a real terminal.
//!
//! `cargo run -p wharf-docs -- --help` says what can be made; `cargo test -p wharf-docs` checks. A block of commands in a
//! page is fenced as `console`: each line that begins with `$ ` is run and must succeed, or end with the code that a last
//! line `[exit N]` shows. Lines under it are what it prints, compared unless there are none; `…` stands for anything in a
//! line, and alone on a line for any number of lines. `norun="REASON"` in the fence leaves a block out of running, never
//! out of parsing. `file="NAME"` on any fence puts the block's text into that file, for the commands after it.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "a library of tests: what cannot be set up is a failed test")]

pub mod page;
pub mod play;
pub mod reference;
pub mod screen;
pub mod shell;
pub mod shown;
pub mod stage;

use std::path::{Path, PathBuf};

use wharf::Entry;

/// The folder of the repository.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the book's folder has a parent")
}

/// The folder of the book.
#[must_use]
pub fn book() -> PathBuf {
    root().join("docs")
}

/// Every driver of a whole build, described: those that everyday builds leave out, too.
#[must_use]
pub fn drivers() -> Vec<Entry> {
    use wharf_driver_aws::settings::{ABOUT, PLACE, SETTINGS};
    let mut drivers = wharf::Build::standard().drivers;
    if drivers.iter().all(|entry| entry.about().name != ABOUT.name) {
        drivers.push(Entry::absent(ABOUT, SETTINGS, Some(PLACE)));
    }
    drivers
}
