//! `--init`: a container's first process that does what programs forget to do as such: it waits for processes that lost
//! their parent, and hands signals on to the one that it runs, whose end is its own.
//!
//! It is this executable once more, executed from the sealed copy, so nothing of it has to be in the image.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setpgid};
use oci_spec::runtime::Process;

use super::oci::program;
use super::sys;

/// Its name, by which it is known in lists of processes and to itself.
pub(crate) const INIT: &str = "/sbin/docker-init";

/// The annotation by which a specification asks for it.
pub(crate) const INIT_WANTED: &str = "wharf.init";

/// What the kernel sends to a process for its own faults: those are not handed on.
const OWN_FAULTS: [Signal; 8] = [
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGSYS,
    Signal::SIGTTIN,
];

/// Runs what stands behind `--` and returns with its exit code.
pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let words = arguments.into_iter().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
    match run(words) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            say(&why);
            ExitCode::from(128)
        }
    }
}

fn run(command: Vec<String>) -> Result<u8, String> {
    // Where it was executed from says nothing to whoever lists processes; without it the name is only less telling.
    let _ = nix::sys::prctl::set_name(c"docker-init");
    let mut heard = SigSet::all();
    OWN_FAULTS.iter().for_each(|signal| heard.remove(*signal));
    heard.remove(Signal::SIGTTOU);
    heard.thread_block().map_err(|error| format!("blocking signals: {error}"))?;
    let signals = SignalFd::with_flags(&heard, SfdFlags::SFD_CLOEXEC).map_err(|error| error.to_string())?;
    let child = match sys::fork().map_err(|error| format!("cannot fork: {error}"))? {
        sys::Fork::Child => become_program(command),
        sys::Fork::Parent(child) => child,
    };
    // The child does the same; whoever is first.
    let _ = setpgid(child, child);
    loop {
        let Ok(Some(signal)) = signals.read_signal() else { continue };
        let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
        if number != libc::SIGCHLD {
            // It may have ended just now.
            let _ = sys::kill(child.as_raw(), number);
        } else if let Some(code) = reap(child) {
            return Ok(code);
        }
    }
}

/// Waits for all that have ended; the exit code once `child` is among them.
fn reap(child: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) => (pid, status),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => continue,
        };
        if pid == child {
            code = Some(u8::try_from(status).unwrap_or(u8::MAX));
        }
    }
}

/// In a group of its own, which is the terminal's if there is one.
fn become_program(command: Vec<String>) -> ! {
    let own = nix::unistd::getpid();
    let _ = setpgid(own, own);
    let stdin = std::io::stdin();
    if rustix::termios::isatty(&stdin)
        && let Some(group) = rustix::process::Pid::from_raw(own.as_raw())
    {
        let mut stopped = SigSet::empty();
        stopped.add(Signal::SIGTTOU);
        // Being in the background, it would be stopped for asking.
        let _ = stopped.thread_block();
        let _ = rustix::termios::tcsetpgrp(stdin.as_fd(), group);
    }
    let mut process = Process::default();
    let environment = std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()));
    process.set_args(Some(command)).set_env(Some(environment.collect()));
    let why = match program::find(&process) {
        Ok(path) => program::execute(&path, &process),
        Err(why) => why,
    };
    say(&why);
    std::process::exit(127)
}

/// The container's output is the only way left to say what happened.
fn say(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{INIT}: {why}");
}
