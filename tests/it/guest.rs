//! The engine on a kernel that is all its own: the local driver's guest has control groups of version 2 alone, SCTP and
//! AppArmor, which the kernel below the test hosts may lack.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docker::wait_until;
use crate::local::World;
use crate::world::expect_success;

/// On the machine `demo`.
pub(crate) fn what_only_another_kernel_can_do_is_done_there(world: &World) {
    let scratch = tempfile::tempdir().unwrap();
    import_image(world, scratch.path());

    // Limits of control groups, version 2.
    let limits =
        ["-m", "64m", "--memory-swap", "96m", "--cpus", "0.5", "--cpu-shares", "512", "--pids-limit", "40"];
    let limited = [&limits[..], &["box", "cat"], &LIMIT_FILES].concat();
    assert_eq!(
        run(world, &limited).lines().collect::<Vec<_>>(),
        ["67108864", "33554432", "50000 100000", "59", "40"],
        "59 is what the newest runc makes of 512 shares, of which 1024 are 100"
    );
    let killed = world.docker(&["run", "--rm", "-m", "8m", "box", "sh", "-c", EATER]).output().unwrap();
    assert_eq!(killed.status.code(), Some(137), "{killed:?}");

    // Device rules.
    let disk = world.ssh("cat /sys/block/vda/dev").trim().to_owned();
    let (major, minor) = disk.split_once(':').unwrap();
    let script = format!("mknod /disk b {major} {minor} && head -c 1 /disk >/dev/null && echo read");
    let read = ["box", "sh", "-c", &script];
    let refused = world.docker(&[&["run", "--rm"][..], &read].concat()).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("not permitted"));
    let rule = format!("b {disk} r");
    assert_eq!(run(world, &[&["--device-cgroup-rule", &rule][..], &read].concat()).trim(), "read");

    // SCTP, published, from the host, from another container, and taken.
    sctp(world);

    // AppArmor.
    apparmor(world, scratch.path());
}

const LIMIT_FILES: [&str; 5] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory.swap.max",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/cpu.weight",
    "/sys/fs/cgroup/pids.max",
];
/// Its memory grows until it is killed.
const EATER: &str = "x=x; while :; do x=$x$x; done";

fn sctp(world: &World) {
    let serve = ["box", "sctp", "serve", "3868"];
    let publish = ["-d", "--name", "peer", "-p", "13868:3868/sctp"];
    run_kept(world, &[&publish[..], &serve].concat());
    let address =
        expect_success(&mut world.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "peer"]));
    let address = address.trim();
    assert_eq!(
        expect_success(&mut world.docker(&["port", "peer"])).trim(),
        "3868/sctp -> 0.0.0.0:13868",
        "not on [::], from where nothing leads to the container"
    );
    let ask =
        |at: &str, port: &str| run(world, &["--network", "host", "box", "sctp", "ask", at, port, "hello"]);
    for at in ["127.0.0.1", "10.0.2.15"] {
        assert_eq!(ask(at, "13868").trim(), format!("{address}:hello"), "by {at}");
    }
    // By the host's address from beside it, and directly.
    for (at, port) in [("10.0.2.15", "13868"), (address, "3868")] {
        let asked = run(world, &["box", "sctp", "ask", at, port, "hello"]);
        assert_eq!(asked.trim(), format!("{address}:hello"), "from a container, by {at}");
    }
    let taken =
        world.docker(&[&["run", "--rm", "-p", "13868:3868/sctp"][..], &serve].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(said.contains("Bind for 0.0.0.0:13868 failed: port is already allocated"), "{said}");
    let beyond =
        world.docker(&["run", "--rm", "-p", "[::1]:13868:3868/sctp", "box", "true"]).output().unwrap();
    let said = String::from_utf8_lossy(&beyond.stderr).into_owned();
    assert!(said.contains("SCTP is not passed on from IPv6 to IPv4"), "{said}");
    expect_success(&mut world.docker(&["rm", "-f", "peer"]));
    assert!(world.ssh("cat /proc/net/sctp/eps").lines().count() <= 1, "the port is held no longer");
}

