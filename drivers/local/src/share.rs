//! Folders of this computer that a machine sees at the same paths, by 9p: whatever is read and written there goes through
//! the machine's QEMU, as the person who runs it. Without `:rw` it is QEMU that refuses to write, whatever the guest asks.
//! Where this computer has a server for it, each is offered by virtiofs as well (`virtiofs.rs`), and the guest mounts the
//! one that its kernel has, virtiofs first.
//!
//! A folder that would hide something that a guest needs is refused. The home, which is shared when nobody says anything,
//! is left out where it cannot be shared.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wharf_driver::{Error, Kind, Result};

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Where it is, here and there.
    pub path: PathBuf,
    /// Whether the machine may write to it.
    pub writable: bool,
    /// The home, which nobody need have asked for.
    pub home: bool,
}

/// What a guest has of its own: a share may be neither one of these nor hold one.
const GUESTS_OWN: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/disk",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
    "/var/lib/wharf",
    "/var/log",
    "/var/root",
];
/// Nor may it be inside of one of these.
const CLOSED: &[&str] =
    &["/dev", "/etc/wharf", "/proc", "/run", "/sys", "/usr/lib/wharf-guest", "/var/lib/wharf"];

impl Share {
    /// `PATH`, `PATH:rw`, or the same with `home:` before it.
    fn read(word: &str) -> Result<Self, String> {
        let (rest, home) = match word.strip_prefix("home:") {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        let (path, writable) = match rest.rsplit_once(':') {
            Some((path, "rw")) => (path, true),
            Some((path, "ro")) => (path, false),
            Some((_, mode)) if !mode.contains('/') => return Err(format!("`{mode}` is neither rw nor ro")),
            _ => (rest, false),
        };
        let path: PathBuf = Path::new(path).components().collect();
        let shown = path.display();
        if path.to_str().is_none_or(|path| path.chars().any(char::is_control)) {
            return Err(format!("{shown} has a character that a guest is not told of"));
        }
        if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
            return Err(format!("{shown} is no absolute path"));
        }
        let hides = GUESTS_OWN.iter().find(|own| Path::new(own).starts_with(&path));
        if let Some(own) = hides.or_else(|| CLOSED.iter().find(|own| path.starts_with(own))) {
            return Err(format!("{shown} cannot be shared, since the machine has {own} of its own"));
        }
        Ok(Self { path, writable, home })
    }

    fn mode(&self) -> &'static str {
        if self.writable { "rw" } else { "ro" }
    }
}

/// The shares that these words ask for, outer ones first, and every mistake.
pub(crate) fn read_all(words: &[String]) -> (Vec<Share>, Vec<String>) {
    let (mut shares, mut mistakes) = (Vec::<Share>::new(), Vec::new());
    if words.len() > 1 && words.iter().any(|word| word == "none") {
        mistakes.push("`none` stands alone".to_owned());
    }
    for word in words.iter().filter(|word| *word != "none") {
        match Share::read(word) {
            Ok(share) if shares.iter().any(|known| known.path == share.path) => {
                mistakes.push(format!("{} is named twice", share.path.display()));
            }
            Ok(share) => shares.push(share),
            Err(_) if word.starts_with("home:") => {}
            Err(mistake) => mistakes.push(mistake),
        }
    }
    shares.sort_by(|a, b| a.path.cmp(&b.path));
    (shares, mistakes)
}

/// Leaves out a home that is not there; refuses any other folder that is not.
pub(crate) fn that_are_there(shares: &[Share]) -> Result<Vec<Share>> {
    let there = |share: &&Share| share.path.is_dir();
    if let Some(missing) = shares.iter().find(|share| !there(share) && !share.home) {
        let why = format!("there is no folder {} on this computer to share", missing.path.display());
        return Err(Error::new(Kind::Refused, why).hint("make it, or correct --local-mount"));
    }
    Ok(shares.iter().filter(there).cloned().collect())
}

