//! A program at a terminal of its own, and everything that it printed there.

use std::io::Read as _;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs `command` at a terminal so big until it ends. Its stage bounds how long that takes.
///
/// # Panics
/// When there is no terminal to be had.
pub(super) fn play(command: &Command, rows: u16, columns: u16) -> Vec<u8> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal that may be opened");
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).expect("a terminal of that size");
    let name = ptsname(&master, Vec::new()).expect("the terminal's name");
    let open = || {
        let terminal = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        Stdio::from(terminal.expect("the terminal opens"))
    };
    let mut session = Command::new("setsid");
    session.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
    let mut child = session.stdin(open()).stdout(open()).stderr(open()).spawn().expect("setsid starts");
    // Ours were the parent's copies: with the child's last one the terminal ends.
    drop(session);
    let mut printed = Vec::new();
    let mut master = std::fs::File::from(master);
    let mut bytes = [0; 4096];
    // The end of the last writer shows as an error.
    while let Ok(count @ 1..) = master.read(&mut bytes) {
        printed.extend_from_slice(&bytes[..count]);
    }
    let _ = child.wait();
    printed
}
