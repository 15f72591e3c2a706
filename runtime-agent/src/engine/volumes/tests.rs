//! Volumes on a real disk, without mounts.

use super::*;
use crate::engine::error::Kind;

fn volumes(root: &Path) -> Volumes {
    Volumes::open_at(root.to_owned(), Events::new()).unwrap()
}

fn named(name: &str) -> VolumeCreateRequest {
    VolumeCreateRequest { name: name.to_owned(), ..VolumeCreateRequest::default() }
}

fn filters(text: &str) -> Filters {
    Filters::parse(Some(text)).unwrap()
}

fn names(volumes: &[Volume]) -> Vec<&str> {
    volumes.iter().map(|volume| volume.name.as_str()).collect()
}

#[test]
fn a_volume_is_made_once_and_found_by_the_next_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let first = volumes(folder.path());
    let made = first.create(named("web")).unwrap();
    std::fs::File::create(made.mountpoint.join("file")).unwrap();
    assert_eq!(first.create(named("web")).unwrap(), made);
    assert_eq!(volumes(folder.path()).find("web").unwrap(), made);
    assert!(made.mountpoint.join("file").exists());
    let (kept, _) = first.shared.events.subscribe();
    assert_eq!(
        kept.iter().map(|e| (e.action.as_str(), e.actor.as_str())).collect::<Vec<_>>(),
        [("create", "web")]
    );
}

#[test]
fn what_a_killed_daemon_half_removed_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("gone/_data/x")).unwrap();
    assert!(volumes(folder.path()).list(&Filters::default()).unwrap().is_empty());
    assert!(!folder.path().join("gone").exists());
}

#[test]
fn a_volume_in_use_stays() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = volumes(folder.path());
    volumes.in_use_by(|name| if name == "used" { vec!["c1".to_owned(), "c2".to_owned()] } else { vec![] });
    for name in ["used", "free"] {
        volumes.create(named(name)).unwrap();
    }
    let refused = volumes.remove("used", true).unwrap_err();
    assert_eq!(refused.to_string(), "remove used: volume is in use - [c1, c2]");
    assert_eq!(refused.kind(), Kind::Conflict);
    assert_eq!(names(&volumes.list(&filters(r#"{"dangling":["true"]}"#)).unwrap()), ["free"]);
    assert_eq!(names(&volumes.list(&filters(r#"{"dangling":{"0":true}}"#)).unwrap()), ["used"]);
    volumes.remove("free", false).unwrap();
    volumes.remove("free", true).unwrap();
    let missing = volumes.remove("free", false).unwrap_err();
    assert_eq!((missing.kind(), missing.to_string().as_str()), (Kind::NotFound, "get free: no such volume"));
}

#[test]
fn pruning_takes_anonymous_ones_unless_told_to_take_all() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = volumes(folder.path());
    let anonymous = volumes.create(VolumeCreateRequest::default()).unwrap();
    assert_eq!(anonymous.name.len(), 64);
    std::fs::File::create(anonymous.mountpoint.join("x")).unwrap().set_len(1000).unwrap();
    let labels = Some([("keep".to_owned(), "1".to_owned())].into());
    volumes.create(VolumeCreateRequest { labels, ..named("kept") }).unwrap();
    volumes.create(named("other")).unwrap();
    let pruned = volumes.prune(&Filters::default(), false).unwrap();
    assert_eq!((pruned.volumes_deleted, pruned.space_reclaimed), (vec![anonymous.name], 1000));
    let pruned = volumes.prune(&filters(r#"{"all":["1"],"label!":["keep=1"]}"#), false).unwrap();
    assert_eq!(pruned.volumes_deleted, ["other"]);
    assert_eq!(volumes.list(&Filters::default()).unwrap().len(), 1);
}

#[test]
fn bad_requests_are_refused_in_dockerds_words() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = volumes(folder.path());
    for (name, text) in
        [("a/b", "includes invalid characters"), ("..", "includes invalid"), ("a", "too short")]
    {
        let error = volumes.create(named(name)).unwrap_err();
        assert!(error.kind() == Kind::Invalid && error.to_string().contains(text), "{error}");
    }
    let plugin = VolumeCreateRequest { driver: "nfs".to_owned(), ..named("vol") };
    assert_eq!(volumes.create(plugin).unwrap_err().kind(), Kind::NotFound);
    assert!(volumes.list(&filters(r#"{"colour":["red"]}"#)).is_err());
    assert!(volumes.list(&filters(r#"{"dangling":["maybe"]}"#)).is_err());
}
