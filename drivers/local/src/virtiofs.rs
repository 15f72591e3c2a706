//! Shares by virtiofs, beside 9p, for guests whose kernel lacks that: one server (`virtiofsd`, the one in Rust) for each,
//! which runs as the person and needs no rights.
//!
//! A server's life is its QEMU's: it serves one connection, the other end of which QEMU alone holds from its birth on, and
//! ends when that closes. There is no moment at which a kill leaves one behind: the connection is made before the server
//! is started, and a supervisor that dies before QEMU has it closes it. Each holds a lock, which is free when it is gone.
//!
//! What is only to be read is held to that by the server (`--readonly`); one that cannot do that, as those before version
//! 1.13 and the old one of QEMU itself, is not used.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use wharf_driver::{Error, Kind, Result};

use crate::action::Vm;
use crate::folder::{Folder, name};
use crate::process;
use crate::share::Share;

/// Which server is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Virtiofsd {
    /// One that is found where distributions have it, if there is any.
    #[default]
    Any,
    /// None: 9p alone.
    None,
    /// This one.
    At(PathBuf),
}

/// Where it is: found as programs are, or where Debian, Fedora and Ubuntu, and where Arch have it.
const KNOWN: [&str; 3] = ["virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd"];
/// What a server must understand.
const NEEDED: [&str; 4] = ["--fd", "--readonly", "--sandbox", "--translate-uid"];
/// Each takes two of the some thirty places that the machine has for devices.
const MOST: usize = 10;
const QUICK: Duration = Duration::from_secs(3);
const PACE: Duration = Duration::from_millis(10);

impl Virtiofsd {
    /// Whether nobody chose.
    pub(crate) fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// The server to use with this QEMU; one that was asked for and cannot be used is refused.
    pub(crate) async fn choose(&self, qemu: &Path) -> Result<Option<PathBuf>> {
        let refused = |program: &Path, why: &str| {
            Error::new(Kind::Refused, format!("`{}` cannot share folders: {why}", program.display())).hint(
                "install virtiofsd of version 1.13 or later, or use `--local-virtiofsd none`: folders are shared by 9p \
                 then",
            )
        };
        match self {
            Self::None => Ok(None),
            Self::Any => {
                if !cfg!(target_os = "linux") || !offers_virtiofs(qemu).await {
                    return Ok(None);
                }
                for program in KNOWN.map(PathBuf::from) {
                    if lack(&program).await.is_none() {
                        return Ok(Some(program));
                    }
                }
                Ok(None)
            }
            Self::At(program) => {
                if let Some(why) = lack(program).await {
                    return Err(refused(program, &why));
                }
                if !offers_virtiofs(qemu).await {
                    return Err(refused(program, &format!("QEMU (`{}`) has no virtiofs", qemu.display())));
                }
                Ok(Some(program.clone()))
            }
        }
    }
}

/// What this program lacks to be a server here.
async fn lack(program: &Path) -> Option<String> {
    let asked = Command::new(program).arg("--help").stdin(Stdio::null()).kill_on_drop(true).output();
    let said = match timeout(QUICK, asked).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(Err(error)) => return Some(error.to_string()),
        Err(_) => return Some("it does not answer".to_owned()),
    };
    let lacks = NEEDED.into_iter().find(|option| !said.contains(option));
    lacks.map(|option| format!("it has no `{option}`"))
}

async fn offers_virtiofs(qemu: &Path) -> bool {
    let mut asked = Command::new(qemu);
    asked.args(["-device", "vhost-user-fs-pci,help"]).stdin(Stdio::null()).kill_on_drop(true);
    matches!(timeout(QUICK, asked.output()).await, Ok(Ok(output)) if output.status.success())
}

/// A share that a server waits to serve, over this connection.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Which of the machine's shares.
    pub(crate) number: usize,
    /// QEMU's end.
    pub(crate) connection: OwnedFd,
}

/// Starts a server for each share, for the QEMU that is started next, or says why folders are shared by 9p alone. The
/// caller holds QEMU's lock, and stands in the machine's folder, since a socket's path has a short limit.
pub(crate) async fn offer(folder: &Folder, vm: &Vm) -> Result<Vec<Offer>, String> {
    let cannot = |error: io::Error| format!("virtiofsd cannot be started: {error}");
    end_all(folder).await.map_err(cannot)?;
    for lock in locks(folder) {
        folder.remove(&lock).map_err(cannot)?;
    }
    let shares = vm.shares.as_deref().unwrap_or_default();
    let Some(program) = vm.virtiofsd.as_deref().filter(|_| shares.len() <= MOST) else {
        return Ok(Vec::new());
    };
    let there = || shares.iter().enumerate().filter(|(_, share)| share.path.is_dir());
    let Some((_, first)) = there().next() else { return Ok(Vec::new()) };
    crate::qemu::log_file(folder, name::VIRTIOFSD_LOG).map_err(cannot)?;
    let Some(sandbox) = sandbox(folder, program, first).await.map_err(cannot)? else {
        return Err(format!("virtiofsd does not run here: {}", last_words(folder)));
    };
    there().map(|(number, share)| serve(folder, program, sandbox, number, share).map_err(cannot)).collect()
}

