//! Tests against a real kernel: each on a thread with network and mount namespaces of its own, so that nothing of the
//! host's is touched and nothing is left behind, not even the mounts that hold containers' namespaces.

use std::io::Write as _;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Runs a test's body in a namespace that ends with it. Without root it is skipped, and says so.
pub(crate) fn in_a_namespace<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        return skip(test, "it needs root for a network namespace");
    }
    let test = test.to_owned();
    let thread = std::thread::spawn(move || {
        if let Err(error) = apart() {
            return skip(&test, &format!("no namespaces may be made: {error}"));
        }
        // Whatever it spawns inherits the namespace of this thread.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            super::link::Links::here().unwrap().raise_loopback().await.unwrap();
            body().await;
        });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Puts this thread into namespaces of its own, with an empty folder for what is temporary.
fn apart() -> nix::Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("tmpfs"), &std::env::temp_dir(), Some("tmpfs"), MsFlags::empty(), none)
}

/// Prints it, and notes it where the test command counts skips.
pub(crate) fn skip(test: &str, why: &str) {
    println!("skipped {test}: {why}");
    let Some(list) = std::env::var_os("WHARF_TEST_SKIPS") else { return };
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
    writeln!(file, "{test}: {why}").unwrap();
}
