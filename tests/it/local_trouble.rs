//! The local driver's guest in trouble, for real: a full disk, a damaged one, and a clock that stood still.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::local::World;
use crate::world::{expect_success, text};

/// Where ext4 keeps what says that it is ext4.
const SUPERBLOCK: u64 = 1024;

/// One machine with the smallest disk is put through everything, since each takes seconds of two processors.
#[test]
#[ignore = "minutes of two processors: tests/soak.sh local"]
fn a_machine_in_trouble_says_so_and_loses_nothing() {
    let world = World::new();
    world.wharf_ok(["create", "--local-disk", "1", "demo"]);
    import(&world, "first");
    a_full_disk(&world);
    a_clock_that_stood_still(&world);
    a_damaged_disk(&world);
    world.wharf_ok(["rm", "-y", "demo"]);
}

/// What needs room fails in words, what is there works.
fn a_full_disk(world: &World) {
    world.ssh("dd if=/dev/zero of=/var/lib/wharf/filler bs=64k 2>/dev/null; sync; true");
    let archive = world.store.join("../first.tar");
    let import = world.docker(&["import", &archive.display().to_string(), "second"]).output().unwrap();
    assert!(!import.status.success(), "{}", text(&import));
    assert!(text(&import).to_lowercase().contains("no space left on device"), "{}", text(&import));
    let images = expect_success(&mut world.docker(&["images", "-q", "first"]));
    assert!(!images.trim().is_empty(), "the image that was there is gone");
    // A machine without room is stopped and started like any other.
    world.wharf_ok(["restart", "demo"]);
    world.ssh("rm /var/lib/wharf/filler && sync");
    expect_success(&mut world.docker(&["import", &archive.display().to_string(), "second"]));
    assert_eq!(
        expect_success(&mut world.docker(&["run", "--rm", "first", "/busybox", "echo", "runs"])).trim(),
        "runs"
    );
}

/// A computer that sleeps stops its machines with it.
fn a_clock_that_stood_still(world: &World) {
    let folder = world.store.join("machines/demo/driver");
    // QEMU listens to one at a time, and that is the supervisor; the next command brings another.
    world.kill_nine("supervisor.lock");
    let mut qemu = UnixStream::connect(folder.join("qmp.sock")).unwrap();
    let mut answers = BufReader::new(qemu.try_clone().unwrap()).lines();
    let mut tell = |command: &str| {
        writeln!(qemu, r#"{{"execute":"{command}"}}"#).unwrap();
        while !answers.next().unwrap().unwrap().contains(r#""return""#) {}
    };
    tell("qmp_capabilities");
    tell("stop");
    std::thread::sleep(Duration::from_secs(6));
    tell("cont");
    drop(answers);
    drop(qemu);
    let patience = Instant::now() + Duration::from_secs(60);
    while apart(world) > 2 {
        assert!(Instant::now() < patience, "the guest's clock stays {} s away", apart(world));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn apart(world: &World) -> u64 {
    let guest: u64 = world.ssh("date +%s").trim().parse().unwrap();
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().abs_diff(guest)
}

/// It is said, never formatted, and SSH answers.
fn a_damaged_disk(world: &World) {
    let disk = world.store.join("machines/demo/driver/disk.img");
    world.wharf_ok(["stop", "demo"]);
    let mut good = [0; 1024];
    File::open(&disk).unwrap().read_exact_at(&mut good, SUPERBLOCK).unwrap();
    let mut foreign = [0; 1024];
    foreign[..6].copy_from_slice(b"LUKS\xba\xbe");
    for (what, damage) in [("a damaged superblock", [0x5a; 1024]), ("somebody else's signature", foreign)] {
        write_at(&disk, &damage);
        let before = sum(&disk);
        let start = world.wharf(["start", "demo"]).output().unwrap();
        assert!(!start.status.success(), "{}", text(&start));
        let said = text(&start);
        assert!(said.contains("the data disk is damaged; it is left untouched"), "{what}: {said}");
        assert!(said.contains("hint: ") && said.contains("e2fsck"), "{said}");
        let status = world.wharf(["status", "demo"]).output().unwrap();
        assert!(text(&status).contains("the data disk is damaged"), "{}", text(&status));
        until_ssh_answers(world);
        world.wharf_ok(["stop", "demo"]);
        assert_eq!(sum(&disk), before, "the disk was written to");
    }
    // Mended, everything is there.
    write_at(&disk, &good);
    world.wharf_ok(["start", "demo"]);
    assert!(!expect_success(&mut world.docker(&["images", "-q", "first"])).trim().is_empty());
}

/// A start that failed came back before the guest was up.
fn until_ssh_answers(world: &World) {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let asked = world.wharf(["ssh", "demo", "hostname"]).output().unwrap();
        if asked.status.success() {
            assert_eq!(text(&asked).trim(), "demo");
            return;
        }
        assert!(Instant::now() < patience, "SSH does not answer: {}", text(&asked));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn write_at(disk: &PathBuf, bytes: &[u8]) {
    File::options().write(true).open(disk).unwrap().write_all_at(bytes, SUPERBLOCK).unwrap();
}

fn sum(disk: &PathBuf) -> String {
    expect_success(Command::new("sha256sum").arg(disk))
}

/// An image of busybox alone.
pub(crate) fn import(world: &World, name: &str) {
    let archive = world.store.join(format!("../{name}.tar"));
    expect_success(Command::new("tar").args(["-C", "/bin", "-cf"]).arg(&archive).arg("busybox"));
    expect_success(&mut world.docker(&["import", &archive.display().to_string(), name]));
}
