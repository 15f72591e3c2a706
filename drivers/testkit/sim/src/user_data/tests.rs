//! What is read, what is refused, and what comes of it.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use super::UserData;

fn refused(text: &str) -> String {
    UserData::parse(text.as_bytes()).expect_err("refused").to_string()
}

#[test]
fn a_config_is_read_as_yaml_or_json() {
    let json = r#"#cloud-config
{"hostname":"web1","users":[{"name":"wharf","sudo":"ALL=(ALL) NOPASSWD:ALL","ssh_authorized_keys":["ssh-ed25519 A"]}],"ssh_genkeytypes":[],"ssh_keys":{"ed25519_private":"p","ed25519_public":"q"}}
"#;
    let yaml = "#cloud-config\nhostname: web1\nusers:\n- name: wharf\n  sudo: ALL=(ALL) NOPASSWD:ALL\n  ssh_authorized_keys: [ssh-ed25519 A]\nssh_genkeytypes: []\nssh_keys:\n  ed25519_private: p\n  ed25519_public: q\n";
    let read = |text: &str| UserData::parse(text.as_bytes()).expect("read");
    assert_eq!(read(json), read(yaml));
    assert_eq!(read(json).config.users[0].name, "wharf");
}

#[test]
fn what_nothing_reads_is_refused_by_name() {
    assert!(refused("#cloud-config\nhostnames: web1\n").contains("hostnames"));
    assert!(refused("#cloud-config\nusers:\n- nam: x\n").contains("nam"));
    assert!(refused("#cloud-config\nssh_keys:\n  dsa_private: x\n").contains("dsa_private"));
    assert!(refused("#cloud-config\nusers:\n- name: Root!\n").contains("Root!"));
    assert!(refused("#cloud-config\npackage_update: true\n").contains("package manager"));
    assert!(refused("#cloud-config\nwrite_files:\n- path: /x\n  encoding: gzip\n").contains("gzip"));
    assert!(refused("hello").contains("hello"));
    assert!(refused("#cloud-config\nhostname: [a\n").contains("cloud-config"));
}

#[test]
fn parts_are_joined_and_lists_appended() {
    let message = "Content-Type: multipart/mixed; boundary=\"b1\"\nMIME-Version: 1.0\n\n--b1\nContent-Type: text/cloud-config; charset=\"utf-8\"\nMIME-Version: 1.0\n\n#cloud-config\n{\"hostname\": \"ours\", \"users\": [{\"name\": \"wharf\"}]}\n\n--b1\nContent-Type: text/cloud-config\nMerge-Type: list(append)\n\n#cloud-config\nhostname: theirs\nusers:\n- name: ann\nruncmd:\n- echo hi\n\n--b1\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ntouch /ran\n\n--b1--\n";
    let data = UserData::parse(message.as_bytes()).expect("read");
    assert_eq!(data.config.hostname.as_deref(), Some("ours"));
    assert_eq!(data.config.users.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["wharf", "ann"]);
    assert_eq!(data.scripts, ["#!/bin/sh\ntouch /ran\n"]);
    assert!(refused(&message.replace("text/x-shellscript", "text/x-include-url")).contains("x-include-url"));
    assert!(refused(&message.replace("--b1--", "")).contains("no end"));
}

#[test]
fn a_first_boot_is_a_script_that_a_shell_takes() {
    let text = "#cloud-config\nhostname: web1\nssh_deletekeys: true\nssh_keys: {ed25519_private: p}\nusers:\n- name: wharf\n  sudo: ALL=(ALL) NOPASSWD:ALL\n  ssh_authorized_keys: [\"ssh-ed25519 A it's\"]\nwrite_files:\n- path: /etc/a b\n  content: \"it's\\n\"\n  permissions: '0600'\nruncmd:\n- [echo, \"it's\"]\n- echo a > /b\n";
    let script = UserData::parse(text.as_bytes()).expect("read").first_boot();
    let mut shell = std::process::Command::new("sh");
    let checked =
        shell.arg("-n").stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let mut checked = checked.expect("a shell");
    std::io::Write::write_all(&mut checked.stdin.take().expect("its input"), script.as_bytes())
        .expect("written");
    let output = checked.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
    let order: Vec<_> = [
        "/etc/hostname",
        "rm -f /etc/ssh",
        "ssh_host_ed25519_key",
        "useradd",
        "/etc/a b",
        "'echo' 'it'\\''s'",
        "boot-finished",
    ]
    .iter()
    .map(|part| script.find(part).unwrap_or_else(|| panic!("{part} is missing in {script}")))
    .collect();
    assert!(order.is_sorted(), "{script}");
}
