//! A folder with a root file system made from busybox, a runtime, and containers in it.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oci_spec::runtime::{
    Capabilities, Capability, LinuxBuilder, LinuxCapabilities, LinuxNamespaceBuilder, LinuxNamespaceType,
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompBuilder, LinuxSyscallBuilder, Mount, MountBuilder, Process,
    ProcessBuilder, Spec, SpecBuilder, UserBuilder,
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use wharfd::runtime::{Bundle, Exit, LogTarget, ProcessRef, Runtime as _, Shim, Shims, Streams};

/// Nothing in these tests takes longer.
const BOUND: Duration = Duration::from_secs(60);

pub(crate) const ALL: Streams = Streams { stdin: true, stdout: true, stderr: true };
pub(crate) const OUTPUT: Streams = Streams { stdin: false, stdout: true, stderr: true };

/// Where one test's containers live.
pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) runtime: Shims,
}

/// Removed by the world that made it.
pub(crate) enum Folder {
    Own(TempDir),
    Other(PathBuf),
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Other(folder) => folder,
        }
    }
}

impl World {
    /// None, and says so, where containers can't run.
    pub(crate) fn new() -> Option<Self> {
        let lacking = if !nix::unistd::geteuid().is_root() {
            "needs root"
        } else if !Path::new("/bin/busybox").exists() {
            "needs /bin/busybox"
        } else {
            let folder = tempfile::Builder::new().prefix("wharf-").tempdir().unwrap();
            populate(&folder.path().join("rootfs"));
            let runtime = open(folder.path());
            return Some(Self { folder: Folder::Own(folder), runtime });
        };
        skipped(lacking);
        None
    }

