//! `wharfd shim`: looks after one container and outlives the daemon.
//!
//! One thread and one loop around `poll`; nothing in it waits for a client, and only short calls of the OCI runtime
//! are waited for. Memory is given back when it isn't needed: there is a shim for every container.

mod client;
mod container;
mod execs;
mod log;
mod process;
mod requests;
mod runtime;
mod setup;
mod stdio;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use self::execs::Pending;
use self::log::Channel;
use self::process::Process;
use self::requests::Connection;
use super::cgroup::{self, Group};
use super::error::{Doing as _, Result};
use super::protocol::{self, Reply, Setup};
use super::{Exit, exit, sys};

/// Exits of execs that are remembered: a health check makes one every few seconds, for years.
const REMEMBERED: usize = 256;

/// What is read at once.
const PIECE: usize = 16 << 10;

/// Runs the shim; returns when its container has been deleted.
pub(crate) fn main(_arguments: Vec<OsString>) -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let signals = setup::stand_apart()?;
    let (mut daemon, setup, keep) = setup::receive()?;
    let shim = setup::detach(&setup).and_then(|()| Shim::create(setup, keep, signals));
    let reply = match &shim {
        Ok(shim) => Reply::Created { pid: shim.init().pid },
        Err(error) => Reply::Failed(error.clone()),
    };
    let told = protocol::send(&mut daemon, &reply);
    drop(daemon);
    let mut shim = shim?;
    if told.is_err() {
        // A daemon that died meanwhile does not know of this container.
        return shim.delete();
    }
    shim.serve()
}

/// For `shim.log`: there is nobody else to tell.
fn note(message: &str) {
    let _ = writeln!(io::stderr(), "shim: {message}");
}

/// One container and everything about it.
#[derive(Debug)]
struct Shim {
    setup: Setup,
    /// Open as long as we are.
    _keep: Vec<OwnedFd>,
    signals: SignalFd,
    listener: UnixListener,
    groups: Vec<Group>,
    connections: Vec<Connection>,
    /// The container's own process first; execs with their ids.
    processes: Vec<(Option<String>, Process)>,
    /// Execs that the runtime is at.
    pending: Vec<Pending>,
    execs_made: u64,
    /// Execs that have ended, the oldest first.
    ended: VecDeque<(String, Exit)>,
    /// How processes ended that the runtime hasn't named yet.
    unclaimed: BTreeMap<i32, Exit>,
    started: bool,
    deleted: bool,
    buffer: Box<[u8; PIECE]>,
}

/// What a descriptor is, for the time of one turn of the loop.
#[derive(Debug, Clone, Copy)]
enum Source {
    Signals,
    Listener,
    Connection(usize),
    Output(usize, Channel),
    Input(usize),
    Client(usize, usize),
    Waiter(usize, usize),
}

impl Shim {
    fn create(setup: Setup, keep: Vec<OwnedFd>, signals: SignalFd) -> Result<Self> {
        let listener = UnixListener::bind("shim.sock").doing(|| "making the shim's socket".to_owned())?;
        listener.set_nonblocking(true).doing(|| "making the shim's socket".to_owned())?;
        let (init, groups) = container::create(&setup)?;
        sys::trim_memory();
        Ok(Self {
            setup,
            _keep: keep,
            signals,
            listener,
            groups,
            connections: Vec::new(),
            processes: vec![(None, init)],
            pending: Vec::new(),
            execs_made: 0,
            ended: VecDeque::new(),
            unclaimed: BTreeMap::new(),
            started: false,
            deleted: false,
            buffer: Box::new([0; PIECE]),
        })
    }

    fn serve(&mut self) -> Result<()> {
        while !self.deleted {
            let ready = self.wait().doing(|| "waiting for something to happen".to_owned())?;
            for (source, events) in ready {
                self.handle(source, events);
            }
            self.settle();
            self.sweep();
        }
        Ok(())
    }

    fn init(&self) -> &Process {
        &self.processes[0].1
    }

    /// What happened, at the latest when the next deadline has passed.
    fn wait(&self) -> nix::Result<Vec<(Source, PollFlags)>> {
        let (sources, mut fds): (Vec<_>, Vec<_>) = self.watched().into_iter().unzip();
        let timeout = match self.processes.iter().filter_map(|(_, process)| process.deadline()).min() {
            None => PollTimeout::NONE,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) | Ok(0) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        let events = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(sources.into_iter().zip(events).filter(|(_, events)| !events.is_empty()).collect())
    }

    fn watched(&self) -> Vec<(Source, PollFd<'_>)> {
        let (read, write, gone) = (PollFlags::POLLIN, PollFlags::POLLOUT, PollFlags::empty());
        let mut watched = vec![
            (Source::Signals, PollFd::new(self.signals.as_fd(), read)),
            (Source::Listener, PollFd::new(self.listener.as_fd(), read)),
        ];
        for (at, connection) in self.connections.iter().enumerate() {
            if let Some(socket) = connection.descriptor() {
                watched.push((Source::Connection(at), PollFd::new(socket, read)));
            }
        }
        for (at, (_, process)) in self.processes.iter().enumerate() {
            for channel in [Channel::Stdout, Channel::Stderr] {
                if let Some(output) = process.stdio.readable(channel).filter(|_| !process.held_up()) {
                    watched.push((Source::Output(at, channel), PollFd::new(output, read)));
                }
            }
            if let Some(input) = process.stdio.writable() {
                watched.push((Source::Input(at), PollFd::new(input, write)));
            }
            for (number, client) in process.clients.iter().enumerate() {
                let mut events = gone;
                events.set(write, client.owes());
                events.set(read, client.writes_stdin());
                // Its stdin waits until the process takes more, and until then so does its death.
                if !client.writes_stdin() || process.stdio.takes_input() {
                    watched.push((Source::Client(at, number), PollFd::new(client.as_fd(), events)));
                }
            }
            for (number, waiter) in process.waiters.iter().enumerate() {
                watched.push((Source::Waiter(at, number), PollFd::new(waiter.as_fd(), gone)));
            }
        }
        watched
    }

