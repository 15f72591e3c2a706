//! `docker cp`, `diff` and `export`: running and stopped, and what a hostile container gets out of them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::engine::Engine;

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn files_are_copied_both_ways_running_and_stopped() {
    let engine = engine!("files_are_copied_both_ways_running_and_stopped");
    let folder = engine.folder().join("host");
    std::fs::create_dir_all(folder.join("tree/sub")).unwrap();
    write(&folder.join("tree/sub/file"), "deep\n");
    write(&folder.join("script"), "#!/bin/sh\n");
    std::fs::set_permissions(folder.join("script"), std::fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::symlink("sub/file", folder.join("tree/link")).unwrap();
    std::os::unix::fs::chown(folder.join("script"), Some(1234), Some(1235)).unwrap();
    let from = |name: &str| folder.join(name).display().to_string();
    engine.ok(&["create", "--name", "stopped", "-u", "web", "-v", "vol:/v", "busybox", "sleep", "600"]);
    engine.ok(&["run", "-d", "--name", "runs", "-u", "web", "-v", "vol:/v", "busybox", "sleep", "600"]);
    for name in ["stopped", "runs"] {
        let inside = |path: &str| format!("{name}:{path}");
        engine.ok(&["cp", &from("tree"), &inside("/tmp/copied")]);
        engine.ok(&["cp", &from("script"), &inside("/tmp/script")]);
        engine.ok(&["cp", "-a", &from("script"), &inside("/tmp/own")]);
        engine.ok(&["cp", &format!("{}/.", from("tree")), &inside("/v")]);
        let back = engine.folder().join(name);
        std::fs::create_dir(&back).unwrap();
        let to = |file: &str| back.join(file).display().to_string();
        engine.ok(&["cp", &inside("/tmp/copied"), &to("copied")]);
        assert_eq!(std::fs::read_to_string(back.join("copied/sub/file")).unwrap(), "deep\n");
        assert_eq!(std::fs::read_link(back.join("copied/link")).unwrap(), Path::new("sub/file"));
        assert!(engine.listed(name, "/tmp/script").contains("-rwxr-x--- 1234/1235"), "kept as it was");
        assert!(
            engine.listed(name, "/tmp/own").contains("-rwxr-x--- 33/33"),
            "the user's, by the container's accounts"
        );
        engine.ok(&["cp", "-L", &inside("/tmp/copied/link"), &to("followed")]);
        assert_eq!(std::fs::read_to_string(back.join("followed")).unwrap(), "deep\n");
        engine.ok(&["cp", &inside("/v/sub/file"), &to("volume")]);
        let missing = engine.docker(&["cp", &inside("/no/such"), &to("x")]);
        assert!(missing.stderr.contains("Could not find the file /no/such in container"), "{missing:?}");
    }
    assert_eq!(engine.ok(&["exec", "runs", "cat", "/tmp/copied/link", "/v/link"]), "deep\ndeep\n");
    let hostname = engine.folder().join("hostname").display().to_string();
    engine.ok(&["cp", "runs:/etc/hostname", &hostname]);
    let hostname = std::fs::read_to_string(hostname).unwrap();
    assert_eq!(hostname.trim().len(), 12, "the file that is mounted there: {hostname:?}");
    engine.ok(&["start", "stopped"]);
    assert_eq!(engine.ok(&["exec", "stopped", "cat", "/tmp/copied/sub/file"]), "deep\n");
    let archive = engine.docker_with(&["exec", "-i", "runs", "tar", "c", "-C", "/tmp", "copied"], "").stdout;
    assert!(archive.contains("copied/sub/file"));
}

#[test]
fn what_is_read_only_is_not_written_to() {
    let engine = engine!("what_is_read_only_is_not_written_to");
    let file = engine.folder().join("file");
    write(&file, "x");
    let file = file.display().to_string();
    engine.ok(&["create", "--name", "ro", "--read-only", "-v", "vol:/w", "-v", "vol:/r:ro", "busybox"]);
    engine.ok(&["cp", &file, "ro:/w/x"]);
    let root = engine.docker(&["cp", &file, "ro:/etc/x"]);
    assert!(root.stderr.contains("container rootfs is marked read-only"), "{root:?}");
    let volume = engine.docker(&["cp", &file, "ro:/r/y"]);
    assert!(volume.stderr.contains("mounted volume is marked read-only"), "{volume:?}");
    engine.ok(&["create", "--name", "rw", "busybox"]);
    let over = engine.docker(&["cp", &file, "rw:/data/seed/x"]);
    assert!(over.code != 0, "{over:?}");
    let folder = engine.folder().join("seed");
    std::fs::create_dir(&folder).unwrap();
    let kinds = engine.docker(&["cp", &folder.display().to_string(), "rw:/data"]);
    assert!(kinds.stderr.contains("cannot overwrite non-directory"), "{kinds:?}");
}

/// CVE-2018-15664: the link is swapped between our look and our write, over and over.
#[test]
fn a_link_swapped_meanwhile_leads_nowhere_outside() {
    let engine = engine!("a_link_swapped_meanwhile_leads_nowhere_outside");
    let trap = engine.folder().join("trap");
    std::fs::create_dir(&trap).unwrap();
    write(&trap.join("secret"), "host");
    let script = format!(
        "mkdir -p /real /{0}; echo inside > /{0}/secret; ln -s /{0} /link; echo ready; \
         while true; do ln -sfn /{0} /swap; rm -rf /swap; mkdir /swap; rm -rf /swap; done",
        trap.strip_prefix("/").unwrap().display()
    );
    engine.ok(&["run", "-d", "--name", "evil", "busybox", "sh", "-c", &script]);
    engine.until(&["logs", "evil"], |seen| seen.contains("ready"));
    let file = engine.folder().join("planted");
    write(&file, "planted");
    let file = file.display().to_string();
    for round in 0..40 {
        // It works or it does not, as the moment has it.
        engine.docker(&["cp", &file, "evil:/swap/planted"]);
        engine.docker(&["cp", &file, "evil:/link/planted"]);
        let got = engine.folder().join(format!("got-{round}"));
        if engine.docker(&["cp", "evil:/swap/secret", &got.display().to_string()]).code == 0 {
            assert_eq!(std::fs::read_to_string(got).unwrap(), "inside\n");
        }
    }
    let left: Vec<_> = std::fs::read_dir(&trap).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["secret"], "nothing was written to the host");
    assert_eq!(std::fs::read_to_string(trap.join("secret")).unwrap(), "host");
}

