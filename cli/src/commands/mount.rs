//! `wharf mount`: a folder of a machine's, mounted here.
//!
//! The system's sshfs does it, over ssh as `wharf scp` starts it: with the machine's key and no other host key than the
//! accepted ones. It goes on by itself until `wharf mount -u`, or until the machine has not answered for a while, so that
//! nobody who uses the folder waits for ever. What is taken away is looked up in the system's own list, so that it works
//! without the machine, too.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use wharf_core::MachineName;

use super::scp::{Place, alias, host};
use super::ssh::{Held, diagnose, private_folder};
use super::{Cx, machine_name};
use crate::child;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::mounts::{self, Mounted};
use crate::ui::Board;

/// Mounts a folder of a machine's here, by sshfs, or takes such a mount away
///
/// `wharf mount web:/srv site` shows the machine's /srv in the folder `site`, which must be there and empty. Without a
/// machine's name it is `default`, or the only one. Needs `sshfs` on this computer, and the machine's SFTP server.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take it away again
    #[arg(short, long)]
    unmount: bool,
    /// The folder on the machine; one that is no absolute path is below the home there
    #[arg(value_name = "[[USER@]MACHINE:]PATH")]
    from: String,
    /// The folder here; the same path when nothing is given
    #[arg(value_name = "MOUNTPOINT")]
    point: Option<String>,
}

/// What is told to ssh beside what `scp` tells it: a machine that is silent for 45 seconds is lost.
const PATIENCE: &str = "  ServerAliveInterval 15\n  ServerAliveCountMax 3\n";

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let remote = Remote::read(&args.from);
    let point = match args.point.as_deref().unwrap_or(&remote.path) {
        "" => {
            return Err(Error::usage("there is no folder here to mount it at")
                .hint("name one: wharf mount MACHINE:PATH MOUNTPOINT"));
        }
        point => cx.world.absolute(point),
    };
    let point = mounts::resolved(&point);
    if args.unmount { unmount(&remote, &point, cx).await } else { mount(remote, &point, cx).await }
}

/// A folder on a machine, as typed.
struct Remote {
    user: Option<String>,
    machine: Option<String>,
    path: String,
}

impl Remote {
    fn read(text: &str) -> Self {
        match Place::read(text) {
            Place::There { user, machine, path } => Self { user, machine: Some(machine), path },
            Place::Here(path) => Self { user: None, machine: None, path },
        }
    }
}

async fn mount(remote: Remote, point: &Path, cx: &Cx) -> Result<()> {
    let named = remote.machine.as_deref().map(machine_name).transpose()?;
    let sshfs = cx.world.on_path("sshfs").ok_or_else(without_sshfs)?;
    let ssh = cx.world.on_path("ssh").ok_or_else(|| {
        Error::failed("there is no `ssh` on PATH, which sshfs needs").hint("install the OpenSSH client")
    })?;
    let wharf = cx.wharf();
    let name = match named {
        Some(name) => name,
        None => cx.one(None, &wharf).await?,
    };
    check_point(point).await?;
    let call = cx.call("mount", Duration::from_secs(60), &Board::new(&cx.ui));
    let connection = wharf.meet(&name, &call).await?;
    let held = Held::of(&connection, &wharf).await?;
    let folder = private_folder()?;
    let config = folder.path().join("config");
    let text = host(&connection, held.as_ref(), &ssh, cx) + PATIENCE;
    files::replace(&config, text.as_bytes())?;
    // The ssh that stays behind keeps this open, so it is a file, which nobody waits for the end of.
    let words = folder.path().join("said");
    let said = std::fs::File::create(&words)?;
    let mut sshfs = tokio::process::Command::new(&sshfs);
    sshfs.args(arguments(&remote, &name, &config, point));
    sshfs.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
    let code = child::code(child::run(&mut sshfs).await?);
    if code == 0 {
        cx.ui.note(&format!("{name}:{} is mounted at {}", remote.path, point.display()));
        return Ok(());
    }
    let error = diagnose(&connection, cx, &wharf).await;
    if error.status().is_none() {
        return Err(error);
    }
    let said = std::fs::read(&words).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).trim().replace(&alias(name.as_str()), name.as_str());
    let said = if said.is_empty() { format!("sshfs ended with {code}") } else { said };
    Err(Error::failed(format!("{name}:{} cannot be mounted: {said}", remote.path)).hint(hint_for(&said)))
}

fn hint_for(said: &str) -> &'static str {
    if said.contains("fuse device not found") || said.contains("/dev/fuse") || said.contains("fuse: device") {
        "this computer has no FUSE: `sudo modprobe fuse`; in a container, give it the device /dev/fuse"
    } else {
        "check that the folder is on the machine and that its SSH server has SFTP"
    }
}

fn arguments(remote: &Remote, name: &MachineName, config: &Path, point: &Path) -> Vec<std::ffi::OsString> {
    let user = remote.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    // What lists of mounts show. A comma would begin another option.
    let shown = format!("{name}:{}", remote.path).replace('\\', r"\\").replace(',', r"\,");
    vec![
        "-F".into(),
        config.into(),
        "-o".into(),
        format!("fsname={shown}").into(),
        format!("{user}{}:{}", alias(name.as_str()), remote.path).into(),
        point.into(),
    ]
}