    fn handle(&mut self, source: Source, events: PollFlags) {
        match source {
            Source::Signals => self.reap(),
            Source::Listener => self.accept(),
            Source::Connection(at) => self.hear(at),
            Source::Output(at, channel) => {
                self.processes[at].1.relay(channel, &mut *self.buffer);
            }
            Source::Input(at) => self.processes[at].1.stdio.flush(),
            Source::Client(at, number) => self.client(at, number, events),
            Source::Waiter(at, number) => {
                // Its place is kept so that the other numbers of this turn still hold.
                let _ = self.processes[at].1.waiters[number].shutdown(std::net::Shutdown::Both);
            }
        }
    }

    fn client(&mut self, at: usize, number: usize, events: PollFlags) {
        let process = &mut self.processes[at].1;
        if events.contains(PollFlags::POLLOUT) {
            process.clients[number].flush();
        }
        if events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            process.take_input(number, &mut *self.buffer);
        }
        // What it had written before it went is read first.
        let gone = events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
        if gone && !process.clients[number].writes_stdin() {
            process.hang_up(number);
        }
    }

    fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) if socket.set_nonblocking(true).is_ok() => {
                    self.connections.push(Connection::new(socket));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // Out of descriptors, most likely: not at full speed until some are closed.
                    note(&format!("taking a connection: {error}"));
                    return std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }

    /// Asks the kernel for every child that has ended: the container's process, execs, calls of the runtime, and
    /// orphans that nobody knows.
    fn reap(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        loop {
            let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid.as_raw(), Exit::status(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid.as_raw(), Exit::signalled(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(_) => continue,
            };
            self.reaped(pid, exit);
        }
    }

    fn reaped(&mut self, pid: i32, mut exit: Exit) {
        if let Some(at) = self.pending.iter().position(|pending| pending.runtime() == pid) {
            let pending = self.pending.swap_remove(at);
            self.finish_exec(pending, exit.code == 0);
            return;
        }
        let known = self.processes.iter().position(|(_, process)| process.pid == pid && process.runs());
        match known {
            Some(0) => {
                exit.oom = cgroup::oom_kills(&self.groups) > 0;
                // Without a namespace of its own for processes, the others live on.
                if let Err(error) = cgroup::kill(&self.groups) {
                    note(&format!("after the container's process ended: {error}"));
                }
                self.processes[0].1.reap(exit);
            }
            Some(at) => self.processes[at].1.reap(exit),
            None if !self.pending.is_empty() => drop(self.unclaimed.insert(pid, exit)),
            None => {}
        }
    }

    /// Lets processes that were reaped end for those outside: on record first, then told.
    fn settle(&mut self) {
        for (id, process) in &mut self.processes {
            let Some(exit) = process.settle(&mut *self.buffer) else { continue };
            match id {
                None => {
                    if let Err(error) = exit::write(&self.setup.dir, &exit) {
                        note(&format!("writing the exit record: {error}"));
                    }
                }
                Some(id) => {
                    self.ended.push_back((id.clone(), exit.clone()));
                    if self.ended.len() > REMEMBERED {
                        self.ended.pop_front();
                    }
                }
            }
            for waiter in std::mem::take(&mut process.waiters) {
                requests::answer(&waiter, &Reply::Exited(exit.clone()));
            }
            process.release();
        }
    }

    /// Throws away what is over.
    fn sweep(&mut self) {
        let now = Instant::now();
        for (_, process) in &mut self.processes {
            process.sweep(now);
            process.waiters.retain(open);
        }
        self.connections.retain(|connection| !connection.is_over());
        let before = self.processes.len();
        let over = |process: &Process| process.ended().is_some() && process.clients.is_empty();
        self.processes.retain(|(id, process)| id.is_none() || !over(process));
        if self.pending.is_empty() {
            self.unclaimed.clear();
        }
        if self.processes.len() < before {
            sys::trim_memory();
        }
    }

    /// Kills what runs and takes everything away but the exit record and the log.
    fn delete(&mut self) -> Result<()> {
        if self.init().runs() {
            cgroup::kill(&self.groups).doing(|| "killing the container".to_owned())?;
            // In the rare case that there is no cgroup to kill by.
            let _ = sys::kill(self.init().pid, libc::SIGKILL);
            self.reap_init();
        }
        while self.init().ended().is_none() {
            self.settle();
            std::thread::sleep(Duration::from_millis(1));
        }
        container::delete(&self.setup)?;
        std::fs::remove_dir_all(&self.setup.state).doing(|| "removing the shim's folder".to_owned())?;
        self.deleted = true;
        Ok(())
    }

    fn reap_init(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.init().runs() && Instant::now() < deadline {
            self.reap();
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.init().runs() {
            note("the container's process does not die");
            self.processes[0].1.reap(Exit::unknown());
        }
    }
}

/// Whether the other end is still there; it never says anything more.
fn open(waiter: &UnixStream) -> bool {
    let mut fds = [PollFd::new(waiter.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready == 0)
}