fn apparmor(world: &World, scratch: &Path) {
    let Some(parser) = parser() else {
        return wharf_tests::skip("apparmor", "there is no apparmor_parser: WHARF_TEST_APPARMOR names one");
    };
    // Not without its compiler.
    let info = |world: &World| expect_success(&mut world.docker(&["info", "-f", "{{.SecurityOptions}}"]));
    assert!(!info(world).contains("apparmor"));
    let confinement = ["box", "cat", "/proc/self/attr/current"];
    assert_eq!(run(world, &confinement).trim(), "unconfined");
    let named =
        world.docker(&["run", "--rm", "--security-opt", "apparmor=mine", "box", "true"]).output().unwrap();
    let said = String::from_utf8_lossy(&named.stderr).into_owned();
    assert!(said.contains("AppArmor is not supported on this host"), "{said}");

    // The usual profile, its absence, one's own.
    install(world, &parser, scratch);
    restart_engine(world);
    assert!(info(world).contains("name=apparmor"), "{}", info(world));
    assert_eq!(run(world, &confinement).trim(), "docker-default (enforce)");
    assert_eq!(run(world, &[&["--privileged"][..], &confinement].concat()).trim(), "unconfined");
    let unconfined = ["--security-opt", "apparmor=unconfined"];
    assert_eq!(run(world, &[&unconfined[..], &confinement].concat()).trim(), "unconfined");
    // A right that capabilities alone would give.
    let mount = ["--cap-add", "SYS_ADMIN", "box", "sh", "-c", "mount -t tmpfs none /tmp && echo mounted"];
    let refused = world.docker(&[&["run", "--rm"][..], &mount].concat()).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("ermission denied"), "{refused:?}");
    assert_eq!(run(world, &[&unconfined[..], &mount].concat()).trim(), "mounted");
    let ipc = ["--cap-add", "SYS_ADMIN", "--security-opt", "systempaths=unconfined", "box", "sh", "-c"];
    let write = |file: &str| {
        let script = format!("echo 1000 >{file} && echo written");
        world.docker(&[&["run", "--rm"][..], &ipc, &[&script]].concat()).output().unwrap().status.success()
    };
    assert!(write("/proc/sys/kernel/shmmni") && write("/proc/sys/kernel/msgmax"), "a namespace's own");
    assert!(!write("/proc/sys/kernel/sysrq") && !write("/proc/sys/vm/swappiness"), "the whole machine's");

    let mine =
        "profile mine flags=(attach_disconnected) { file, network, capability, deny /tmp/** w, signal, }";
    world.ssh(&format!("echo '{mine}' | apparmor_parser -Kr"));
    run_kept(world, &["-d", "--name", "kept", "--security-opt", "apparmor=mine", "box", "sleep", "1000"]);
    let shown = expect_success(&mut world.docker(&["inspect", "-f", "{{.AppArmorProfile}}", "kept"]));
    assert_eq!(shown.trim(), "mine");
    for terminal in [&[][..], &["-t"]] {
        let exec = [&["exec"][..], terminal, &["kept", "cat", "/proc/self/attr/current"]].concat();
        assert_eq!(expect_success(&mut world.docker(&exec)).trim(), "mine (enforce)", "{terminal:?}");
    }
    let touched = world.docker(&["exec", "kept", "touch", "/tmp/x"]).output().unwrap();
    assert!(!touched.status.success(), "{touched:?}");
    // It is the engine's business that it ends all the same.
    expect_success(&mut world.docker(&["rm", "-f", "kept"]));
    let missing =
        world.docker(&["run", "--rm", "--security-opt", "apparmor=nobodys", "box", "true"]).output().unwrap();
    assert!(!missing.status.success(), "a profile that is not loaded confines nobody");
}

/// Has the watchdog start another one.
fn restart_engine(world: &World) {
    let daemon = || world.ssh("cat /proc/$(cat /run/wharf-watchdog.pid)/task/*/children").trim().to_owned();
    let before = daemon();
    world.ssh(&format!("kill -9 {before}"));
    wait_until("another engine answers", || {
        daemon() != before && world.docker(&["version"]).output().unwrap().status.success()
    });
}

/// `docker run --rm`
fn run(world: &World, arguments: &[&str]) -> String {
    expect_success(&mut world.docker(&[&["run", "--rm"][..], arguments].concat()))
}

/// `docker run`
fn run_kept(world: &World, arguments: &[&str]) {
    expect_success(&mut world.docker(&[&["run"][..], arguments].concat()));
}

/// The host's busybox, and a program that speaks SCTP.
fn import_image(world: &World, scratch: &Path) {
    let root = scratch.join("box");
    for folder in ["bin", "tmp", "etc"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in ["sh", "cat", "echo", "sleep", "true", "mknod", "head", "mount", "touch"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/lab/sctp.c");
    expect_success(Command::new("gcc").args(["-Os", "-static", "-o"]).arg(root.join("bin/sctp")).arg(source));
    let archive = scratch.join("box.tar");
    expect_success(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg("."));
    expect_success(&mut world.docker(&["import", &archive.display().to_string(), "box"]));
}

fn parser() -> Option<PathBuf> {
    let given = std::env::var_os("WHARF_TEST_APPARMOR").map(PathBuf::from);
    given.into_iter().chain(["/usr/sbin/apparmor_parser".into()]).find(|path| path.exists())
}

/// Brings AppArmor's compiler, and the libraries that it names, which are the guest's own for the most part.
fn install(world: &World, parser: &Path, scratch: &Path) {
    let libraries = expect_success(Command::new("ldd").arg(parser));
    let archive = scratch.join("parser.tar");
    let mut tar = Command::new("tar");
    tar.args(["--dereference", "--transform", "s,.*/apparmor_parser$,usr/sbin/apparmor_parser,", "-cf"])
        .arg(&archive);
    tar.args(["-C", "/"]).arg(parser.strip_prefix("/").unwrap());
    tar.args(libraries.split_whitespace().filter_map(|word| word.strip_prefix('/')));
    expect_success(&mut tar);
    world.wharf_ok(["scp", "-q", &archive.display().to_string(), "demo:/tmp/parser.tar"]);
    // What the guest has already is in use; only what is missing is unpacked.
    world.ssh("tar -xkf /tmp/parser.tar -C / 2>/dev/null; apparmor_parser --version");
}
