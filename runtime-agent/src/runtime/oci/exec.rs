//! A further process in a running container. Not libcontainer's way, which drops the container's seccomp profile
//! and limits: here the new process gets everything that the container's first one has.
//!
//! Order is security: everything by path outside is opened before entering; no descriptor survives into the
//! program; the process can't be traced from inside while it is half in (CVE-2016-9962); a working folder must lie
//! inside (CVE-2024-21626); a terminal is made from a verified multiplexer (CVE-2025-52565).

use std::fs::File;
use std::io::{IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use libcontainer::apparmor;
use libcontainer::container::Container;
use libcontainer::syscall::linux::LinuxSyscall;
use libcontainer::syscall::syscall::Syscall as _;
use nix::sched::CloneFlags;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::{Gid, Uid};
use oci_spec::runtime::{LinuxNamespaceType, Process, Spec};

use super::super::{cgroup, sys};
use super::confine::{Confined, Confinement};
use super::{chain, program};

/// One call of `runtime exec`.
pub(super) struct Request<'a> {
    pub(super) container: Container,
    /// Where translated filters are kept.
    pub(super) filters: &'a Path,
    pub(super) process: &'a Path,
    pub(super) pid_file: &'a Path,
    pub(super) console: Option<&'a Path>,
}

/// Returns when the program has been executed; it goes on as a child of whoever reaps for us.
pub(super) fn exec(request: &Request<'_>) -> Result<(), String> {
    let pid = request.container.pid().ok_or("the container has no process")?.as_raw();
    let spec = Spec::load(request.container.bundle().join("config.json")).map_err(chain)?;
    let entry = Entry {
        process: serde_json::from_reader(open(request.process)?).map_err(chain)?,
        confined: Confinement::prepare(request.container.bundle(), request.filters)?,
        console: request.console.map(UnixStream::connect).transpose().map_err(chain)?,
    };
    let mut pid_file = File::create(request.pid_file).map_err(chain)?;
    let namespaces = namespaces(pid, &spec)?;
    let groups = cgroup::of(pid).map_err(chain)?;

    nix::sys::prctl::set_dumpable(false).map_err(chain)?;
    cgroup::join(&groups).map_err(|error| format!("joining the container's cgroup: {error}"))?;
    limit(&entry.process, pid)?;
    for (namespace, kind) in &namespaces {
        nix::sched::setns(namespace, *kind)
            .map_err(|error| format!("entering namespace {kind:?}: {error}"))?;
        if *kind == CloneFlags::CLONE_NEWUSER {
            LinuxSyscall.set_id(Uid::from_raw(0), Gid::from_raw(0)).map_err(chain)?;
        }
    }
    let (mut failure, report) = std::io::pipe().map_err(chain)?;
    match sys::fork().map_err(chain)? {
        sys::Fork::Child => {
            let why = entry.run();
            // The reader sees the end of the pipe either way.
            let _ = (&report).write_all(why.as_bytes());
            std::process::exit(255)
        }
        sys::Fork::Parent(child) => {
            drop(report);
            let mut why = String::new();
            failure.read_to_string(&mut why).map_err(chain)?;
            if why.is_empty() {
                return write!(pid_file, "{child}").map_err(chain);
            }
            let _ = nix::sys::wait::waitpid(child, None);
            Err(why)
        }
    }
}

/// The container's namespaces, in the order in which they must be entered: the one of users first, since it gives
/// the right to the others, and the one of mounts last, since paths change their meaning there.
fn namespaces(pid: i32, spec: &Spec) -> Result<Vec<(OwnedFd, CloneFlags)>, String> {
    let order = [
        (LinuxNamespaceType::User, "user", CloneFlags::CLONE_NEWUSER),
        (LinuxNamespaceType::Ipc, "ipc", CloneFlags::CLONE_NEWIPC),
        (LinuxNamespaceType::Uts, "uts", CloneFlags::CLONE_NEWUTS),
        (LinuxNamespaceType::Network, "net", CloneFlags::CLONE_NEWNET),
        (LinuxNamespaceType::Pid, "pid", CloneFlags::CLONE_NEWPID),
        (LinuxNamespaceType::Cgroup, "cgroup", CloneFlags::CLONE_NEWCGROUP),
        (LinuxNamespaceType::Mount, "mnt", CloneFlags::CLONE_NEWNS),
    ];
    let listed = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let has = |kind| listed.is_some_and(|listed| listed.iter().any(|namespace| namespace.typ() == kind));
    let wanted = order.into_iter().filter(|(kind, ..)| has(*kind));
    wanted
        .map(|(_, file, flag)| Ok((open(format!("/proc/{pid}/ns/{file}").as_ref())?.into(), flag)))
        .collect()
}

