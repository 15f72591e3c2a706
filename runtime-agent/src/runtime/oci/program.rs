//! Finding and executing a container's program, with runc's words when that fails.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, execve};
use oci_spec::runtime::Process;

use super::super::{INIT, sys};

/// Where programs are looked for when the environment doesn't say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program's path, from inside the container and as its user.
pub(in crate::runtime) fn find(process: &Process) -> Result<PathBuf, String> {
    let Some(name) = process.args().as_ref().and_then(|args| args.first()).filter(|n| !n.is_empty()) else {
        return Err("exec: no command specified".to_owned());
    };
    if name.contains('/') {
        return match check(Path::new(name)) {
            Ok(()) => Ok(name.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: {name:?}: stat {name}: no such file or directory"))
            }
            Err(error) => Err(format!("exec: {name:?}: {}", words(&error))),
        };
    }
    let path = environment(process).find_map(|e| e.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let candidates =
        path.split(':').map(|folder| Path::new(if folder.is_empty() { "." } else { folder }).join(name));
    let mut refused = false;
    for candidate in candidates {
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) => refused |= error.kind() == io::ErrorKind::PermissionDenied,
        }
    }
    Err(match refused {
        true => format!("exec: {name:?}: permission denied"),
        false => format!("exec: {name:?}: executable file not found in $PATH"),
    })
}

/// Becomes the program; returns only to say why it could not.
pub(in crate::runtime) fn execute(path: &Path, process: &Process) -> String {
    let c_string = |text: &str| CString::new(text).unwrap_or_default();
    let arguments: Vec<_> = process.args().iter().flatten().map(|a| c_string(a)).collect();
    let environment: Vec<_> = environment(process).map(c_string).collect();
    if let Err(error) = sys::reset_signals() {
        return format!("exec {}: {error}", path.display());
    }
    let Err(errno) = execve(&c_string(&path.to_string_lossy()), &arguments, &environment);
    format!("exec {}: {}", path.display(), words(&errno.into()))
}

/// Becomes the little init that runs the program as its child: this executable, by a descriptor that was opened outside.
pub(super) fn execute_init(executable: &OwnedFd, process: &Process) -> String {
    let c_string = |text: &str| CString::new(text).unwrap_or_default();
    let words = [INIT, "--"].into_iter().chain(process.args().iter().flatten().map(String::as_str));
    let arguments: Vec<_> = words.map(c_string).collect();
    let environment: Vec<_> = environment(process).map(c_string).collect();
    if let Err(error) = sys::reset_signals() {
        return format!("exec {INIT}: {error}");
    }
    let flags = nix::fcntl::AtFlags::AT_EMPTY_PATH;
    match nix::unistd::execveat(Some(executable.as_raw_fd()), c"", &arguments, &environment, flags) {
        Err(errno) => format!("exec {INIT}: {errno}"),
    }
}

fn environment(process: &Process) -> impl Iterator<Item = &str> {
    process.env().iter().flatten().map(String::as_str)
}

fn check(path: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    // root may access everything, but the kernel executes nothing without any x bit.
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(access(path, AccessFlags::X_OK)?)
}

/// Go's words for the same, which scripts match on.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => "permission denied".to_owned(),
        Some(libc::EISDIR) => "is a directory".to_owned(),
        Some(libc::ENOENT) => "no such file or directory".to_owned(),
        Some(libc::ENOEXEC) => "exec format error".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(arg: &str, path: &str) -> Process {
        let mut process = Process::default();
        process.set_args(Some(vec![arg.to_owned()])).set_env(Some(vec![format!("PATH={path}")]));
        process
    }

    #[test]
    fn speaks_as_docker_clients_expect() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        std::fs::File::create(&plain).unwrap();
        let path = dir.path().to_str().unwrap();
        assert_eq!(find(&process("sh", "/nowhere:/bin")), Ok("/bin/sh".into()));
        let missing = find(&process("missing", path)).unwrap_err();
        assert_eq!(missing, "exec: \"missing\": executable file not found in $PATH");
        assert_eq!(find(&process("plain", path)).unwrap_err(), "exec: \"plain\": permission denied");
        let absolute = find(&process("/missing", path)).unwrap_err();
        assert_eq!(absolute, "exec: \"/missing\": stat /missing: no such file or directory");
        assert_eq!(find(&process("/tmp", path)).unwrap_err(), "exec: \"/tmp\": is a directory");
    }
}
