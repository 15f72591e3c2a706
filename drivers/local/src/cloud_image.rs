//! A full cloud image instead of our own guest: a disk that begins as the image and never changes it, and the seed
//! that cloud-init reads (NoCloud, a file system labelled `CIDATA`, which QEMU shows from a plain folder).
//! <https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::json;
use tokio::process::Command;
use wharf_driver::{Error, Kind, OwnerTag, Result, Seed};

use crate::folder::{Folder, name};

/// Refuses what is not a qcow2 image.
pub(crate) fn check(image: &Path) -> Result<()> {
    let refused = |why: String| {
        Error::new(Kind::Refused, format!("the image {} cannot be used: {why}", image.display()))
    };
    let mut magic = [0; 4];
    let read = File::open(image).and_then(|mut file| file.read_exact(&mut magic));
    read.map_err(|error| refused(error.to_string()))?;
    if &magic == b"QFI\xfb" {
        return Ok(());
    }
    Err(refused("it is not in QEMU's qcow2 format".to_owned())
        .hint("convert it: qemu-img convert -O qcow2 IMAGE NEW-IMAGE"))
}

/// Makes a disk of `size` bytes at `path` that begins as `image`, and leaves the image as it is.
pub(crate) async fn overlay(image: &Path, path: &Path, size: u64) -> Result<()> {
    let output = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
        .arg(image)
        .arg(path)
        .arg(size.to_string())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| {
            Error::new(Kind::Refused, format!("qemu-img cannot be run: {error}"))
                .hint("it makes disks from cloud images; Debian and Ubuntu have it in qemu-utils")
        })?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(Kind::Failed, format!("the disk cannot be made from the image: {why}")))
}

/// Writes what cloud-init reads: who may sign in, and the SSH host key. JSON is YAML.
pub(crate) fn write_seed(folder: &Folder, seed: &Seed, owner: &OwnerTag) -> io::Result<()> {
    let seeds = Folder::at(folder.file(name::SEED_FOLDER));
    seeds.create()?;
    let meta = json!({ "instance-id": owner.machine.as_str(), "local-hostname": seed.host_name });
    seeds.replace("meta-data", meta.to_string().as_bytes())?;
    seeds.replace("user-data", user_data(seed).as_bytes())
}

fn user_data(seed: &Seed) -> String {
    let data = json!({
        "hostname": seed.host_name,
        "users": [{
            "name": seed.user,
            "shell": "/bin/sh",
            "lock_passwd": true,
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "ssh_authorized_keys": [seed.authorized_key.trim()],
        }],
        "ssh_pwauth": false,
        "disable_root": true,
        "ssh_deletekeys": true,
        // No other keys than the one whose public half is known here.
        "ssh_genkeytypes": [],
        "ssh_keys": { "ed25519_private": seed.host_key.expose(), "ed25519_public": seed.host_key_public.trim() },
    });
    format!("#cloud-config\n{data}\n")
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
        let text = user_data(&seed);
        let json = text.strip_prefix("#cloud-config\n").unwrap();
        let data: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(data["users"][0]["ssh_authorized_keys"][0], "ssh-ed25519 AAAA me");
        assert_eq!(data["ssh_keys"]["ed25519_public"], "ssh-ed25519 BBBB");
    }

    #[test]
    fn what_is_not_qcow2_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file.as_file(), b"not an image").unwrap();
        assert_eq!(check(file.path()).unwrap_err().kind(), Kind::Refused);
        assert_eq!(check(Path::new("/nowhere")).unwrap_err().kind(), Kind::Refused);
    }
}
