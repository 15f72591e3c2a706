//! A server of shares that serves nothing: the same arguments, and the same life, which is its client's.
//!
//! Files in its working folder change how it behaves: `fake-unconfined` is on a computer where nobody may make namespaces,
//! `fake-unserved` never runs, `fake-hung` does not notice that its client is gone. Called `…-old` it is one of an earlier
//! version.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Whether this executable was called by its name.
pub(crate) fn is_meant() -> bool {
    name().starts_with("virtiofsd")
}

fn name() -> String {
    let called = std::env::args().next().unwrap_or_default();
    called.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What it understands.
pub(crate) fn help() -> ExitCode {
    let newer = if name().ends_with("-old") { "" } else { "--readonly --translate-uid" };
    std::io::Write::write_all(&mut std::io::stdout(), format!("--fd --sandbox {newer}\n").as_bytes())
        .unwrap();
    ExitCode::SUCCESS
}

/// Serves its one client until that is gone.
pub(crate) fn run(words: &[&str]) -> ExitCode {
    let unconfined = Path::new("fake-unconfined").exists() && words.contains(&"--sandbox=namespace");
    if unconfined || Path::new("fake-unserved").exists() {
        eprintln!("fake: operation not permitted");
        return ExitCode::FAILURE;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("its socket");
    let (mut client, _) = UnixListener::from(socket).accept().expect("its client");
    let served = client.read(&mut [0; 64]).is_ok_and(|count| count > 0);
    if served || Path::new("fake-hung").exists() {
        std::thread::sleep(Duration::from_secs(600));
    }
    ExitCode::SUCCESS
}
