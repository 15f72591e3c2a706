//! Private keys in the system's keyring, which is keyring-core's own in memory here.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use crate::fake::kept;
use crate::sandbox::Sandbox;

/// In a session that has a bus, and so a keyring.
fn desktop() -> Sandbox {
    Sandbox::new().env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
}

/// The files below `folder` that hold a private key.
fn private_keys(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).is_ok_and(|text| text.contains("PRIVATE KEY")) {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn store_id(sandbox: &Sandbox) -> String {
    let text = std::fs::read_to_string(sandbox.store().join("store.json")).unwrap();
    let identity: serde_json::Value = serde_json::from_str(&text).unwrap();
    identity["id"].as_str().unwrap().to_owned()
}

#[test]
fn only_the_docker_clients_key_is_a_file_and_rm_takes_the_machines_out() {
    let sandbox = desktop();
    assert_eq!(sandbox.run(&["create", "web"]).code, 0);
    assert_eq!(private_keys(&sandbox.store()), ["authority/key.pem", "machines/web/key.pem"]);
    let id = store_id(&sandbox);
    assert_eq!(
        kept(&id),
        ["authority/ca-key.pem", "machines/web/keys/host_ed25519", "machines/web/keys/id_ed25519"]
    );
    let inspected = sandbox.run(&["inspect", "web"]).stdout;
    assert!(inspected.contains("\"ssh\": \"the Secret Service\""), "{inspected}");
    assert_eq!(sandbox.run(&["create", "db"]).code, 0, "one authority for all machines");
    assert_eq!(sandbox.run(&["rm", "-y", "web", "db"]).code, 0);
    assert_eq!(kept(&id), ["authority/ca-key.pem"]);
}

#[test]
fn a_session_without_the_keyring_is_told_what_it_lacks() {
    let sandbox = desktop();
    sandbox.run(&["create", "web"]);
    let elsewhere = sandbox.without("DBUS_SESSION_BUS_ADDRESS");
    let listed = elsewhere.run(&["ls"]);
    assert!(listed.code == 0 && listed.stdout.contains("v0.1.0"), "{listed}");
    assert_eq!(elsewhere.run(&["env", "web"]).code, 0);
    assert_snapshot!(elsewhere.run(&["create", "db"]), @r"
    $ wharf create db
    ! db: checking what can be checked beforehand
    ! error: the key of the certificate authority is in the Secret Service, which cannot be asked: this session has no such keyring
    ! hint: run this in the desktop session that the keyring belongs to, and unlock it there
    [exit 7]
    ");
    assert_snapshot!(elsewhere.run(&["provision", "web"]), @r"
    $ wharf provision web
    ! web: waiting for its address
    ! error: the key `keys/id_ed25519` of machine `web` is in the Secret Service, which cannot be asked: this session has no such keyring
    ! hint: run this in the desktop session that the keyring belongs to, and unlock it there
    [exit 7]
    ");
    assert!(!elsewhere.store().join("machines/db").exists());
    let removed = elsewhere.run(&["rm", "-y", "web"]);
    assert_eq!(removed.code, 0, "{removed}");
    assert!(removed.stderr.contains("the key opens nothing any more"), "{removed}");
}

#[test]
fn a_store_of_files_moves_in_and_out_with_the_commands_that_use_the_keys() {
    let sandbox = Sandbox::with(&["web"]);
    let all = ["authority/ca-key.pem", "authority/key.pem", "machines/web/key.pem"];
    let ssh = ["machines/web/keys/host_ed25519", "machines/web/keys/id_ed25519"];
    assert_eq!(private_keys(&sandbox.store()), [all.as_slice(), &ssh].concat());
    let sandbox = sandbox.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    let id = store_id(&sandbox);
    assert_eq!(sandbox.run(&["provision", "web"]).code, 0);
    assert_eq!(private_keys(&sandbox.store()), all[1..]);
    assert_eq!(kept(&id).len(), 3);
    assert_eq!(sandbox.run(&["provision", "web", "--keyring", "off"]).code, 0);
    assert_eq!(private_keys(&sandbox.store()), [all.as_slice(), &ssh].concat());
    assert_eq!(kept(&id), [""; 0]);
    assert_snapshot!(sandbox.run(&["ls", "--keyring", "perhaps"]), @r"
    $ wharf ls --keyring perhaps
    ! error: the keyring is `auto` or `off`, not `perhaps`
    ! hint: flags win over the environment, that over the file, that over defaults; `wharf --help` lists them
    [exit 2]
    ");
}

/// An `ssh` that writes down what it was started with.
fn pretend_ssh(sandbox: &Sandbox) -> PathBuf {
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n\
                  for word; do case $word in IdentityAgent=*) SSH_AUTH_SOCK=$(echo \"${word#*=}\" | tr -d '\"');; esac; done\n\
                  export SSH_AUTH_SOCK\nssh-add -L >offered\nprintf '%s\\n' \"$@\" >arguments\n\
                  stat -c %a \"$(dirname \"$SSH_AUTH_SOCK\")\" >mode\ndirname \"$SSH_AUTH_SOCK\" >folder\n";
    let ssh = sandbox.home().join("bin/ssh");
    std::fs::create_dir_all(sandbox.home().join("bin")).unwrap();
    wharf_testkit::script(&ssh, script).unwrap();
    ssh
}

#[test]
fn ssh_signs_in_with_a_key_that_is_in_no_file() {
    let sandbox = desktop();
    sandbox.run(&["create", "web"]);
    let bin = sandbox.home().join("bin").display().to_string();
    let sandbox = sandbox.env("PATH", &format!("{bin}:/usr/bin:/bin"));
    let ssh = pretend_ssh(&sandbox);
    let ended = sandbox.run(&["ssh", "web", "true"]);
    assert_eq!(ended.code, 0, "{ended}");
    let said = |file: &str| std::fs::read_to_string(ssh.with_file_name(file)).unwrap().trim().to_owned();
    let public = sandbox.store().join("machines/web/keys/id_ed25519.pub");
    let words = |text: &str| text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&said("offered")), words(&std::fs::read_to_string(&public).unwrap()));
    assert!(said("arguments").contains(&format!("-i\n{}", public.display())), "{}", said("arguments"));
    assert_eq!(said("mode"), "700");
    assert!(!Path::new(&said("folder")).exists(), "the agent's folder is left");
}
