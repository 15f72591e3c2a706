//! User data as one shell script for a host that has no cloud-init: the same order, the same files.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::config::{Command, Entry};
use super::{File, User, UserData};

/// The script.
pub(super) fn first_boot(data: &UserData) -> String {
    let config = &data.config;
    let mut script = "#!/bin/sh\nset -eu\n".to_owned();
    if let Some(name) = config.hostname.as_ref().filter(|_| config.preserve_hostname != Some(true)) {
        line(
            &mut script,
            &format!("echo {0} > /etc/hostname; hostname {0} 2>/dev/null || true", quote(name)),
        );
    }
    host_keys(&mut script, data);
    let users = config.users.iter().filter_map(|entry| match entry {
        Entry::User(user) => Some(user),
        Entry::Default => None,
    });
    for (number, user) in users.enumerate() {
        let first: &[String] = if number == 0 { &config.ssh_authorized_keys } else { &[] };
        add_user(&mut script, user, first);
    }
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    let mut drop_in = String::new();
    if let Some(passwords) = config.ssh_pwauth {
        let _ = writeln!(drop_in, "PasswordAuthentication {}", yes(passwords));
    }
    if config.disable_root == Some(true) {
        drop_in.push_str("PermitRootLogin no\n");
    }
    if !drop_in.is_empty() {
        put(
            &mut script,
            "/etc/ssh/sshd_config.d/50-cloud-init.conf",
            drop_in.as_bytes(),
            "600",
            "root:root",
            false,
        );
    }
    for file in &config.write_files {
        write_file(&mut script, file);
    }
    for command in &config.runcmd {
        let text = match command {
            Command::Line(text) => format!("sh -c {}", quote(text)),
            Command::Words(words) => words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
        };
        line(&mut script, &text);
    }
    for (number, text) in data.scripts.iter().enumerate() {
        let path = format!("/var/lib/cloud/instance/scripts/part-{number:03}");
        put(&mut script, &path, text.as_bytes(), "700", "root:root", false);
        line(&mut script, &path);
    }
    line(&mut script, "mkdir -p /var/lib/cloud/instance && : > /var/lib/cloud/instance/boot-finished");
    script
}

fn line(script: &mut String, text: &str) {
    script.push_str(text);
    script.push('\n');
}

fn host_keys(script: &mut String, data: &UserData) {
    let config = &data.config;
    if config.ssh_deletekeys == Some(true) {
        line(script, "rm -f /etc/ssh/ssh_host_*key*");
    }
    for (name, key) in &config.ssh_keys.0 {
        let (kind, public) =
            name.strip_suffix("_public").map_or((name.trim_end_matches("_private"), false), |k| (k, true));
        let (end, mode) = if public { (".pub", "644") } else { ("", "600") };
        let text = format!("{}\n", key.trim_end());
        put(script, &format!("/etc/ssh/ssh_host_{kind}_key{end}"), text.as_bytes(), mode, "root:root", false);
    }
    if config.ssh_keys.0.is_empty() {
        for kind in config.ssh_genkeytypes.clone().unwrap_or_else(|| vec!["ed25519".to_owned()]) {
            let path = format!("/etc/ssh/ssh_host_{kind}_key");
            line(script, &format!("[ -e {path} ] || ssh-keygen -q -t {kind} -N '' -f {path}"));
        }
    }
}

fn add_user(script: &mut String, user: &User, more: &[String]) {
    let (name, shell) = (quote(&user.name), quote(user.shell.as_deref().unwrap_or("/bin/sh")));
    line(script, &format!("id {name} >/dev/null 2>&1 || useradd --create-home --shell {shell} {name}"));
    if user.lock_passwd != Some(false) {
        // Locked for passwords, and open for keys.
        line(script, &format!("usermod -p '*' {name}"));
    }
    if let Some(groups) = &user.groups {
        line(script, &format!("usermod -aG {} {name}", quote(&groups.replace(' ', ""))));
    }
    if let Some(sudo) = &user.sudo {
        let text = format!("{} {sudo}\n", user.name);
        put(
            script,
            &format!("/etc/sudoers.d/90-cloud-init-{}", user.name),
            text.as_bytes(),
            "440",
            "root:root",
            false,
        );
    }
    let keys: Vec<&str> = user.ssh_authorized_keys.iter().chain(more).map(|key| key.trim()).collect();
    if !keys.is_empty() {
        let home = format!("/home/{}/.ssh", user.name);
        let owner = format!("{0}:{0}", user.name);
        put(
            script,
            &format!("{home}/authorized_keys"),
            format!("{}\n", keys.join("\n")).as_bytes(),
            "600",
            &owner,
            false,
        );
        line(script, &format!("chmod 700 {home}; chown {owner} {home}"));
    }
}

fn write_file(script: &mut String, file: &File) {
    // Checked when it was read.
    let bytes = file.bytes().unwrap_or_default();
    let mode = file.permissions.as_deref().unwrap_or("0644");
    put(script, &file.path, &bytes, mode, file.owner.as_deref().unwrap_or("root:root"), file.append);
}

fn put(script: &mut String, path: &str, bytes: &[u8], mode: &str, owner: &str, append: bool) {
    let (quoted, encoded) = (quote(path), STANDARD.encode(bytes));
    let to = if append { ">>" } else { ">" };
    line(script, &format!("mkdir -p \"$(dirname {quoted})\"; echo {encoded} | base64 -d {to} {quoted}"));
    line(script, &format!("chmod {} {quoted}; chown {} {quoted}", quote(mode), quote(owner)));
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
