//! Folders of a person's, seen in a machine on their computer at the same paths, and bound into its containers.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::docker::wait_until;
use crate::local::{ONE, World};
use crate::local_trouble::import;
use crate::world::{expect_success, text};

/// Not root: whatever arrives here must be theirs. ssh wants one that the system knows, which has `nobody` everywhere.
const SOMEBODY: u32 = 65534;

/// One machine is put through everything that needs one of its own, since each takes seconds of two processors.
#[test]
fn a_machine_sees_the_persons_folders_and_has_a_kernel_of_its_own() {
    let world = World::of_somebody(SOMEBODY);
    let [src, docs] = folders(&world);
    let writable = format!("{}:rw", src.display());
    let mut create = vec!["create", ONE, "--local-accel", "tcg", "--local-virtiofsd", "none"];
    create.extend(["--local-mount", "home", "--local-mount", &writable, "demo"]);
    let planned = world.wharf(create.iter().chain(&["--dry-run"])).output().unwrap();
    assert!(
        text(&planned).contains(&format!("{} (read-only), ", world.home().display())),
        "{}",
        text(&planned)
    );
    expect_success(&mut world.wharf(create));
    import(&world, "first");

    what_is_shared_is_seen_and_written_to(&world, &src);
    what_is_only_to_be_read_stays_as_it_is(&world, &docs);
    what_is_not_shared_is_refused(&world);
    what_the_machine_has_itself_is_used(&world);
    mounts_outlive_a_stop(&world, &src);
    crate::guest::what_only_another_kernel_can_do_is_done_there(&world);
}

