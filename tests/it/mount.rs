//! `wharf mount` of real hosts' folders, by the system's sshfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wharf_tests::skip;

use crate::docker::wait_until;
use crate::world::{World, ended, text};

/// A folder to mount at, which nothing is mounted at any more when it goes.
pub(crate) struct Point(tempfile::TempDir);

impl Point {
    /// Says why nothing can be mounted, where that is so.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let device = fs::File::options().read(true).write(true).open("/dev/fuse");
        if let Err(error) = device {
            skip(test, &format!("/dev/fuse cannot be opened: {error}"));
            return None;
        }
        if Command::new("sshfs").arg("--version").output().is_err() {
            skip(test, "there is no sshfs");
            return None;
        }
        Some(Self(tempfile::Builder::new().prefix("wharf-it-mount-").tempdir().unwrap()))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap_or_else(|_| self.0.path().to_owned())
    }

    pub(crate) fn is_mounted(&self) -> bool {
        let at = format!(" {} ", self.0.path().display());
        fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&at)
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        if self.is_mounted() {
            let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
        }
    }
}

#[test]
fn a_folder_of_a_machine_is_mounted_and_taken_away() {
    let Some(point) = Point::new("mount::a_folder_of_a_machine_is_mounted_and_taken_away") else { return };
    let world = World::new();
    let host = world.lab.host();
    world.create("web", &host);
    host.run("mkdir /srv/site && echo one >/srv/site/page");
    let at = point.path().display().to_string();
    let wharf = |arguments: &[&str]| world.wharf(arguments).output().unwrap();

    ended(&wharf(&["mount", "web:/srv/site", &at]), 0, "web:/srv/site is mounted at", "");
    assert_eq!(fs::read_to_string(point.path().join("page")).unwrap(), "one\n");
    write(&point.path().join("new"), "two");
    assert_eq!(host.run("cat /srv/site/new"), "two");
    assert!(mounts().contains(&format!("web:/srv/site {at} fuse.sshfs")), "{}", mounts());
    ended(&wharf(&["mount", "web:/srv", &at]), 3, "mounted at", "wharf mount -u");
    ended(&wharf(&["mount", "-u", "db:/srv/site", &at]), 3, "is web:/srv/site", "name that machine");

    let used = fs::File::open(point.path().join("page")).unwrap();
    ended(&wharf(&["mount", "-u", "web:/srv/site", &at]), 1, "stays mounted", "programs that use it");
    drop(used);
    ended(&wharf(&["mount", "-u", "web:/srv/site", &at]), 0, "not mounted at", "");
    assert!(!point.is_mounted() && fs::read_dir(point.path()).unwrap().next().is_none());
    ended(&wharf(&["mount", "-u", "web:/srv/site", &at]), 1, "nothing is mounted", "MACHINE:PATH");

    ended(&wharf(&["mount", "web:/nowhere", &at]), 1, "/nowhere", "on the machine");
    ended(&wharf(&["mount", "nobody@web:/srv", &at]), 1, "web:/srv", "SFTP");
    assert!(!point.is_mounted());

    // docker-machine's words, a machine of its default name, and a home there.
    world.create("default", &world.lab.host());
    ended(&wharf(&["docker-machine", "mount", ".", &at]), 0, "", "");
    assert!(mounts().contains(&format!("default:. {at} ")), "{}", mounts());
    ended(&wharf(&["docker-machine", "mount", "-u", ".", &at]), 0, "", "");
}

#[test]
fn a_mount_whose_other_end_is_lost_can_be_taken_away() {
    let test = "mount::a_mount_whose_other_end_is_lost_can_be_taken_away";
    let Some(point) = Point::new(test) else { return };
    let world = World::new();
    let host = world.lab.host();
    world.create("web", &host);
    let at = point.path().display().to_string();
    let wharf = |arguments: &[&str]| world.wharf(arguments).output().unwrap();

    // sshfs itself goes when its connection ends. This ends the session that says so, too.
    ended(&wharf(&["mount", "web:/srv", &at]), 0, "is mounted at", "");
    drop(host.try_run("pkill -f 'sshd: .*notty'"));
    wait_until("sshfs has gone", || !point.is_mounted());

    // Killed, it leaves a mount that answers nothing; by then the machine may be gone, too.
    ended(&wharf(&["mount", "web:/srv", &at]), 0, "is mounted at", "");
    let sshfs = text(&Command::new("pgrep").args(["-f", &format!("^[^ ]*sshfs .* {at}$")]).output().unwrap());
    let killed = Command::new("kill").args(["-9", sshfs.trim()]).status().unwrap();
    assert!(killed.success(), "no sshfs for {at}: {sshfs}");
    wait_until("the mount is dead", || fs::read_dir(&at).is_err());
    assert!(point.is_mounted());
    ended(&wharf(&["mount", "web:/srv", &at]), 3, "already", "wharf mount -u");
    world.wharf_ok(&["rm", "-y", "web"]);
    ended(&wharf(&["mount", "-u", "web:/srv", &at]), 0, "not mounted at", "");
    assert!(!point.is_mounted());
}

#[test]
fn a_swapped_host_key_mounts_nothing() {
    let Some(point) = Point::new("mount::a_swapped_host_key_mounts_nothing") else { return };
    let world = World::new();
    let host = world.lab.host();
    world.create("web", &host);
    host.run(
        "rm /etc/ssh/ssh_host_ed25519_key* &&
         ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh",
    );
    let at = point.path().display().to_string();
    let refused = world.wharf(["mount", "web:/srv", &at]).output().unwrap();
    ended(&refused, 6, "host key", "");
    assert!(!point.is_mounted());
}

fn write(path: &Path, text: &str) {
    std::io::Write::write_all(&mut fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
}

/// What is mounted on this computer: what, where, and its kind.
fn mounts() -> String {
    fs::read_to_string("/proc/self/mounts").unwrap()
}
