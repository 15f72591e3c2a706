//! What commands that were cut off leave behind: machines on their way out, and names that a create had taken when it
//! was killed before its first event.
//!
//! Nothing is taken from under anybody's lock, and no folder that holds more than such a create leaves.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use wharf_driver::MachineName;

use crate::store::Subject;
use crate::store::layout::Layout;
use crate::store::lock::{Try, try_lock};

/// Takes away what is left of machines on their way out, keys among it, and names without a journal. What cannot be taken
/// away now is next time.
pub(super) fn at_a_glance(layout: &Layout) {
    drop(fs::remove_dir_all(layout.removed()));
    clear_all(layout, |name| fs::metadata(layout.journal(name)).is_ok_and(|journal| journal.len() > 0));
}

/// Takes away names without an event, though something may stand in their journals: every one is looked into.
pub(super) fn thoroughly(layout: &Layout) {
    clear_all(layout, |name| has_begun(layout, name));
}

fn clear_all(layout: &Layout, but: impl Fn(&MachineName) -> bool) {
    let Ok(entries) = fs::read_dir(layout.machines()) else { return };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for name in names.filter(|name| !but(name)) {
        drop(clear(layout, &name));
    }
}

/// Whether the journal holds an event. A first line that was cut off is none: nothing was done on its strength.
fn has_begun(layout: &Layout, name: &MachineName) -> bool {
    let mut line = Vec::new();
    match File::open(layout.journal(name)) {
        Ok(file) => BufReader::new(file).read_until(b'\n', &mut line).is_err() || line.ends_with(b"\n"),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn clear(layout: &Layout, name: &MachineName) -> io::Result<()> {
    let subject = Subject::Machine(name.clone());
    let folder = layout.folder(&subject);
    if !holds_nothing(&folder)? {
        return Ok(());
    }
    let Try::Taken(_held) = try_lock(&layout.lock(&subject))? else { return Ok(()) };
    // Whoever held it may have begun meanwhile.
    if has_begun(layout, name) {
        return Ok(());
    }
    for gone in [fs::remove_file(layout.journal(name)), fs::remove_dir(folder.join(DRIVER))] {
        gone.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    }
    // Whoever waits for this lock sees that its file is gone, and makes a new folder.
    fs::remove_file(layout.lock(&subject))?;
    fs::remove_dir(folder)
}

fn holds_nothing(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !["lock", "journal.jsonl", DRIVER].iter().any(|left| name == *left) {
            return Ok(false);
        }
    }
    Ok(true)
}

const DRIVER: &str = "driver";

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use tokio_util::sync::CancellationToken;
    use wharf_driver::SystemClock;

    use super::*;
    use crate::OsEntropy;
    use crate::store::{Folder, Store as _, Wait};

    fn left(layout: &Layout, name: &str) -> bool {
        layout.machines().join(name).exists()
    }

    #[test]
    fn a_name_without_an_event_is_free_again_unless_somebody_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path().to_owned());
        let make = |name: &str| {
            let folder = layout.machines().join(name);
            fs::create_dir_all(folder.join(DRIVER)).unwrap();
            File::create(folder.join("lock")).unwrap();
            folder
        };
        make("killed");
        let write = |path: std::path::PathBuf, text: &str| {
            io::Write::write_all(&mut File::create(path).unwrap(), text.as_bytes()).unwrap();
        };
        write(make("torn").join("journal.jsonl"), r#"{"number":1,"at":"#);
        write(make("begun").join("journal.jsonl"), "{}\n{\"torn");
        write(make("foreign").join("notes"), "mine");
        write(make("busy").join(DRIVER).join("disk"), "data");
        make("held");
        fs::create_dir_all(layout.machines().join("bare")).unwrap();
        let held = Subject::Machine("held".parse().unwrap());
        let Ok(Try::Taken(lock)) = try_lock(&layout.lock(&held)) else { panic!("the lock is free") };

        thoroughly(&layout);
        for name in ["killed", "torn", "bare"] {
            assert!(!left(&layout, name), "{name}");
        }
        for name in ["begun", "foreign", "busy", "held"] {
            assert!(left(&layout, name), "{name}");
        }
        drop(lock);
        thoroughly(&layout);
        assert!(!left(&layout, "held"));
    }

    #[tokio::test]
    async fn whoever_reads_looks_into_no_journal_and_whoever_locks_into_all() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path().to_owned(), Arc::new(SystemClock::new()), Arc::new(OsEntropy));
        let [killed, torn] = ["killed", "torn"].map(|name| {
            let folder = root.path().join("machines").join(name);
            fs::create_dir_all(&folder).unwrap();
            File::create(folder.join("lock")).unwrap();
            folder
        });
        io::Write::write_all(&mut File::create(torn.join("journal.jsonl")).unwrap(), b"{\"number\":")
            .unwrap();
        store.sweep();
        assert!(!killed.exists() && torn.exists());
        let wait = Wait {
            until: Instant::now(),
            cancel: &CancellationToken::new(),
            holder: "wharf rm other",
            held: &|_| {},
        };
        drop(store.lock(&Subject::Machine("other".parse().unwrap()), &wait).await.unwrap());
        assert!(!torn.exists());
    }
}
