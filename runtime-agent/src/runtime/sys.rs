//! The calls that no safe library wraps. The only unsafe code of the agent.
//!
//! Everything here is called by single-threaded children (runtime, shim) or has no preconditions at all.
#![expect(unsafe_code, reason = "kernel calls without a safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::Pid;

/// Which side of a fork this is.
pub(super) enum Fork {
    Parent(Pid),
    Child,
}

/// Forks. Only for processes with one thread: the child goes on with ordinary code, which takes locks.
pub(super) fn fork() -> io::Result<Fork> {
    // SAFETY: the callers are the runtime children, which have started no thread, so no lock can be held by one
    // that the child lacks.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(Fork::Parent(child)),
        nix::unistd::ForkResult::Child => Ok(Fork::Child),
    }
}

/// Gives every signal its default action and unblocks all, as a container's program expects to find them: Rust's
/// runtime ignores PIPE, whoever started the daemon may have ignored others, and what is ignored stays so across
/// execve. The C library refuses to touch two signals that it keeps for itself, so the kernel is asked.
pub(super) fn reset_signals() -> io::Result<()> {
    /// Handler, flags, restorer and mask: all zero is the default action.
    const DEFAULT: [u64; 4] = [0; 4];
    const MASK_SIZE: usize = 8;
    for signal in (1..=64).filter(|signal| !matches!(*signal, libc::SIGKILL | libc::SIGSTOP)) {
        // SAFETY: the kernel reads at most these 32 bytes, and the default action runs no code of ours.
        let set = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                std::ptr::null::<u64>(),
                MASK_SIZE,
            )
        };
        nix::errno::Errno::result(set)?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// Sends any signal, real-time ones included, which the library's enum leaves out.
pub(super) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes and keeps no memory.
    nix::errno::Errno::result(unsafe { libc::kill(pid, signal) }).map(drop).map_err(Into::into)
}

/// Lets glibc give back what it can: a shim lives long and does little.
pub(super) fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has the kernel filter the system calls of the calling thread. `flags` are those of seccomp(2).
pub(super) fn load_seccomp_filter(instructions: &[u64], flags: u32) -> io::Result<()> {
    const SET_MODE_FILTER: u32 = 1;
    let program = libc::sock_fprog {
        len: u16::try_from(instructions.len()).map_err(io::Error::other)?,
        filter: instructions.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel reads as many instructions of eight bytes as we say, and keeps a copy.
    let loaded = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program) };
    match nix::errno::Errno::result(loaded)? {
        0 => Ok(()),
        thread => Err(io::Error::other(format!("thread {thread} has another filter"))),
    }
}

/// Loads a device program and attaches it to a cgroup (v2), besides those that are there.
pub(super) fn attach_device_program(cgroup: BorrowedFd<'_>, program: &[u64]) -> io::Result<()> {
    const PROG_LOAD: libc::c_long = 5;
    const PROG_ATTACH: libc::c_long = 8;
    const TYPE_CGROUP_DEVICE: u32 = 15;
    const ATTACH_CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 2;

    /// The head of `union bpf_attr` for `BPF_PROG_LOAD`.
    #[repr(C)]
    struct Load {
        kind: u32,
        instructions: u32,
        program: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
    }
    /// The head of `union bpf_attr` for `BPF_PROG_ATTACH`.
    #[repr(C)]
    struct Attach {
        target: u32,
        program: u32,
        kind: u32,
        flags: u32,
    }

    let license = c"Apache-2.0";
    let count = u32::try_from(program.len()).map_err(io::Error::other)?;
    let load = Load {
        kind: TYPE_CGROUP_DEVICE,
        instructions: count,
        program: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: `load` is as long as we say, and what it points to lives until the call returns.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<Load>()) };
    let loaded = i32::try_from(nix::errno::Errno::result(loaded)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let unsigned = |fd: i32| u32::try_from(fd).map_err(io::Error::other);
    let attach = Attach {
        target: unsigned(cgroup.as_raw_fd())?,
        program: unsigned(loaded.as_raw_fd())?,
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: `attach` is as long as we say; both descriptors are open.
    let attached =
        unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attach, size_of::<Attach>()) };
    nix::errno::Errno::result(attached).map(drop).map_err(Into::into)
}
