//! A container's files from outside.

use super::*;
use crate::engine::containers::files::{Pieces, Upload};
use crate::engine::error::Kind;

async fn all(mut pieces: Pieces) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.recv().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    bytes
}

fn body(bytes: Vec<u8>) -> Pieces {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move { sender.send(Ok(bytes.into())).await });
    receiver
}

/// Tests run without the right to give files away.
async fn upload(daemon: &Containers, container: &Container, path: &str, bytes: Vec<u8>) -> Result<()> {
    let upload = Upload { path: path.to_owned(), own: false, keep_kinds: true };
    daemon.write_path(container, upload, body(bytes)).await
}

#[tokio::test]
async fn what_is_read_can_be_written_elsewhere() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = create(&daemon, "web", "{}").await.unwrap();
    let root = host.folder.path().join("snapshots").join(&container.id);
    std::fs::create_dir_all(root.join("from/sub")).unwrap();
    std::fs::create_dir(root.join("to")).unwrap();
    std::os::unix::fs::symlink("sub", root.join("from/link")).unwrap();
    let (stat, pieces) = daemon.read_path(&container, "/from").await.unwrap();
    assert_eq!((stat.name.as_str(), stat.mode >> 31), ("from", 1));
    upload(&daemon, &container, "to/.", all(pieces).await).await.unwrap();
    assert_eq!(std::fs::read_link(root.join("to/from/link")).unwrap(), Path::new("sub"));
    assert_eq!(daemon.path_stat(&container, "/to/from/link").await.unwrap().link_target, "/to/from/sub");
    let told = told(&daemon);
    assert!(told.ends_with(&["archive-path".to_owned(), "extract-to-dir".to_owned()]), "{told:?}");
}

#[tokio::test]
async fn refusals_have_dockers_words() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = create(&daemon, "web", "{}").await.unwrap();
    let missing = daemon.read_path(&container, "/no/such").await.unwrap_err();
    assert_eq!(
        (missing.kind(), missing.to_string().as_str()),
        (Kind::NotFound, "Could not find the file /no/such in container web")
    );
    assert_eq!(upload(&daemon, &container, "/no", Vec::new()).await.unwrap_err().kind(), Kind::NotFound);
    std::fs::File::create(host.folder.path().join("snapshots").join(&container.id).join("file")).unwrap();
    let file = upload(&daemon, &container, "/file", Vec::new()).await.unwrap_err();
    assert_eq!(file.to_string(), "extraction point is not a directory");
    let damaged = upload(&daemon, &container, "/etc", b"no archive".to_vec()).await.unwrap_err();
    assert!(damaged.kind() == Kind::Invalid && damaged.to_string().starts_with("Error processing tar file"));
    let mut climbing = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..4].copy_from_slice(b"../x");
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    climbing.append(&header, std::io::empty()).unwrap();
    let outside = upload(&daemon, &container, "/etc", climbing.into_inner().unwrap()).await.unwrap_err();
    assert!(outside.to_string().ends_with(r#""../x" is outside of "/etc""#), "{outside}");
}

#[tokio::test]
async fn an_export_is_a_whole_archive() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let container = create(&daemon, "web", "{}").await.unwrap();
    let archive = all(daemon.export(&container).await.unwrap()).await;
    let mut archive = tar::Archive::new(archive.as_slice());
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["etc/", "etc/passwd"]);
}
