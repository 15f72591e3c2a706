//! What a machine is born with, as cloud-init reads it: who may sign in, and the SSH host key. With a part of the
//! person's own it becomes a MIME message of both, ours first.
//!
//! Older clouds put only RSA keys into a new machine themselves, and insist on one. Ours is ed25519 and comes by
//! cloud-init; theirs is made here, and its private half is thrown away: it opens nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::rsa::Rsa;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use wharf_driver::{Context, Error, Kind, Result, Seed};

use crate::names::plain;

/// What Azure takes, before base64.
const LONGEST: usize = 65_535;
const BITS: u32 = 2048;
const RSA_FILE: &str = "placeholder_rsa.pub";

/// What the creating call carries.
#[derive(Clone)]
pub(crate) struct Birth {
    /// In base64. Holds the private host key.
    pub(crate) custom_data: String,
    pub(crate) user: String,
    /// The key that the cloud itself puts into the machine.
    pub(crate) key: String,
    pub(crate) host_name: String,
}

/// What the machine of this call is born with.
pub(crate) async fn birth(
    cx: &Context,
    user: Option<&str>,
    rsa_only: bool,
    custom: Option<&(PathBuf, String)>,
) -> Result<Birth> {
    let Some(seed) = &cx.seed else {
        return Err(Error::new(Kind::Failed, "the machine has no keys to be born with"));
    };
    let user = user.unwrap_or(&seed.user).to_owned();
    let ours = cloud_config(seed, &user);
    let whole = match custom {
        None => ours,
        Some((file, digest)) => {
            let theirs = read(file)?;
            if hex::encode(Sha256::digest(&theirs)) != *digest {
                let message = format!("{} was changed since the machine was planned", file.display());
                return Err(Error::new(Kind::Refused, message).hint("remove the machine and create it anew"));
            }
            message(&ours, &theirs)
        }
    };
    if whole.len() > LONGEST {
        let message = format!(
            "the custom data is {} bytes too long: {} of {} are the file of --azure-custom-data",
            whole.len() - LONGEST,
            custom.map_or(0, |(file, _)| read(file).map_or(0, |text| text.len())),
            whole.len()
        );
        return Err(Error::new(Kind::Refused, message).hint("put less into it, or let it fetch the rest"));
    }
    let key =
        if rsa_only { placeholder(&cx.places.machine).await? } else { seed.authorized_key.trim().to_owned() };
    Ok(Birth { custom_data: STANDARD.encode(whole), user, key, host_name: host_name(&seed.host_name) })
}

/// The person's part.
pub(crate) fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        Error::new(Kind::Refused, format!("cannot read the custom data {}: {error}", file.display()))
            .hint("--azure-custom-data names a text that cloud-init takes")
            .caused_by(error)
    })
}

/// JSON is YAML.
fn cloud_config(seed: &Seed, user: &str) -> String {
    let data = json!({
        "hostname": host_name(&seed.host_name),
        "users": [{
            "name": user,
            "shell": "/bin/bash",
            "lock_passwd": true,
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "ssh_authorized_keys": [seed.authorized_key.trim()],
        }],
        "ssh_pwauth": false,
        "disable_root": true,
        "ssh_deletekeys": true,
        // No other key is made where one is given: the public half of this one is known here.
        "ssh_keys": { "ed25519_private": seed.host_key.expose(), "ed25519_public": seed.host_key_public.trim() },
    });
    format!("#cloud-config\n{data}\n")
}

/// Both parts, parted by a line that stands in neither.
fn message(ours: &str, theirs: &str) -> String {
    let boundary = format!("wharf-{}", hex::encode(Sha256::digest(format!("{ours}\n{theirs}"))));
    let kind = match theirs.lines().next().unwrap_or_default().trim() {
        "#cloud-config" => "text/cloud-config",
        "#cloud-boothook" => "text/cloud-boothook",
        "#include" => "text/x-include-url",
        first if first.starts_with("#!") => "text/x-shellscript",
        _ => "text/plain",
    };
    // Lists of both are joined: the person's users and ours, and not theirs instead of ours.
    let merge = "Merge-Type: list(append)+dict(recurse_array,no_replace)+str()\n";
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n\
         --{boundary}\nContent-Type: text/cloud-config; charset=\"utf-8\"\nMIME-Version: 1.0\n\n{ours}\n\
         --{boundary}\nContent-Type: {kind}; charset=\"utf-8\"\n{merge}MIME-Version: 1.0\n\n{theirs}\n\
         --{boundary}--\n"
    )
}

