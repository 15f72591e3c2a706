//! What a machine is born with, as cloud-init reads it: who may sign in, and the SSH host key. With a part of the
//! person's own it becomes a MIME message of both, ours first.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use wharf_driver::{Context, Error, Kind, Result, Seed};

use crate::names::plain;

/// What EC2 takes, before base64.
const LONGEST: usize = 16 * 1024;
/// What is set aside for our part where only the person's is known.
const OURS: usize = 2048;

/// The user data of the machine of this call, in base64. Holds the private host key.
pub(crate) fn user_data(cx: &Context, user: Option<&str>, own: Option<&(PathBuf, String)>) -> Result<String> {
    let Some(seed) = &cx.seed else {
        return Err(Error::new(Kind::Failed, "the machine has no keys to be born with"));
    };
    let ours = cloud_config(seed, user.unwrap_or(&seed.user));
    let Some((file, digest)) = own else { return Ok(STANDARD.encode(ours)) };
    let theirs = read(file)?;
    if hex::encode(Sha256::digest(&theirs)) != *digest {
        let message = format!("{} was changed since the machine was planned", file.display());
        return Err(Error::new(Kind::Refused, message).hint("remove the machine and create it anew"));
    }
    let whole = message(&ours, &theirs);
    if whole.len() > LONGEST {
        return Err(too_long(file, theirs.len(), whole.len()));
    }
    Ok(STANDARD.encode(whole))
}

/// The digest of the person's part, which is refused where it cannot fit beside ours.
pub(crate) fn check(file: &Path) -> Result<String> {
    let theirs = read(file)?;
    if theirs.len() + OURS > LONGEST {
        return Err(too_long(file, theirs.len(), theirs.len() + OURS));
    }
    Ok(hex::encode(Sha256::digest(theirs)))
}

fn too_long(file: &Path, theirs: usize, whole: usize) -> Error {
    let message = format!(
        "the user data is {} bytes too long: {theirs} of {whole} are {}, and EC2 takes {LONGEST}",
        whole - LONGEST,
        file.display()
    );
    Error::new(Kind::Refused, message)
        .hint("put less into the file of --aws-user-data, or let it fetch the rest")
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        Error::new(Kind::Refused, format!("cannot read the user data {}: {error}", file.display()))
            .hint("--aws-user-data names a text that cloud-init takes")
            .caused_by(error)
    })
}

/// JSON is YAML.
fn cloud_config(seed: &Seed, user: &str) -> String {
    let host = plain(&seed.host_name);
    let data = json!({
        "hostname": host,
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
        // No other keys than the one whose public half is known here.
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
    let part = |kind: &str, more: &str, text: &str| {
        format!("--{boundary}\nContent-Type: {kind}; charset=\"utf-8\"\n{more}MIME-Version: 1.0\n\n{text}\n")
    };
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n{}{}--{boundary}--\n",
        part("text/cloud-config", "", ours),
        part(kind, merge, theirs)
    )
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
        let data = text.strip_prefix("#cloud-config\n").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
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
}