/// What does not touch the home of `user`, who signs in to a guest that keeps it where everybody's is.
pub(crate) fn beside_home_of(user: &str, shares: &[Share]) -> Result<Vec<Share>> {
    let home = Path::new("/home").join(user);
    let touches = |share: &&Share| home.starts_with(&share.path) || share.path.starts_with(&home);
    if let Some(share) = shares.iter().find(|share| touches(share) && !share.home) {
        let (path, home) = (share.path.display(), home.display());
        let why = format!("{path} cannot be shared: whoever signs in to this image has {home} there");
        return Err(Error::new(Kind::Refused, why).hint("share other folders, or none"));
    }
    Ok(shares.iter().filter(|share| !touches(share)).cloned().collect())
}

/// QEMU's arguments. A folder that is gone by now is left out, and the guest says so.
pub(crate) fn arguments(shares: &[Share]) -> Vec<String> {
    let there = shares.iter().enumerate().filter(|(_, share)| share.path.is_dir());
    there
        .flat_map(|(number, share)| {
            // A comma would begin another option.
            let path = share.path.display().to_string().replace(',', ",,");
            let read_only = if share.writable { "" } else { ",readonly=on" };
            [
                "-fsdev".to_owned(),
                format!("local,id=share{number},path={path},security_model=none,multidevs=remap{read_only}"),
                "-device".to_owned(),
                format!("virtio-9p-pci,fsdev=share{number},mount_tag=share{number}"),
            ]
        })
        .collect()
}

/// What a guest reads: a line each, in the order of their names.
pub(crate) fn listed(shares: &[Share]) -> String {
    // Never empty: that there are none is something to be told, too.
    let mut text = "# folders of the computer that runs this machine\n".to_owned();
    for share in shares {
        let _ = writeln!(text, "{} {}", share.mode(), share.path.display());
    }
    text
}

/// What a guest with cloud-init runs at every boot.
pub(crate) fn script(shares: &[Share]) -> String {
    let mut text = "modprobe -a virtiofs 9pnet_virtio 9p 2>/dev/null\n".to_owned();
    for (number, share) in shares.iter().enumerate() {
        let (mode, path) = (share.mode(), share.path.display().to_string().replace('\'', r"'\''"));
        let _ = writeln!(
            text,
            "mkdir -p '{path}'; mount -t virtiofs -o nosuid,nodev,{mode} share{number} '{path}' 2>/dev/null || mount -t 9p \
             -o {MOUNT_OPTIONS},{mode} share{number} '{path}' || {{ echo 'wharf-guest: warning: the folder {path} of \
             the computer that runs this machine cannot be mounted: its kernel may lack 9p, and that computer \
             virtiofsd' >/dev/console; rmdir '{path}'; }}"
        );
    }
    text
}

/// For a person: where they are, and what may be done there.
pub(crate) fn described(shares: &[Share]) -> String {
    let each = shares.iter().map(|share| {
        let may = if share.writable { "" } else { " (read-only)" };
        format!("{}{may}", share.path.display())
    });
    each.collect::<Vec<_>>().join(", ")
}

