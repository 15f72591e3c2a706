//! What a machine is born with, in the form that cloud-init reads, the same in every cloud: who may sign in, and the SSH
//! host key. A part of the person's own travels in one MIME message with ours, ours first.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Seed;

/// Lists of both parts are joined: the person's users and ours, and not theirs instead of ours.
const MERGE: &str = "Merge-Type: list(append)+dict(recurse_array,no_replace)+str()\n";

impl Seed {
    /// The host name as a host may be called: letters, digits and dashes.
    #[must_use]
    pub fn plain_host_name(&self) -> String {
        let dashed = self.host_name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        dashed.take(63).collect::<String>().trim_matches('-').to_owned()
    }

    /// Our part: `user` may sign in, with `shell`, and nobody else. Holds the private host key.
    #[must_use]
    pub fn cloud_config(&self, user: &str, shell: &str) -> Value {
        json!({
            "hostname": self.plain_host_name(),
            "users": [{
                "name": user,
                "shell": shell,
                "lock_passwd": true,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [self.authorized_key.trim()],
            }],
            "ssh_pwauth": false,
            "disable_root": true,
            // Keys that are given are the only ones: no other is made.
            "ssh_deletekeys": true,
            "ssh_keys": {
                "ed25519_private": self.host_key.expose(), "ed25519_public": self.host_key_public.trim(),
            },
        })
    }
}

/// A cloud-config as text: JSON is YAML.
#[must_use]
pub fn user_data(config: &Value) -> String {
    format!("#cloud-config\n{config}\n")
}

/// Both parts in one message, parted by a line that stands in neither.
#[must_use]
pub fn joined_user_data(ours: &str, theirs: &str) -> String {
    let boundary = format!("wharf-{}", hex::encode(Sha256::digest(format!("{ours}\n{theirs}"))));
    let kind = match theirs.lines().next().unwrap_or_default().trim() {
        "#cloud-config" => "text/cloud-config",
        "#cloud-boothook" => "text/cloud-boothook",
        "#include" => "text/x-include-url",
        first if first.starts_with("#!") => "text/x-shellscript",
        _ => "text/plain",
    };
    let part = |kind: &str, more: &str, text: &str| {
        format!("--{boundary}\nContent-Type: {kind}; charset=\"utf-8\"\n{more}MIME-Version: 1.0\n\n{text}\n")
    };
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n{}{}--{boundary}--\n",
        part("text/cloud-config", "", ours),
        part(kind, MERGE, theirs)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn cloud_init_gets_the_host_key_and_who_signs_in() {
        let seed = Seed {
            host_name: "web.example".into(),
            user: "wharf".into(),
            authorized_key: "ssh-ed25519 AAAA me\n".into(),
            host_key: Secret::new("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n".into()),
            host_key_public: "ssh-ed25519 BBBB".into(),
        };
        let text = user_data(&seed.cloud_config("ada", "/bin/bash"));
        let data: Value = serde_json::from_str(text.strip_prefix("#cloud-config\n").unwrap()).unwrap();
        assert_eq!(data["users"][0]["name"], "ada");
        assert_eq!(data["users"][0]["ssh_authorized_keys"], json!(["ssh-ed25519 AAAA me"]));
        assert_eq!(data["ssh_keys"]["ed25519_public"], "ssh-ed25519 BBBB");
        assert_eq!(data["hostname"], "web-example");
    }

    #[test]
    fn both_parts_travel_in_one_message() {
        let text = joined_user_data("#cloud-config\n{}", "#!/bin/sh\necho hi");
        assert!(text.contains("Content-Type: text/x-shellscript"));
        assert!(text.find("#cloud-config").unwrap() < text.find("#!/bin/sh").unwrap(), "ours first");
        assert_eq!(text, joined_user_data("#cloud-config\n{}", "#!/bin/sh\necho hi"), "the same every time");
    }
}