    /// Another's, as a second daemon sees it.
    pub(crate) fn over(folder: &Path) -> Self {
        Self { folder: Folder::Other(folder.to_owned()), runtime: open(folder) }
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    /// A container that isn't made yet.
    pub(crate) fn bundle(&self, id: &str, args: &[&str]) -> Bundle {
        let dir = self.folder.path().join("containers").join(id);
        std::fs::create_dir_all(&dir).unwrap();
        let log = LogTarget::JsonFile {
            path: dir.join("log"),
            max_size: None,
            max_file: 1,
            compress: false,
            attributes: std::collections::BTreeMap::new(),
        };
        Bundle {
            id: format!("{}-{id}", self.folder.path().file_name().unwrap().to_str().unwrap()),
            rootfs: self.rootfs(),
            spec: spec(process(args)),
            terminal: false,
            size: None,
            open_stdin: false,
            stdin_once: false,
            log,
            keep: Vec::new(),
            dir,
        }
    }

    pub(crate) async fn create(&self, bundle: Bundle) -> Arc<dyn Shim> {
        bounded(self.runtime.create(bundle)).await.unwrap()
    }

    /// Creates, starts, waits, deletes: the exit and the log's text.
    pub(crate) async fn run(&self, bundle: Bundle) -> (Exit, String) {
        let dir = bundle.dir.clone();
        let shim = self.create(bundle).await;
        bounded(shim.start()).await.unwrap();
        let exit = bounded(shim.wait(ProcessRef::Init)).await.unwrap();
        bounded(shim.delete()).await.unwrap();
        (exit, log(&dir))
    }
}

/// `WHARF_TEST_AGENT` names a static build, as the one that ships; without it this build's executable is tried.
pub(crate) fn open(folder: &Path) -> Shims {
    let program = std::env::var_os("WHARF_TEST_AGENT").unwrap_or_else(|| env!("CARGO_BIN_EXE_wharfd").into());
    Shims::open(&folder.join("exec"), Path::new(&program), None).unwrap()
}

/// Says so, and where skips are counted.
pub(crate) fn skipped(why: &str) {
    println!("skipped: {why}");
    let Some(list) = std::env::var_os("WHARF_TEST_SKIPS") else { return };
    let test = std::thread::current().name().unwrap_or("runtime").to_owned();
    let mut list = File::options().append(true).create(true).open(list).unwrap();
    std::io::Write::write_all(&mut list, format!("{test}: {why}\n").as_bytes()).unwrap();
}

/// What was written to the log, without its stamps.
pub(crate) fn log(dir: &Path) -> String {
    let text = std::fs::read_to_string(dir.join("log")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| line["log"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, work).await.expect("took too long")
}

/// Waits for something to become true.
pub(crate) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let waiting = async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, waiting).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

/// Reads a stream to its end.
pub(crate) async fn read_all(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    bounded(stream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

/// Takes docker's frames apart: stdout and stderr.
pub(crate) fn unframe(mut bytes: &[u8]) -> (String, String) {
    let mut texts = [String::new(), String::new()];
    while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        texts[usize::from(head[0]) - 1] += std::str::from_utf8(&rest[..length]).unwrap();
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "a frame was cut off");
    texts.into()
}

pub(crate) fn process(args: &[&str]) -> Process {
    ProcessBuilder::default()
        .args(args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
        .env(["PATH=/bin", "HOME=/", "TERM=xterm"].map(str::to_owned))
        .cwd("/")
        .user(UserBuilder::default().uid(0u32).gid(0u32).build().unwrap())
        .capabilities(capabilities())
        .no_new_privileges(false)
        .build()
        .unwrap()
}

/// The fourteen that docker grants.
fn capabilities() -> LinuxCapabilities {
    use Capability::*;
    let set: Capabilities = [
        Chown,
        DacOverride,
        Fowner,
        Fsetid,
        Kill,
        Setgid,
        Setuid,
        Setpcap,
        NetBindService,
        NetRaw,
        SysChroot,
        Mknod,
        AuditWrite,
        Setfcap,
    ]
    .into();
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(Some(set.clone())).set_effective(Some(set.clone())).set_permitted(Some(set));
    sets.set_inheritable(Some(Capabilities::new())).set_ambient(Some(Capabilities::new()));
    sets
}

pub(crate) fn spec(process: Process) -> Spec {
    use LinuxNamespaceType::*;
    let namespace = |kind| LinuxNamespaceBuilder::default().typ(kind).build().unwrap();
    let linux = LinuxBuilder::default()
        .namespaces([Pid, Network, Ipc, Uts, Mount].map(namespace))
        .seccomp(no_mkdir())
        .build()
        .unwrap();
    let mut spec = SpecBuilder::default().process(process).linux(linux).mounts(mounts()).build().unwrap();
    spec.root_mut().as_mut().unwrap().set_readonly(Some(false));
    spec.set_hostname(Some("inside".to_owned()));
    spec
}

/// Everything is allowed but making folders, which is easy to try.
fn no_mkdir() -> LinuxSeccomp {
    let denied = LinuxSyscallBuilder::default()
        .names(["mkdir", "mkdirat"].map(str::to_owned))
        .action(LinuxSeccompAction::ScmpActErrno)
        .errno_ret(1u32)
        .build()
        .unwrap();
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActAllow)
        .syscalls(vec![denied])
        .build()
        .unwrap()
}

fn mounts() -> Vec<Mount> {
    let mount = |target: &str, kind: &str, options: &[&str]| {
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        MountBuilder::default().destination(target).typ(kind).source(kind).options(options).build().unwrap()
    };
    vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
    ]
}

fn populate(rootfs: &Path) {
    for folder in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
        std::fs::create_dir_all(rootfs.join(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
    let programs =
        "sh cat echo true false sleep id mkdir head kill stty grep dd test wc ps touch ls hostname yes nproc";
    for program in programs.split(' ') {
        symlink("busybox", rootfs.join("bin").join(program)).unwrap();
    }
    std::io::Write::write_all(
        &mut File::create(rootfs.join("etc/passwd")).unwrap(),
        b"root:x:0:0::/:/bin/sh\n",
    )
    .unwrap();
}