/// As the guest of our own has them, in its script `shares`.
const MOUNT_OPTIONS: &str = "trans=virtio,version=9p2000.L,msize=512000,cache=mmap,nosuid,nodev";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> (Vec<Share>, Vec<String>) {
        read_all(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_become_shares_outer_ones_first() {
        let (shares, mistakes) = read(&["/home/ann/src:rw", "home:/home/ann", "/data/a:b/"]);
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(described(&shares), "/data/a:b (read-only), /home/ann (read-only), /home/ann/src");
        assert_eq!(read(&["none"]), (Vec::new(), Vec::new()));
        assert_eq!(read(&[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_a_guest_needs_is_not_hidden_and_every_mistake_is_said() {
        for own in
            ["/", "/usr", "/etc", "/var", "/var/lib", "/tmp", "/proc/self", "/dev/shm", "/var/lib/wharf/x"]
        {
            assert_eq!(read(&[own]).1.len(), 1, "{own}");
            assert_eq!(
                read(&[&format!("home:{own}")]),
                (Vec::new(), Vec::new()),
                "a home is left out: {own}"
            );
        }
        for good in ["/home", "/root", "/tmp/x", "/var/lib/jenkins", "/Users/ann", "/usr/local/src", "/opt"] {
            assert_eq!(read(&[good]).1, Vec::<String>::new(), "{good}");
        }
        let (_, mistakes) = read(&["none", "relative", "/a:wr", "/a/../b", "/a\nb", "/c", "/c:rw"]);
        assert_eq!(mistakes.len(), 6, "{mistakes:?}");
    }

    #[test]
    fn qemu_enforces_what_is_read_only_and_leaves_out_what_is_gone() {
        let folder = tempfile::Builder::new().prefix("a,b").tempdir().unwrap();
        let path = folder.path().to_owned();
        let share = |path: &Path, writable| Share { path: path.to_owned(), writable, home: false };
        let shares = [share(Path::new("/nowhere/at all"), true), share(&path, false), share(&path, true)];
        let shown = path.display().to_string().replace(',', ",,");
        let local = "security_model=none,multidevs=remap";
        assert_eq!(
            arguments(&shares),
            [
                "-fsdev",
                &format!("local,id=share1,path={shown},{local},readonly=on"),
                "-device",
                "virtio-9p-pci,fsdev=share1,mount_tag=share1",
                "-fsdev",
                &format!("local,id=share2,path={shown},{local}"),
                "-device",
                "virtio-9p-pci,fsdev=share2,mount_tag=share2",
            ]
        );
        assert!(that_are_there(&shares).unwrap_err().to_string().contains("/nowhere/at all"));
        let home = Share { home: true, ..shares[0].clone() };
        assert_eq!(that_are_there(&[home, shares[1].clone()]).unwrap(), [shares[1].clone()]);
    }

    #[test]
    fn guests_are_told_where_and_how() {
        let (shares, _) = read(&["/home/ann/it's:rw", "/opt"]);
        assert!(listed(&shares).ends_with("\nrw /home/ann/it's\nro /opt\n"));
        let script = script(&shares);
        assert!(script.contains(r"mkdir -p '/home/ann/it'\''s'; mount -t virtiofs"), "{script}");
        assert!(script.contains(",ro share1 '/opt'"), "{script}");
        let read = std::process::Command::new("sh").args(["-n", "-c", &script]).output().unwrap();
        assert!(read.status.success(), "{script}: {}", String::from_utf8_lossy(&read.stderr));
        assert_eq!(listed(&[]).lines().count(), 1);
    }

    /// What a guest with cloud-init mounts, and says, when its kernel has these.
    fn mounted(kernel_has: &[&str]) -> (String, bool) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared");
        let program = |name: &str, text: String| {
            let file = folder.path().join(name);
            std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), text.as_bytes()).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let has = kernel_has.join(" ");
        program("modprobe", "#!/bin/sh\nexit 1\n".to_owned());
        program(
            "mount",
            format!("#!/bin/sh\ncase ' {has} ' in *\" $2 \"*) echo $2 $5;; *) exit 32;; esac\n"),
        );
        let script = script(&[Share { path: path.clone(), writable: false, home: false }]);
        let run = std::process::Command::new("sh")
            .args(["-c", &script.replace("/dev/console", "/dev/null")])
            .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
            .output()
            .unwrap();
        (String::from_utf8_lossy(&run.stdout).trim().to_owned(), path.exists())
    }

    #[test]
    fn a_guest_mounts_by_what_its_kernel_has() {
        assert_eq!(mounted(&["virtiofs", "9p"]), ("virtiofs share0".to_owned(), true));
        assert_eq!(mounted(&["virtiofs"]), ("virtiofs share0".to_owned(), true));
        assert_eq!(mounted(&["9p"]), ("9p share0".to_owned(), true));
        assert_eq!(mounted(&[]), (String::new(), false), "no empty folder is left");
    }

    #[test]
    fn the_home_of_who_signs_in_stays() {
        let (shares, _) = read(&["home:/home/wharf", "/opt"]);
        assert_eq!(described(&beside_home_of("wharf", &shares).unwrap()), "/opt (read-only)");
        for path in ["/home", "/home/wharf", "/home/wharf/src"] {
            assert!(beside_home_of("wharf", &read(&[path]).0).is_err(), "{path}");
        }
        assert_eq!(beside_home_of("wharf", &read(&["/home/ann"]).0).unwrap().len(), 1);
    }
}