fn host_name(name: &str) -> String {
    let name: String = plain(name).chars().take(63).collect();
    name.trim_matches('-').to_owned()
}

/// An RSA key that opens nothing, the same at every attempt: a second creating call must say what the first one said.
async fn placeholder(folder: &Path) -> Result<String> {
    let file = folder.join(RSA_FILE);
    if let Ok(there) = tokio::fs::read_to_string(&file).await {
        return Ok(there.trim().to_owned());
    }
    let made = tokio::task::spawn_blocking(rsa).await;
    let line =
        made.map_err(|error| Error::new(Kind::Failed, "the making of a key ended").caused_by(error))??;
    let write = || -> std::io::Result<()> {
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        draft.write_all(line.as_bytes())?;
        draft.as_file().sync_all()?;
        draft.persist(&file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| {
        Error::new(Kind::Failed, format!("cannot write {}: {error}", file.display())).caused_by(error)
    })?;
    Ok(line)
}

/// The public half of a new RSA key, in OpenSSH's form.
fn rsa() -> Result<String> {
    let failed = |error| Error::new(Kind::Failed, format!("cannot make an RSA key: {error}"));
    let key = Rsa::generate(BITS).map_err(failed)?;
    let mut blob = Vec::new();
    field(&mut blob, b"ssh-rsa");
    number(&mut blob, key.e().to_vec());
    number(&mut blob, key.n().to_vec());
    Ok(format!("ssh-rsa {} nobody", STANDARD.encode(blob)))
}

fn field(blob: &mut Vec<u8>, bytes: &[u8]) {
    blob.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    blob.extend(bytes);
}

/// RFC 4251's `mpint` of a positive number.
fn number(blob: &mut Vec<u8>, mut bytes: Vec<u8>) {
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    field(blob, &bytes);
}

#[cfg(test)]
mod tests {
    use wharf_driver::Secret;

    use super::*;

    fn seed() -> Seed {
        Seed {
            host_name: "web.example".into(),
            user: "wharf".into(),
            authorized_key: "ssh-ed25519 AAAA me\n".into(),
            host_key: Secret::new("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n".into()),
            host_key_public: "ssh-ed25519 BBBB".into(),
        }
    }

    #[test]
    fn cloud_init_gets_the_host_key_and_who_signs_in() {
        let text = cloud_config(&seed(), "ada");
        let data: serde_json::Value =
            serde_json::from_str(text.strip_prefix("#cloud-config\n").unwrap()).unwrap();
        assert_eq!(data["users"][0]["name"], "ada");
        assert_eq!(data["ssh_keys"]["ed25519_public"], "ssh-ed25519 BBBB");
        assert_eq!(data["hostname"], "web-example");
    }

    #[test]
    fn both_parts_travel_in_one_message() {
        let text = message("#cloud-config\n{}", "#!/bin/sh\necho hi");
        assert!(text.contains("Content-Type: text/x-shellscript"));
        assert!(text.find("#cloud-config").unwrap() < text.find("#!/bin/sh").unwrap(), "ours first");
        assert_eq!(text, message("#cloud-config\n{}", "#!/bin/sh\necho hi"), "the same every time");
    }

    #[tokio::test]
    async fn the_placeholder_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = placeholder(folder.path()).await.unwrap();
        assert_eq!(placeholder(folder.path()).await.unwrap(), first);
        let blob = STANDARD.decode(first.split(' ').nth(1).unwrap()).unwrap();
        assert_eq!((&blob[4..11], blob.len()), (b"ssh-rsa".as_slice(), 279));
    }
}