/// With a kernel that has virtiofs, and a server of it on this computer: the guest mounts that and not 9p.
#[test]
#[ignore = "minutes of two processors, and a virtiofsd: tests/soak.sh local"]
fn a_share_goes_by_virtiofs_where_this_computer_has_a_server() {
    let server = std::env::var_os("WHARF_TEST_VIRTIOFSD").expect("WHARF_TEST_VIRTIOFSD names a virtiofsd");
    let world = World::of_somebody(SOMEBODY);
    let server = world.give(Path::new(&server), "virtiofsd").display().to_string();
    let [src, docs] = folders(&world);
    let (writable, read) = (format!("{}:rw", src.display()), docs.display().to_string());
    let mut create = vec!["create", ONE, "--local-accel", "tcg", "--local-virtiofsd", &server];
    create.extend(["--local-mount", &read, "--local-mount", &writable, "demo"]);
    expect_success(&mut world.wharf(create));
    import(&world, "first");
    for (tag, mode, folder) in [("share0", "ro", &docs), ("share1", "rw", &src)] {
        let path = folder.display().to_string().replace(' ', "\\040");
        let line = format!("{tag} {path} virtiofs {mode},");
        let mounts = world.ssh("cat /proc/mounts");
        assert!(mounts.contains(&line), "`{line}` is not in {mounts}");
    }

    what_is_shared_is_seen_and_written_to(&world, &src);
    what_is_only_to_be_read_stays_as_it_is(&world, &docs);
    // Whoever writes in a container, it is the person who does here.
    let bind = format!("{}:/src", src.display());
    let arguments =
        ["run", "--rm", "--user", "1000", "-v", &bind, "first", "/busybox", "touch", "/src/theirs"];
    fs::set_permissions(&src, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    expect_success(&mut world.docker(&arguments));
    assert_eq!(fs::metadata(src.join("theirs")).unwrap().uid(), SOMEBODY);

    // Its death is said, and mended by a restart.
    assert_eq!(world.wharf_ok(["status", "demo"]).matches("lost").count(), 0);
    world.kill_nine("share1.lock");
    let status = || text(&world.wharf(["status", "demo"]).output().unwrap());
    wait_until("it is said", || status().contains(&format!("{} is lost to the machine", src.display())));
    world.wharf_ok(["restart", "demo"]);
    assert_eq!(run_ok(&world, &bind, "/busybox cat /src/page"), "changed here\n");
    world.wharf_ok(["rm", "-y", "demo"]);
    world.until_nothing_runs();
}

/// Two folders in the person's home, with a page in each.
fn folders(world: &World) -> [PathBuf; 2] {
    ["src", "my docs"].map(|name| {
        let folder = world.home().join(name);
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::chown(&folder, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        write(&folder.join("page"), "one\n");
        folder
    })
}

fn what_is_shared_is_seen_and_written_to(world: &World, src: &Path) {
    // As it is typed, the shell putting in the path.
    let mut shell = world.plain("/bin/sh");
    let docker = world.docker(&["run", "--rm", "-v"]);
    let words: Vec<_> = std::iter::once(docker.get_program()).chain(docker.get_args()).collect();
    shell.args(["-c", r#"exec "$@" "$PWD":/src first /busybox cat /src/page"#, "sh"]).args(words);
    assert_eq!(expect_success(shell.current_dir(src)), "one\n");

    let bind = format!("{}:/src", src.display());
    run_ok(
        world,
        &bind,
        "echo written >/src/new && /busybox mkdir /src/made && /busybox ln -s new /src/link",
    );
    assert_eq!(fs::read_to_string(src.join("new")).unwrap(), "written\n");
    for name in ["new", "made", "link"] {
        assert_eq!(fs::symlink_metadata(src.join(name)).unwrap().uid(), SOMEBODY, "{name}");
    }
    write(&src.join("page"), "changed here\n");
    assert_eq!(run_ok(world, &bind, "/busybox cat /src/page"), "changed here\n");

    // dockerd makes what is not there; here that is the person's folder.
    let deep = src.join("data/deep");
    run_ok(world, &format!("{}:/data", deep.display()), "echo kept >/data/kept");
    assert_eq!(fs::read_to_string(deep.join("kept")).unwrap(), "kept\n");
    assert_eq!(fs::metadata(&deep).unwrap().uid(), SOMEBODY);
}

fn what_is_only_to_be_read_stays_as_it_is(world: &World, docs: &Path) {
    let bind = format!("{}:/docs", docs.display());
    assert_eq!(run_ok(world, &bind, "/busybox cat /docs/page"), "one\n");
    let refused = run(world, &bind, "echo no >/docs/new");
    assert!(text(&refused).contains("Read-only file system"), "{}", text(&refused));
    // Whatever the guest does to its own mount, this computer refuses.
    let at = docs.display();
    let forced = format!(
        "mount -o remount,rw '{}'; mount -o remount,rw '{at}'; touch '{at}/new' 2>&1 || echo refused",
        world.home().display()
    );
    assert!(world.ssh(&forced).contains("refused"));
    let missing = run(world, &format!("{at}/missing:/docs"), "true");
    let said = text(&missing);
    assert_eq!(missing.status.code(), Some(125), "{said}");
    assert!(said.contains("only reads") && said.contains(":rw"), "{said}");
    let there: Vec<_> = fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(there, ["page"]);
}

fn what_is_not_shared_is_refused(world: &World) {
    let missing = run(world, "/nowhere/src:/src", "true");
    let said = text(&missing);
    assert_eq!(missing.status.code(), Some(125), "{said}");
    assert!(said.contains("/nowhere/src") && said.contains("--local-mount"), "{said}");
    assert!(said.contains(&world.home().display().to_string()), "it says what is shared: {said}");
    assert_eq!(world.ssh("test -e /nowhere || echo nothing").trim(), "nothing");
}

fn what_the_machine_has_itself_is_used(world: &World) {
    run_ok(world, "/run/wharf/wharfd.sock:/var/run/docker.sock", "test -S /var/run/docker.sock");
    assert_eq!(run_ok(world, "/etc/wharf-guest:/g:ro", "/busybox cat /g"), "version=1\n");
    run_ok(world, "data:/d", "echo kept >/d/kept");
    assert_eq!(run_ok(world, "data:/d", "/busybox cat /d/kept"), "kept\n");
}

fn mounts_outlive_a_stop(world: &World, src: &Path) {
    let bind = format!("{}:/src", src.display());
    let arguments = ["run", "-d", "--name", "web", "--restart", "always", "-v", &bind, "first"];
    let program = ["/busybox", "sleep", "1000000"];
    expect_success(&mut world.docker(&[&arguments[..], &program].concat()));
    world.wharf_ok(["stop", "demo"]);
    world.wharf_ok(["start", "demo"]);
    write(&src.join("page"), "after\n");
    let seen = || world.docker(&["exec", "web", "/busybox", "cat", "/src/page"]).output().unwrap();
    // The engine answers while it still starts what was running.
    wait_until("the container is started again", || seen().status.success());
    assert_eq!(text(&seen()), "after\n");
    expect_success(&mut world.docker(&["rm", "-f", "web"]));

    // A folder that is gone keeps nobody from starting, is named, and is not made up.
    let away = src.with_file_name("away");
    world.wharf_ok(["stop", "demo"]);
    fs::rename(src, &away).unwrap();
    world.wharf_ok(["start", "demo"]);
    let status = text(&world.wharf(["status", "demo"]).output().unwrap());
    assert!(status.contains(&format!("{} of the computer", src.display())), "{status}");
    let refused = run(world, &bind, "true");
    assert!(text(&refused).contains("could not mount"), "{}", text(&refused));
    assert!(!src.exists());
    fs::rename(&away, src).unwrap();
    world.wharf_ok(["restart", "demo"]);
    assert_eq!(run_ok(world, &bind, "/busybox cat /src/page"), "after\n");
}

fn run(world: &World, bind: &str, script: &str) -> Output {
    world.docker(&["run", "--rm", "-v", bind, "first", "/busybox", "sh", "-c", script]).output().unwrap()
}

fn run_ok(world: &World, bind: &str, script: &str) -> String {
    let ended = run(world, bind, script);
    assert!(ended.status.success(), "{bind}: {script}: {}", text(&ended));
    text(&ended)
}

fn write(path: &Path, what: &str) {
    std::io::Write::write_all(&mut fs::File::create(path).unwrap(), what.as_bytes()).unwrap();
}
