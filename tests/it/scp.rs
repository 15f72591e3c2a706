//! `wharf scp` between this computer and real hosts, and between two of them.

use std::fs;
use std::io::Write as _;

use crate::world::{World, text};

fn write(path: &std::path::Path, what: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path).unwrap().write_all(what.as_bytes()).unwrap();
}

#[test]
fn files_go_there_and_back_and_across() {
    let world = World::new();
    let (web, db) = (world.lab.host(), world.lab.host());
    world.create("web", &web);
    world.create("db", &db);
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name).display().to_string();
    write(&folder.path().join("tree/a b"), "one");
    write(&folder.path().join("tree/deep/c"), "two");

    world.wharf_ok(&["scp", "-r", "-q", &here("tree"), "web:/tmp/tree"]);
    assert_eq!(web.run("cat '/tmp/tree/a b' /tmp/tree/deep/c"), "onetwo");
    world.wharf_ok(&["scp", "-q", "web:/tmp/tree/deep/c", "db:/tmp/across"]);
    assert_eq!(db.run("cat /tmp/across"), "two");
    world.wharf_ok(&["scp", "-q", "db:/tmp/across", &here("back")]);
    assert_eq!(fs::read_to_string(folder.path().join("back")).unwrap(), "two");

    // Whoever starts in a folder names files in it, whatever they are called.
    write(&folder.path().join("-r"), "odd");
    let mut odd = world.wharf(["scp", "-q", "--", "-r", "db:/tmp/odd"]);
    assert!(odd.current_dir(folder.path()).status().unwrap().success());
    assert_eq!(db.run("cat /tmp/odd"), "odd");

    let missing = world.wharf(["scp", "-q", "db:/nowhere/file", &here("none")]).output().unwrap();
    assert!(!missing.status.success() && text(&missing).contains("/nowhere/file"), "{}", text(&missing));
    let unknown = world.wharf(["scp", "mail:/etc/hosts", &here("none")]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(4), "{}", text(&unknown));
    let nowhere = world.wharf(["scp", &here("back"), &here("again")]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2), "{}", text(&nowhere));
}
