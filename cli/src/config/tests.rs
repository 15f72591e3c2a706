//! Who wins, and what is said when several things are wrong.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;
use crate::world::Terminal;

fn world(home: &Path, env: &[(&str, &str)]) -> World {
    World {
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        home: Some(home.to_owned()),
        cwd: home.join("work"),
        program: home.join("bin/wharf"),
        host: "here".into(),
        stdin: Box::new(std::io::empty()),
        stdout: Box::new(std::io::sink()),
        stderr: Box::new(std::io::sink()),
        terminal: Terminal::default(),
        clock: SystemTime::now,
    }
}

fn file(home: &Path, text: &str) {
    fs::create_dir_all(home.join(".config/wharf")).unwrap();
    let mut file = fs::File::create(home.join(".config/wharf/config.yaml")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn defaults_hang_on_the_home_folder() {
    let home = tempfile::tempdir().unwrap();
    let config = Config::resolve(&Global::default(), &world(home.path(), &[])).unwrap();
    assert_eq!(config.store, home.path().join(".local/share/wharf"));
    assert_eq!(config.docker, home.path().join(".docker"));
    assert_eq!((config.driver, config.timeout, config.context), (None, None, true));
}

#[test]
fn flags_win_over_environment_over_file() {
    let home = tempfile::tempdir().unwrap();
    file(
        home.path(),
        "store: from-file\ntimeout: 5s\ndriver: ssh\ndrivers:\n  ssh:\n    port: 2222\n    jump: [a, b]\n",
    );
    let in_file = Config::resolve(&Global::default(), &world(home.path(), &[])).unwrap();
    assert_eq!(in_file.store, home.path().join("work/from-file"));
    assert_eq!((in_file.driver.as_deref(), in_file.timeout), (Some("ssh"), Some(Duration::from_secs(5))));
    assert_eq!(in_file.file.drivers["ssh"]["port"].texts(), ["2222"]);
    assert_eq!(in_file.file.drivers["ssh"]["jump"].texts(), ["a", "b"]);

    let env = [("WHARF_HOME", "~/from-env"), ("WHARF_TIMEOUT", "6"), ("WHARF_DRIVER", "local")];
    let in_env = Config::resolve(&Global::default(), &world(home.path(), &env)).unwrap();
    assert_eq!(in_env.store, home.path().join("from-env"));
    assert_eq!((in_env.driver.as_deref(), in_env.timeout), (Some("local"), Some(Duration::from_secs(6))));

    let flags = Global { store: Some("/from-flag".into()), timeout: Some("7".into()), ..Global::default() };
    let by_flag = Config::resolve(&flags, &world(home.path(), &env)).unwrap();
    assert_eq!(by_flag.store, Path::new("/from-flag"));
    assert_eq!(by_flag.timeout, Some(Duration::from_secs(7)));
}

#[test]
fn every_mistake_is_reported_at_once() {
    let home = tempfile::tempdir().unwrap();
    file(home.path(), "drivr: ssh\n");
    let flags =
        Global { agent: Some("/nowhere/wharfd".into()), timeout: Some("soon".into()), ..Global::default() };
    let error = Config::resolve(&flags, &world(home.path(), &[])).unwrap_err();
    assert_eq!(error.kind.exit_code(), 2);
    for part in ["3 settings are wrong", "drivr", "/nowhere/wharfd", "`soon`"] {
        assert!(error.message.contains(part), "{part} in {}", error.message);
    }
}

#[test]
fn a_file_that_was_named_must_exist() {
    let home = tempfile::tempdir().unwrap();
    let flags = Global { config: Some("missing.yaml".into()), ..Global::default() };
    let error = Config::resolve(&flags, &world(home.path(), &[])).unwrap_err();
    assert!(error.message.contains("missing.yaml` cannot be read"), "{}", error.message);
}

#[test]
fn without_a_home_a_store_must_be_named() {
    let nowhere = World { home: None, ..world(Path::new("/"), &[]) };
    assert!(Config::resolve(&Global::default(), &nowhere).unwrap_err().message.contains("WHARF_HOME"));
}

#[test]
fn a_shared_store_has_a_folder_of_its_own_here() {
    let home = tempfile::tempdir().unwrap();
    file(home.path(), "store: s3://team/x\n");
    let resolve = |flag: Option<&str>, env: &[(&str, &str)]| {
        let flags = Global { store: flag.map(ToOwned::to_owned), ..Global::default() };
        Config::resolve(&flags, &world(home.path(), env)).unwrap()
    };
    let in_file = resolve(None, &[]);
    assert_eq!(in_file.shared.as_ref().unwrap().to_string(), "s3://team/x");
    assert!(in_file.store.starts_with(home.path().join(".local/share/wharf/shared")), "{:?}", in_file.store);
    let in_env = resolve(None, &[("WHARF_STORE", "azblob://team/x"), ("WHARF_HOME", "/base")]);
    assert_eq!(in_env.shared.as_ref().unwrap().to_string(), "azblob://team/x");
    assert!(in_env.store.starts_with("/base/shared"));
    assert_ne!(in_env.store.file_name(), in_file.store.file_name());
    assert_eq!(
        resolve(None, &[("WHARF_HOME", "/base")]).shared,
        None,
        "the environment counts before the file"
    );
    assert_eq!(resolve(Some("/there"), &[("WHARF_STORE", "s3://team/x")]).shared, None);
}