/// The strictest confinement that works here: computers differ in whether a person may make namespaces. A server whose
/// client is gone already does everything but serve, and ends.
async fn sandbox(folder: &Folder, program: &Path, share: &Share) -> io::Result<Option<&'static str>> {
    for sandbox in ["namespace", "none"] {
        let (listener, connection) = connected(folder)?;
        drop(connection);
        let mut server = start(folder, program, sandbox, share, listener)?;
        match timeout(QUICK, server.wait()).await {
            Ok(Ok(status)) if status.success() => return Ok(Some(sandbox)),
            Ok(status) => drop(status?),
            Err(_) => server.kill().await?,
        }
    }
    Ok(None)
}

fn serve(folder: &Folder, program: &Path, sandbox: &str, number: usize, share: &Share) -> io::Result<Offer> {
    let lock = folder.try_lock(&lock_of(number))?;
    let mut lock = lock.ok_or_else(|| io::Error::other("another one serves this folder"))?;
    fcntl_setfd(lock.file(), FdFlags::empty())?;
    let (listener, connection) = connected(folder)?;
    let mut server = start(folder, program, sandbox, share, listener)?;
    if let Some(pid) = server.id() {
        lock.sign_for(pid)?;
    }
    // No zombie is left; the lock tells of its end.
    tokio::spawn(async move {
        if let Ok(status) = server.wait().await {
            tracing::info!(%status, number, "virtiofsd ended");
        }
    });
    Ok(Offer { number, connection: connection.into() })
}

/// A socket that has its only client already, and no name any more.
fn connected(folder: &Folder) -> io::Result<(UnixListener, UnixStream)> {
    folder.remove(name::SHARE)?;
    let listener = UnixListener::bind(name::SHARE)?;
    let connection = UnixStream::connect(name::SHARE)?;
    folder.remove(name::SHARE)?;
    Ok((listener, connection))
}

fn start(
    folder: &Folder,
    program: &Path,
    sandbox: &str,
    share: &Share,
    listener: UnixListener,
) -> io::Result<Child> {
    let log =
        OpenOptions::new().append(true).create(true).mode(0o600).open(folder.file(name::VIRTIOFSD_LOG))?;
    let mut server = Command::new(program);
    server.arg("--shared-dir").arg(&share.path).args(["--fd=0", "--log-level=error"]);
    server.arg(format!("--sandbox={sandbox}"));
    if !share.writable {
        server.arg("--readonly");
    }
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if !user.is_root() {
        // Whoever writes in the machine, it is the person who does here.
        let everybody = u32::MAX;
        server.arg(format!("--translate-uid=squash-guest:0:{}:{everybody}", user.as_raw()));
        server.arg(format!("--translate-gid=squash-guest:0:{}:{everybody}", group.as_raw()));
    }
    // A group of its own: confined, it is two processes.
    server.process_group(0).current_dir(folder.path());
    server.stdin(Stdio::from(OwnedFd::from(listener))).stdout(Stdio::null()).stderr(log).spawn()
}

/// Ends whatever serves this machine's folders though its QEMU is gone: by itself at once, unless it hangs.
pub(crate) async fn end_all(folder: &Folder) -> io::Result<()> {
    let begun = Instant::now();
    for lock in locks(folder) {
        while folder.is_locked(&lock) {
            if begun.elapsed() > QUICK / 3 {
                process::kill_group_of(folder, &lock);
            }
            if begun.elapsed() > QUICK * 2 {
                return Err(io::Error::other("an earlier one does not end"));
            }
            sleep(PACE).await;
        }
    }
    Ok(())
}

/// Who watches over the servers of a QEMU that runs.
#[derive(Debug)]
pub(crate) struct Watch {
    folder: Folder,
    alive: Vec<(String, PathBuf)>,
}

impl Watch {
    /// All that were started with the QEMU that runs now.
    pub(crate) fn begin(folder: &Folder, vm: &Vm) -> Self {
        let shares = vm.shares.iter().flatten().enumerate();
        let of = |(number, share): (usize, &Share)| (lock_of(number), share.path.clone());
        let alive = shares.map(of).filter(|(lock, _)| folder.file(lock).exists()).collect();
        Self { folder: folder.clone(), alive }
    }

    /// The next folder that is lost. Can be dropped and called again.
    pub(crate) async fn lost(&mut self) -> PathBuf {
        loop {
            let gone = self.alive.iter().position(|(lock, _)| !self.folder.is_locked(lock));
            if let Some(gone) = gone {
                return self.alive.remove(gone).1;
            }
            sleep(QUICK / 2).await;
        }
    }
}

/// What a person is told of a lost folder.
pub(crate) fn lost(path: &Path) -> String {
    format!("{} is lost to the machine, since its virtiofsd ended; restart the machine", path.display())
}

fn lock_of(number: usize) -> String {
    format!("{LOCK}{number}.lock")
}

/// The locks of all servers that were started for the last QEMU.
fn locks(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|file| file.starts_with(LOCK) && Path::new(file).extension() == Some("lock".as_ref()))
        .collect()
}

const LOCK: &str = "share";

fn last_words(folder: &Folder) -> String {
    let log = crate::folder::tail(&folder.file(name::VIRTIOFSD_LOG), 2000).unwrap_or_default();
    log.lines().next_back().unwrap_or("it ends without a word").to_owned()
}
