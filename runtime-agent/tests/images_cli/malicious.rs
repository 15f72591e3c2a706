//! Images that mean harm: whatever is in them, nothing outside the store changes, and nothing half stays in it.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::lab::Lab;

type Archive = Builder<Vec<u8>>;

/// An entry with its names as they are: the library would refuse to write most of these.
fn entry(archive: &mut Archive, kind: EntryType, name: &str, link: &str, data: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_mode(0o755);
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    archive.append(&header, data).unwrap();
}

fn file(archive: &mut Archive, name: &str, data: &[u8]) {
    entry(archive, EntryType::Regular, name, "", data);
}

/// What `docker load` takes: one layer, and what its configuration says that it unpacks to.
fn image(layer: &[u8], diff_id: &str, layer_name: &str) -> Vec<u8> {
    let config = json!({"architecture": "amd64", "os": "linux", "config": {},
                        "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let manifest = json!([{"Config": "config.json", "RepoTags": ["harm:1"], "Layers": [layer_name]}]);
    let mut archive = Builder::new(Vec::new());
    file(&mut archive, "config.json", config.to_string().as_bytes());
    file(&mut archive, "layer.tar", layer);
    file(&mut archive, "manifest.json", manifest.to_string().as_bytes());
    archive.into_inner().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn layer(entries: impl FnOnce(&mut Archive)) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    entries(&mut archive);
    archive.into_inner().unwrap()
}

fn canary(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap_or_default()))
        .collect();
    found.sort();
    found
}

#[test]
fn no_image_reaches_outside_the_store() {
    let Some(lab) = Lab::new("malicious") else { return };
    // Short: the old form of a name has a hundred bytes.
    let outside = tempfile::Builder::new().prefix("canary-").tempdir_in("/tmp").unwrap();
    let canary_folder = outside.path().to_str().unwrap();
    let up = format!("{}{canary_folder}", "../".repeat(15));
    write(&outside.path().join("secret"), b"secret");
    let before = canary(outside.path());
    let at = |name: &str| format!("{canary_folder}/{name}");
    let harm: Vec<(&str, Vec<u8>)> = vec![
        ("climbing", layer(|a| file(a, &format!("{up}/climbed"), b"x"))),
        ("absolute", layer(|a| file(a, &at("absolute"), b"x"))),
        ("over a file", layer(|a| file(a, &format!("{up}/secret"), b"x"))),
        (
            "through a link",
            layer(|a| {
                entry(a, EntryType::Symlink, "out", canary_folder, b"");
                file(a, "out/through", b"x");
            }),
        ),
        (
            "through a climbing link",
            layer(|a| {
                entry(a, EntryType::Symlink, "out", &up, b"");
                entry(a, EntryType::Directory, "out/folder", "", b"");
                file(a, "out/folder/x", b"x");
            }),
        ),
        (
            "a hard link and a write through it",
            layer(|a| {
                entry(a, EntryType::Link, "hard", &at("secret"), b"");
                file(a, "hard", b"x");
            }),
        ),
        ("a whiteout", layer(|a| file(a, &format!("{up}/.wh.secret"), b""))),
        (
            "an opaque mark through a link",
            layer(|a| {
                entry(a, EntryType::Symlink, "out", canary_folder, b"");
                file(a, "out/.wh..wh..opq", b"");
            }),
        ),
    ];
    for (what, layer) in &harm {
        write(&lab.folder.join("harm.tar"), &image(layer, &digest(layer), "layer.tar"));
        // Refused, or kept inside its layer: either is right.
        let loaded = lab.shell("docker load -i harm.tar").output().unwrap();
        assert_eq!(canary(outside.path()), before, "{what}");
        if loaded.status.success() {
            lab.ok("docker rmi -f harm:1");
        }
        assert!(lab.left_behind().is_empty(), "{what}: {:?}", lab.left_behind());
    }
}

#[test]
fn what_an_image_says_of_itself_is_checked() {
    let Some(lab) = Lab::new("lying") else { return };
    let honest = layer(|a| file(a, "x", b"x"));
    let another = digest(b"something else");
    for (what, archive) in [
        ("another diff id", image(&honest, &another, "layer.tar")),
        ("no diff id", image(&honest, "sha256:0", "layer.tar")),
        ("a layer of the host", image(&honest, &digest(&honest), "../../../../../../etc/passwd")),
        ("a layer that is not there", image(&honest, &digest(&honest), "nowhere.tar")),
        ("a cut layer", image(&honest[..700], &digest(&honest), "layer.tar")),
        ("no archive", b"no archive at all".to_vec()),
    ] {
        write(&lab.folder.join("lie.tar"), &archive);
        lab.fails("docker load -i lie.tar");
        assert_eq!(lab.ok("docker images -aq"), "", "{what}");
        assert!(lab.left_behind().is_empty(), "{what}: {:?}", lab.left_behind());
    }
}

#[test]
fn a_sparse_file_stays_sparse() {
    let Some(lab) = Lab::new("sparse") else { return };
    lab.ok("mkdir holes && truncate -s 100G holes/big && echo end >>holes/big");
    lab.ok("tar --sparse -cf sparse.tar -C holes . && docker import sparse.tar sparse:1");
    let data = lab.folder.join("data").display().to_string();
    let found = lab.ok(&format!("find {data}/layers -name big"));
    let metadata = std::fs::metadata(found.lines().next().unwrap()).unwrap();
    assert!(metadata.len() > 100 << 30 && metadata.blocks() * 512 < 1 << 20, "{metadata:?}");
    lab.ok("docker rmi sparse:1");
    assert!(lab.left_behind().is_empty(), "{:?}", lab.left_behind());
}

fn write(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}