/// Resource limits and the badness for the out-of-memory killer, which is the first process's unless said otherwise.
fn limit(process: &Process, pid: i32) -> Result<(), String> {
    for limit in process.rlimits().iter().flatten() {
        LinuxSyscall
            .set_rlimit(limit)
            .map_err(|error| format!("setting limit {:?}: {error}", limit.typ()))?;
    }
    let badness = match process.oom_score_adj() {
        Some(badness) => badness.to_string(),
        None => std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).map_err(chain)?,
    };
    // Lowering it takes a capability that a host may lack; then the process is killed sooner, not never.
    let _ = File::options()
        .write(true)
        .open("/proc/self/oom_score_adj")
        .and_then(|mut f| f.write_all(badness.as_bytes()));
    Ok(())
}

/// What the process becomes.
struct Entry {
    process: Process,
    confined: Confined,
    console: Option<UnixStream>,
}

impl Entry {
    /// Becomes the program; returns only to say why it could not.
    fn run(&self) -> String {
        match self.confine() {
            Ok(()) => program::find(&self.process)
                .map_or_else(|why| why, |path| program::execute(&path, &self.process)),
            Err(why) => why,
        }
    }

    fn confine(&self) -> Result<(), String> {
        let user = self.process.user();
        let quiet = self.process.no_new_privileges() == Some(true);
        nix::unistd::setsid().map_err(chain)?;
        if let Some(console) = &self.console {
            terminal(console, &self.process)?;
        }
        if let Some(profile) = self.process.apparmor_profile() {
            apparmor::apply_profile(profile).map_err(chain)?;
        }
        if let Some(umask) = user.umask() {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(umask));
        }
        // As root first: the user may lack the right to pass. Where root lacks it (network file systems), as the user.
        let entered = std::env::set_current_dir(self.process.cwd()).is_ok();
        let groups: Vec<_> = user.additional_gids().iter().flatten().map(|&gid| Gid::from_raw(gid)).collect();
        LinuxSyscall.set_groups(&groups).map_err(chain)?;
        LinuxSyscall.set_id(Uid::from_raw(user.uid()), Gid::from_raw(user.gid())).map_err(chain)?;
        if quiet {
            nix::sys::prctl::set_no_new_privs().map_err(chain)?;
        }
        LinuxSyscall.close_range(0).map_err(chain)?;
        self.confined.give_up(self.process.capabilities().as_ref(), quiet)?;
        if !entered {
            std::env::set_current_dir(self.process.cwd())
                .map_err(|error| format!("chdir to cwd ({:?}) failed: {error}", self.process.cwd()))?;
        }
        std::env::current_dir().map_err(|_| "the working folder lies outside the container".to_owned())?;
        self.confined.seal(quiet)
    }
}

/// Makes a terminal of the container's own, hands its master out, and becomes its session.
fn terminal(console: &UnixStream, process: &Process) -> Result<(), String> {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    const DEVPTS: i64 = 0x1cd1;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).map_err(chain)?;
    let system = nix::sys::statfs::fstatfs(&master).map_err(chain)?.filesystem_type();
    if system.0 != DEVPTS {
        return Err("the container's /dev/ptmx is no terminal multiplexer".to_owned());
    }
    unlockpt(&master).map_err(chain)?;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(chain)?;
    nix::unistd::fchown(slave.as_raw_fd(), Some(Uid::from_raw(process.user().uid())), None).map_err(chain)?;
    if let Some(size) = process.console_size() {
        // Before the program can ask for it.
        let short = |length: u64| u16::try_from(length).unwrap_or(u16::MAX);
        let (ws_row, ws_col) = (short(size.height()), short(size.width()));
        let size = rustix::termios::Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, size).map_err(chain)?;
    }
    let fds = [master.as_raw_fd()];
    let name = [IoSlice::new(b"/dev/ptmx")];
    sendmsg::<()>(console.as_raw_fd(), &name, &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), None)
        .map_err(chain)?;
    rustix::process::ioctl_tiocsctty(slave.as_fd()).map_err(chain)?;
    for stdio in 0..3 {
        nix::unistd::dup2(slave.as_raw_fd(), stdio).map_err(chain)?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| format!("{}: {error}", path.display()))
}
