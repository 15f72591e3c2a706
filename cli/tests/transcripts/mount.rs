//! `wharf mount`, with an sshfs that writes down what it is told.

use insta::assert_snapshot;

use crate::sandbox::{Ended, Sandbox};

/// Machines, and an sshfs that ends as `script` says.
fn scene(machines: &[&str], script: &str) -> Sandbox {
    let sandbox = Sandbox::with(machines);
    let folder = sandbox.home().join("programs");
    std::fs::create_dir(&folder).unwrap();
    for (name, script) in [("sshfs", script), ("ssh", "exit 255")] {
        wharf_testkit::script(&folder.join(name), &format!("#!/bin/sh\n{script}\n")).unwrap();
    }
    std::fs::create_dir(sandbox.home().join("site")).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    sandbox.env("PATH", &path)
}

/// What the sshfs was told, with the configuration that it was given.
const TELLS: &str = r#"cd "$(dirname "$0")/.." && { echo "$@"; cat "$2"; } >told"#;

#[test]
fn sshfs_gets_the_machine_s_key_host_key_and_port() {
    let sandbox = scene(&["web"], TELLS);
    let config = regex_lite::Regex::new(r"\S+/wharf-ssh-\w+/").unwrap();
    let told = || {
        let told = std::fs::read_to_string(sandbox.home().join("told")).unwrap();
        let told = told.replace(&sandbox.home().display().to_string(), "HOME");
        config.replace_all(&told, "PRIVATE/").into_owned()
    };
    assert_snapshot!(sandbox.run(&["mount", "ann@web:/srv/data", "site"]), @r"
    $ wharf mount ann@web:/srv/data site
    ! web:/srv/data is mounted at HOME/site
    ");
    assert_snapshot!(told(), @r#"
    -F PRIVATE/config -o fsname=web:/srv/data ann@wharf-machine-web:/srv/data HOME/site
    Host wharf-machine-web
      HostName 192.0.2.7
      Port 22
      User root
      IdentityFile "HOME/.local/share/wharf/machines/web/keys/id_ed25519"
      IdentitiesOnly yes
      StrictHostKeyChecking yes
      GlobalKnownHostsFile /dev/null
      UserKnownHostsFile "HOME/.local/share/wharf/machines/web/known_hosts"
      UpdateHostKeys no
      PasswordAuthentication no
      ControlPath none
      ConnectTimeout 10
      LogLevel QUIET
      ServerAliveInterval 15
      ServerAliveCountMax 3
    "#);
    // The only machine is meant, and the folder of the same name.
    assert_snapshot!(sandbox.run(&["mount", "site"]), @r"
    $ wharf mount site
    ! web:site is mounted at HOME/site
    ");
    assert!(told().starts_with("-F PRIVATE/config -o fsname=web:site wharf-machine-web:site HOME/site\n"));
}

#[test]
fn a_missing_sshfs_is_named_with_its_package() {
    let sandbox = Sandbox::with(&["web"]).env("PATH", "/nowhere");
    assert_snapshot!(sandbox.run(&["mount", "web:/srv", "site"]), @r"
    $ wharf mount web:/srv site
    ! error: there is no `sshfs` on PATH, which mounting needs
    ! hint: install the package `sshfs` (Fedora: `fuse-sshfs`)
    [exit 1]
    ");
}

#[test]
fn places_that_cannot_be_mounted_at_are_refused() {
    let sandbox = scene(&["web", "db"], TELLS);
    sandbox.write("full/file", "mine");
    let refused: Vec<Ended> = [
        &["mount", "web:/srv", "missing"][..],
        &["mount", "web:/srv", "full"],
        &["mount", "web:/srv", "full/file"],
        &["mount", "web:/srv", "/proc"],
        &["mount", "web:"],
        &["mount", "/srv", "site"],
        &["mount", "mail:/srv", "site"],
        &["mount", "not_valid:/srv", "site"],
    ]
    .iter()
    .map(|line| sandbox.run(line))
    .collect();
    assert_snapshot!(refused.iter().map(ToString::to_string).collect::<String>(), @r#"
    $ wharf mount web:/srv missing
    ! error: there is no folder HOME/missing here to mount it at
    ! hint: mkdir -p HOME/missing
    [exit 3]
    $ wharf mount web:/srv full
    ! error: the folder HOME/full is not empty: a mount would hide what is in it
    ! hint: name an empty folder
    [exit 3]
    $ wharf mount web:/srv full/file
    ! error: HOME/full/file is not a folder
    ! hint: nothing was made; correct what is named above and run it again
    [exit 3]
    $ wharf mount web:/srv /proc
    ! error: proc is mounted at /proc already
    ! hint: name another folder
    [exit 3]
    $ wharf mount web:
    ! error: there is no folder here to mount it at
    ! hint: name one: wharf mount MACHINE:PATH MOUNTPOINT
    [exit 2]
    $ wharf mount /srv site
    ! error: which machine? There are several, and none is called `default`
    ! hint: name one of db, web
    [exit 2]
    $ wharf mount mail:/srv site
    ! error: there is no machine `mail`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    $ wharf mount not_valid:/srv site
    ! error: machine name "not_valid" contains '_' at position 4
    ! hint: a name begins with a letter or digit, goes on with letters, digits, `.` and `-`, and has at most 63 characters
    [exit 2]
    "#);
    assert!(!sandbox.home().join("told").exists());
}

#[test]
fn what_sshfs_says_is_said() {
    let sandbox = scene(&["web"], "echo 'wharf-machine-web:/no: No such file or directory' >&2; exit 1");
    assert_snapshot!(sandbox.run(&["mount", "web:/no", "site"]), @r"
    $ wharf mount web:/no site
    ! error: web:/no cannot be mounted: web:/no: No such file or directory
    ! hint: check that the folder is on the machine and that its SSH server has SFTP
    [exit 1]
    ");
    let sandbox = scene(&["web"], "echo 'fuse: device not found, try modprobe fuse first' >&2; exit 1");
    assert_snapshot!(sandbox.run(&["mount", "web:/srv", "site"]), @r"
    $ wharf mount web:/srv site
    ! error: web:/srv cannot be mounted: fuse: device not found, try modprobe fuse first
    ! hint: this computer has no FUSE: `sudo modprobe fuse`; in a container, give it the device /dev/fuse
    [exit 1]
    ");
}

#[test]
fn what_is_not_mounted_is_not_taken_away() {
    let sandbox = scene(&[], TELLS);
    assert_snapshot!(sandbox.run(&["mount", "-u", "web:/srv", "site"]), @r"
    $ wharf mount -u web:/srv site
    ! error: nothing is mounted at HOME/site
    ! hint: name it as it was mounted: wharf mount -u MACHINE:PATH MOUNTPOINT
    [exit 1]
    ");
    assert_snapshot!(sandbox.run(&["mount", "-u", "/proc"]), @r"
    $ wharf mount -u /proc
    ! error: what is mounted at /proc is no machine's folder (proc)
    ! hint: `umount` takes away what wharf did not mount
    [exit 3]
    ");
}

#[test]
fn docker_machine_means_its_default() {
    let sandbox = scene(&["web"], TELLS);
    assert_snapshot!(sandbox.docker_machine(&["mount", "/srv", "site"], ""), @r#"
    $ wharf docker-machine mount /srv site
    ! Error: No machine name(s) specified and no "default" machine exists
    [exit 1]
    "#);
    assert_snapshot!(sandbox.docker_machine(&["mount", "x:/srv", "site"], ""), @r#"
    $ wharf docker-machine mount x:/srv site
    ! Docker machine "x" does not exist. Use "docker-machine ls" to list machines. Use "docker-machine create" to add a new one.
    [exit 1]
    "#);
    assert_eq!(sandbox.docker_machine(&["mount", "web:/srv", "site"], "").code, 0);
    assert_snapshot!(sandbox.docker_machine(&["mount", "-u", "web:/srv", "site"], ""), @r"
    $ wharf docker-machine mount -u web:/srv site
    ! nothing is mounted at HOME/site
    [exit 1]
    ");
}
