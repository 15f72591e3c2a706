//! A full cloud image instead of our own guest: a disk that begins as a copy of the image, and the seed that cloud-init
//! reads (NoCloud, a file system labelled `CIDATA`, which QEMU shows from a plain folder).
//! <https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>
//!
//! Refuses an image that leads QEMU to other files of this computer: whoever made it does not choose what the machine
//! reads. <https://www.qemu.org/docs/master/interop/qcow2.html>

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use wharf_driver::{Error, Kind, OwnerTag, Result, Seed, user_data};

use crate::folder::{Folder, name};
use crate::forward::GATEWAY;
use crate::share::{self, Share};

/// Refuses what is not a whole qcow2 image, or does not fit on a disk of `gib` GiB.
pub(crate) fn check(image: &Path, gib: u32) -> Result<()> {
    let refused = |why: String| {
        Error::new(Kind::Refused, format!("the image {} cannot be used: {why}", image.display()))
    };
    let mut head = Vec::new();
    let read = File::open(image).and_then(|file| file.take(HEADER).read_to_end(&mut head));
    read.map_err(|error| refused(error.to_string()).hint("--local-image takes a file of this computer"))?;
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at + length).unwrap_or_default();
        bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte))
    };
    if !head.starts_with(b"QFI\xfb") {
        return Err(refused("it is not in QEMU's qcow2 format".to_owned())
            .hint("convert it: qemu-img convert -O qcow2 IMAGE NEW-IMAGE"));
    }
    let (version, backing, size, encryption) = (number(4, 4), number(8, 8), number(24, 8), number(32, 4));
    let elsewhere = version >= 3 && number(72, 8) & DATA_FILE != 0;
    if backing != 0 || elsewhere {
        return Err(refused("part of it is in another file".to_owned())
            .hint("make a whole one: qemu-img convert -O qcow2 IMAGE NEW-IMAGE"));
    }
    if encryption != 0 {
        return Err(refused("it is encrypted".to_owned()));
    }
    if size > u64::from(gib) << 30 {
        let needed = size.div_ceil(1 << 30);
        return Err(refused(format!("it needs a disk of {needed} GiB, and {gib} are asked for"))
            .hint(format!("use --local-disk {needed}")));
    }
    Ok(())
}

/// As much of the file as is looked at.
const HEADER: u64 = 80;
/// The bit of a version 3 image whose data is in a file of its own.
const DATA_FILE: u64 = 1 << 2;

/// Makes a disk of `size` bytes at `path` that begins as `image`, which may change or go afterwards.
pub(crate) async fn copy(image: &Path, path: &Path, size: u64) -> Result<()> {
    tokio::fs::copy(image, path).await.map_err(|error| {
        Error::new(Kind::Failed, format!("the image {} cannot be copied: {error}", image.display()))
            .caused_by(error)
    })?;
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    tokio::fs::set_permissions(path, own)
        .await
        .map_err(|error| Error::new(Kind::Failed, format!("the disk cannot be made: {error}")))?;
    let output = Command::new(QEMU_IMG)
        .args(["resize", "-q", "-f", "qcow2"])
        .arg(path)
        .arg(size.to_string())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| without_qemu_img(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(Kind::Failed, format!("the disk cannot be made from the image: {why}")))
}

/// Whether the program that resizes disks is there, before anything is made.
pub(crate) async fn check_program() -> Result<()> {
    let answer = Command::new(QEMU_IMG).arg("--version").kill_on_drop(true).output().await;
    answer.map(drop).map_err(|error| without_qemu_img(&error))
}

fn without_qemu_img(error: &io::Error) -> Error {
    Error::new(Kind::Refused, format!("qemu-img cannot be run: {error}"))
        .hint("it makes disks from cloud images; Debian and Ubuntu have it in qemu-utils")
}

const QEMU_IMG: &str = "qemu-img";

/// Writes what cloud-init reads: who may sign in, the SSH host key, and the folders to mount. JSON is YAML.
pub(crate) fn write_seed(
    folder: &Folder,
    seed: &Seed,
    owner: &OwnerTag,
    shares: Option<&[Share]>,
) -> io::Result<()> {
    let seeds = Folder::at(folder.file(name::SEED_FOLDER));
    seeds.create()?;
    let meta = json!({ "instance-id": owner.machine.as_str(), "local-hostname": seed.host_name });
    seeds.replace("meta-data", meta.to_string().as_bytes())?;
    seeds.replace("user-data", user_data(&config(seed, shares)).as_bytes())
}