fn without_sshfs() -> Error {
    let hint = if cfg!(target_os = "macos") {
        "install macFUSE and sshfs from https://macfuse.github.io"
    } else if cfg!(windows) {
        "Windows has none: use `wharf scp`, or run wharf in WSL, where the package is called `sshfs`"
    } else {
        "install the package `sshfs` (Fedora: `fuse-sshfs`)"
    };
    Error::failed("there is no `sshfs` on PATH, which mounting needs").hint(hint)
}

/// Refuses a place where nothing can be mounted, or where something is hidden by it.
async fn check_point(point: &Path) -> Result<()> {
    let shown = point.display();
    let refused = |why: String| Error::new(Kind::Refused, why);
    if let Some(mounted) = mounts::at(point).await? {
        let hint = if is_a_machine_s(&mounted) {
            format!("`wharf mount -u {shown}` takes it away; or name another folder")
        } else {
            "name another folder".to_owned()
        };
        return Err(refused(format!("{} is mounted at {shown} already", mounted.what)).hint(hint));
    }
    let mut entries = std::fs::read_dir(point).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refused(format!("there is no folder {shown} here to mount it at"))
            .hint(format!("mkdir -p {shown}")),
        std::io::ErrorKind::NotADirectory => refused(format!("{shown} is not a folder")),
        _ => refused(format!("the folder {shown} cannot be looked at")).caused_by(&error),
    })?;
    if entries.next().is_some() {
        return Err(refused(format!("the folder {shown} is not empty: a mount would hide what is in it"))
            .hint("name an empty folder"));
    }
    Ok(())
}

async fn unmount(remote: &Remote, point: &Path, cx: &Cx) -> Result<()> {
    let shown = point.display();
    let Some(mounted) = mounts::at(point).await? else {
        return Err(Error::failed(format!("nothing is mounted at {shown}"))
            .hint("name it as it was mounted: wharf mount -u MACHINE:PATH MOUNTPOINT"));
    };
    check_ours(remote, &mounted)?;
    let tools: [(&str, &[&str]); 3] = [("fusermount3", &["-u"]), ("fusermount", &["-u"]), ("umount", &[])];
    let found: Option<(PathBuf, &[&str])> =
        tools.iter().find_map(|(tool, options)| Some((cx.world.on_path(tool)?, *options)));
    let Some((tool, options)) = found else {
        return Err(Error::failed("there is no `fusermount3`, `fusermount` or `umount` on PATH")
            .hint("install the package `fuse3`"));
    };
    let mut command = tokio::process::Command::new(&tool);
    command.args(options).arg(point).stdin(Stdio::null()).kill_on_drop(true);
    let ended = command.output().await.map_err(|e| Error::failed("it cannot be taken away").caused_by(&e))?;
    if ended.status.success() {
        cx.ui.note(&format!("{} is not mounted at {shown} any more", mounted.what));
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    let error = Error::failed(format!("{} stays mounted at {shown}: {said}", mounted.what));
    Err(if said.contains("busy") {
        error.hint("end the programs that use it, and leave the folder in every terminal")
    } else {
        error
    })
}

/// Whether sshfs mounted it, with a machine's name before the path.
fn is_a_machine_s(mounted: &Mounted) -> bool {
    mounted.kind.contains("fuse") && mounted.what.contains(':')
}

/// Refuses what is no machine's folder, or another machine's than the named one.
fn check_ours(remote: &Remote, mounted: &Mounted) -> Result<()> {
    let shown = mounted.at.display();
    let refused = |why: String| Error::new(Kind::Refused, format!("what is mounted at {shown} is {why}"));
    if !is_a_machine_s(mounted) {
        return Err(refused(format!("no machine's folder ({})", mounted.kind))
            .hint("`umount` takes away what wharf did not mount"));
    }
    let machine = mounted.what.split(':').next().unwrap_or_default();
    match &remote.machine {
        Some(named) if named != machine => Err(refused(mounted.what.clone()).hint("name that machine")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshfs_is_told_of_the_machine_alone() {
        let remote = Remote::read("ann@web:/srv/a,b");
        let name: MachineName = "web".parse().unwrap();
        let words = arguments(&remote, &name, Path::new("/c/config"), Path::new("/home/ann/site"));
        let shown = ["-F", "/c/config", "-o", r"fsname=web:/srv/a\,b"];
        assert_eq!(words[..4], shown);
        assert_eq!(words[4..], ["ann@wharf-machine-web:/srv/a,b", "/home/ann/site"]);
    }

    #[test]
    fn only_machines_folders_are_taken_away() {
        let mounted =
            |what: &str, kind: &str| Mounted { at: "/m".into(), what: what.into(), kind: kind.into() };
        let check = |typed: &str, what, kind| check_ours(&Remote::read(typed), &mounted(what, kind)).is_ok();
        assert!(check("web:/srv", "web:/srv", "fuse.sshfs"));
        assert!(check("/m", "web:/srv", "macfuse"));
        assert!(!check("db:/srv", "web:/srv", "fuse.sshfs"));
        assert!(!check("/m", "/dev/sda1", "ext4"));
        assert!(!check("/m", "gvfsd-fuse", "fuse.gvfsd-fuse"));
        assert!(!check("/m", "server:/export", "nfs4"));
    }
}
