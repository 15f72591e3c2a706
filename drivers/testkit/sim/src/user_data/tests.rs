//! What is read, what is refused, and what comes of it.

use super::{Entry, UserData};
use crate::body::Birth;

fn names(data: &UserData) -> Vec<&str> {
    fn name(entry: &Entry) -> &str {
        match entry {
            Entry::Default => "default",
            Entry::User(user) => user.name.as_str(),
        }
    }
    data.config.users.iter().map(name).collect()
}

fn refused(text: &str) -> String {
    UserData::parse(text.as_bytes()).expect_err("refused").to_string()
}

#[test]
fn a_config_is_read_as_yaml_or_json() {
    let json = r#"#cloud-config
{"hostname":"web1","users":[{"name":"wharf","sudo":"ALL=(ALL) NOPASSWD:ALL","ssh_authorized_keys":["ssh-ed25519 A"]}],"ssh_genkeytypes":["ed25519"],"ssh_keys":{"ed25519_private":"p","ed25519_public":"q"}}
"#;
    let yaml = "#cloud-config\nhostname: web1\nusers:\n- name: wharf\n  sudo: ALL=(ALL) NOPASSWD:ALL\n  ssh_authorized_keys: [ssh-ed25519 A]\nssh_genkeytypes: [ed25519]\nssh_keys:\n  ed25519_private: p\n  ed25519_public: q\n";
    let read = |text: &str| UserData::parse(text.as_bytes()).expect("read");
    assert_eq!(read(json), read(yaml));
    assert_eq!(names(&read(json)), ["wharf"]);
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
    assert_eq!(names(&data), ["wharf", "ann"]);
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

#[test]
fn the_clouds_own_user_is_made_unless_others_are_named_instead() {
    let born = |custom: &str, cloud_init: bool| {
        let birth = Birth {
            id: "vm".to_owned(),
            name: "vm".to_owned(),
            host_name: "vm".to_owned(),
            user: "told".to_owned(),
            keys: vec!["ssh-rsa A".to_owned()],
            custom_data: (!custom.is_empty()).then(|| custom.as_bytes().to_vec()),
            user_data: None,
            cloud_init,
            image: String::new(),
            cores: 1,
            memory: 1024,
            private_address: None,
            public_address: None,
            rules: Vec::new(),
        };
        UserData::of(&birth)
    };
    let users = |custom: &str, cloud_init: bool| {
        let data = born(custom, cloud_init).expect("read");
        names(&data).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(users("", true), ["told"]);
    assert_eq!(users("#cloud-config\nusers: [{name: other}]\n", true), ["other"]);
    assert_eq!(users("#cloud-config\nusers: [default, {name: other}]\n", true), ["told", "other"]);
    // Without cloud-init nothing reads the custom data, not even what is wrong in it.
    assert_eq!(users("#cloud-config\nusers: [{name: other}]\n", false), ["told"]);
    assert_eq!(users("nothing that anybody reads", false), ["told"]);
    assert!(born("nothing that anybody reads", true).is_err());
    assert!(refused("#cloud-config\nusers: [somebody]\n").contains("somebody"));
}