#[test]
fn differences_are_told_and_everything_is_exported() {
    let engine = engine!("differences_are_told_and_everything_is_exported");
    let script = "mkdir /data/n; echo hi > /data/n/f; rm /data/seed; rm -r /home; mkfifo /tmp/p; ln /data/n/f /data/n/g";
    engine.ok(&["run", "--name", "one", "-v", "vol:/v", "busybox", "sh", "-c", script]);
    let mut changes: Vec<String> = engine.ok(&["diff", "one"]).lines().map(str::to_owned).collect();
    changes.sort();
    let expected = [
        "A /data/n",
        "A /data/n/f",
        "A /data/n/g",
        "A /tmp/p",
        "A /v",
        "C /data",
        "C /tmp",
        "D /data/seed",
        "D /home",
    ];
    assert_eq!(changes, expected);
    let archive = engine.folder().join("c.tar");
    engine.ok(&["export", "-o", &archive.display().to_string(), "one"]);
    let listed = engine.inside(&["tar", "tf", &archive.display().to_string()]);
    for name in [".dockerenv", "data/n/f", "data/n/g", "tmp/p", "etc/passwd", "proc/", "v/"] {
        assert!(listed.lines().any(|line| line == name), "{name}: {listed}");
    }
    assert!(!listed.contains("home/") && !listed.contains("data/seed"), "{listed}");
    engine.ok(&["import", &archive.display().to_string(), "again"]);
    assert_eq!(engine.ok(&["run", "--rm", "again", "/bin/cat", "/data/n/g"]), "hi\n");
    engine.ok(&["create", "--name", "clean", "busybox"]);
    assert_eq!(engine.ok(&["diff", "clean"]), "");
}

/// Nothing that looks into a container keeps it from being started, stopped or removed meanwhile.
#[test]
fn looking_in_and_starting_and_stopping_do_not_meet() {
    let engine = engine!("looking_in_and_starting_and_stopping_do_not_meet");
    engine.ok(&[
        "create",
        "--name",
        "one",
        "busybox",
        "sh",
        "-c",
        "echo run >> /tmp/log; echo written; sleep 600",
    ]);
    for round in 1..=5 {
        let file = |copy: i32| engine.folder().join(format!("{round}-{copy}.tar")).display().to_string();
        let copies: Vec<_> = (0..3).map(|copy| engine.spawn(&["export", "-o", &file(copy), "one"])).collect();
        engine.ok(&["start", "one"]);
        engine.until(&["logs", "one"], |seen| seen.lines().count() == round);
        engine.ok(&["kill", "one"]);
        for copy in copies {
            let said = copy.finish();
            assert_eq!(said.code, 0, "{said:?}");
        }
        let got = engine.folder().join(format!("log-{round}"));
        engine.ok(&["cp", "one:/tmp/log", &got.display().to_string()]);
        assert_eq!(std::fs::read_to_string(got).unwrap().lines().count(), round);
    }
    let mounted = engine.inside(&["cat", "/proc/self/mountinfo"]);
    assert!(!mounted.contains("/merged"), "nothing stays mounted: {mounted}");
    engine.ok(&["rm", "one"]);
}

impl Engine {
    /// What an archive of a path holds, with owners as numbers.
    fn listed(&self, name: &str, path: &str) -> String {
        let socket = self.folder().join("sock").display().to_string();
        let url = format!("http://engine/containers/{name}/archive?path={path}");
        let pipe = format!("curl -sS -m 30 --unix-socket {socket} '{url}' | tar tv --numeric-owner");
        self.inside(&["sh", "-c", &pipe])
    }

    /// Calls the API directly.
    pub(crate) fn api(&self, method: &str, path: &str) -> String {
        let socket = self.folder().join("sock").display().to_string();
        let url = format!("http://engine{path}");
        self.inside(&["curl", "-sS", "-m", "30", "-X", method, "--unix-socket", &socket, &url])
    }
}