/// Ours, and what this computer is to the machine.
fn config(seed: &Seed, shares: Option<&[Share]>) -> Value {
    let mut config = seed.cloud_config(&seed.user, "/bin/sh");
    config["hostname"] = json!(seed.host_name);
    // Its own name is known to it, or sudo complains.
    config["manage_etc_hosts"] = json!("localhost");
    // Ports on the machine's own loopback are for this computer, which is its gateway.
    let mut files = vec![json!({ "path": "/etc/wharf/loopback-peer", "content": format!("{GATEWAY}\n") })];
    if let Some(shares) = shares {
        files.push(json!({ "path": "/etc/wharf/shares", "content": share::listed(shares) }));
        if !shares.is_empty() {
            // At every boot, before anything that listens.
            config["bootcmd"] = json!([["sh", "-c", share::script(shares)]]);
        }
    }
    config["write_files"] = json!(files);
    config
}

#[cfg(test)]
mod tests {
    use wharf_driver::Secret;

    use super::*;

    #[test]
    fn the_seed_is_what_cloud_init_reads() {
        let seed = Seed {
            host_name: "web".into(),
            user: "wharf".into(),
            authorized_key: "ssh-ed25519 AAAA me\n".into(),
            host_key: Secret::new("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n".into()),
            host_key_public: "ssh-ed25519 BBBB".into(),
        };
        let folder = tempfile::tempdir().unwrap();
        let owner = OwnerTag {
            store: wharf_driver::StoreId("0123456789abcdef".into()),
            machine: wharf_driver::MachineId::from_bytes([7; 16]),
            name: "web".parse().unwrap(),
            made: 1,
            expires: None,
        };
        let share = Share { path: "/home/ann".into(), writable: true, home: false };
        write_seed(&Folder::at(folder.path()), &seed, &owner, Some(&[share])).unwrap();
        let read = |file: &str| std::fs::read_to_string(folder.path().join("seed").join(file)).unwrap();
        let meta: Value = serde_json::from_str(&read("meta-data")).unwrap();
        assert_eq!(meta["local-hostname"], "web");
        assert_eq!(meta["instance-id"], owner.machine.as_str());
        let text = read("user-data");
        let json = text.strip_prefix("#cloud-config\n").unwrap();
        let data: Value = serde_json::from_str(json).unwrap();
        let user = &data["users"][0];
        assert_eq!(
            (user["name"].as_str(), user["sudo"].as_str()),
            (Some("wharf"), Some("ALL=(ALL) NOPASSWD:ALL"))
        );
        assert_eq!(user["ssh_authorized_keys"][0], "ssh-ed25519 AAAA me");
        assert_eq!(data["ssh_keys"]["ed25519_private"], seed.host_key.expose().as_str());
        assert_eq!(data["ssh_keys"]["ed25519_public"], "ssh-ed25519 BBBB");
        assert_eq!(data["write_files"][0]["content"], "10.0.2.2\n");
        assert!(data["write_files"][1]["content"].as_str().unwrap().ends_with("\nrw /home/ann\n"));
        assert!(data["bootcmd"][0][2].as_str().unwrap().contains("share0 '/home/ann'"));
    }

    /// The head of a version 3 image of one GiB, with these bytes in it.
    fn image(changes: &[(usize, u8)]) -> tempfile::NamedTempFile {
        let mut head = [0; 104];
        head[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        head[28] = 0x40;
        for (at, byte) in changes {
            head[*at] = *byte;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file.as_file(), &head).unwrap();
        file
    }

    #[test]
    fn a_whole_image_that_fits_is_taken() {
        assert!(check(image(&[]).path(), 1).is_ok());
    }

    #[test]
    fn what_leads_elsewhere_or_does_not_fit_is_refused() {
        for (changes, why) in [
            (&[(15, 1)], "another file"),
            (&[(79, 4)], "another file"),
            (&[(35, 1)], "encrypted"),
            (&[(27, 1)], "a disk of 5 GiB, and 1 are asked for"),
        ] {
            let error = check(image(changes).path(), 1).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_not_qcow2_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file.as_file(), b"not an image").unwrap();
        assert_eq!(check(file.path(), 9).unwrap_err().kind(), Kind::Refused);
        assert_eq!(check(Path::new("/nowhere"), 9).unwrap_err().kind(), Kind::Refused);
    }
}
