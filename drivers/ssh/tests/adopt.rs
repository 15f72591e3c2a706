//! Taking over a host and leaving it, with hosts in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;

use wharf_core::{Call, CreateRequest, EngineOptions, Kind, MachineName, Power, RemoveOptions, Wharf};
use wharf_driver::{Configure as _, Factory, Settings};
use wharf_driver_ssh::Ssh;
use wharf_testkit::{Hosts, open_in_memory, setup};

struct Desk {
    home: tempfile::TempDir,
    hosts: Arc<Hosts>,
    listener: std::net::TcpListener,
}

impl Desk {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self { home: tempfile::tempdir().unwrap(), hosts: Arc::default(), listener }
    }

    fn wharf(&self) -> Wharf {
        let setup = setup(self.home.path(), Factory::of::<Ssh>());
        open_in_memory(setup, Arc::clone(&self.hosts))
    }

    fn request(&self) -> CreateRequest {
        let mut set = Settings::default();
        set.set("ssh-address", vec!["127.0.0.1".to_owned()]);
        set.set("ssh-port", vec![self.listener.local_addr().unwrap().port().to_string()]);
        set.set("ssh-engine-port", vec!["12376".to_owned()]);
        CreateRequest {
            name: name(),
            driver: "generic".to_owned(),
            config: serde_json::to_value(Ssh::configure(&set).unwrap()).unwrap(),
            options: EngineOptions::default(),
            expires: None,
            bare: false,
            fleet: None,
            hooks: Vec::new(),
        }
    }
}

fn name() -> MachineName {
    "rack-7".parse().unwrap()
}

#[tokio::test]
async fn what_is_refused_before_a_change_leaves_nothing() {
    let desk = Desk::new();
    for (kind, code) in
        [(Kind::HostKey, 6), (Kind::Unreachable, 5), (Kind::NotAllowed, 7), (Kind::Refused, 3)]
    {
        desk.hosts.fail(Some(kind));
        let error = desk.wharf().create(&desk.request(), &Call::new("wharf create")).await.unwrap_err();
        assert_eq!((error.kind(), error.kind().exit_code()), (kind, code), "{error:?}");
        assert!(!desk.home.path().join("machines/rack-7").exists(), "{kind:?}");
    }
    desk.hosts.fail(None);
    desk.wharf().create(&desk.request(), &Call::new("wharf create")).await.unwrap();
}

#[tokio::test]
async fn what_fails_later_is_continued_by_the_next_create() {
    let desk = Desk::new();
    desk.hosts.fail(Some(Kind::Failed));
    let error = desk.wharf().create(&desk.request(), &Call::new("wharf create")).await.unwrap_err();
    assert!(error.advice().is_some_and(|hint| hint.contains("continues")), "{error:?}");
    desk.hosts.fail(None);
    let created = desk.wharf().create(&desk.request(), &Call::new("wharf create")).await.unwrap();
    assert!(created.resumed && created.connection.life == wharf_core::Life::Ready);
    assert_eq!(created.connection.url, "tcp://127.0.0.1:12376");
}

#[tokio::test]
async fn a_host_is_not_taken_over_for_nothing() {
    let desk = Desk::new();
    let bare = CreateRequest { bare: true, ..desk.request() };
    let refused = desk.wharf().create(&bare, &Call::new("wharf create")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(desk.wharf().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_host_stays_as_it_is_unless_it_is_purged() {
    for purge in [false, true] {
        let desk = Desk::new();
        desk.wharf().create(&desk.request(), &Call::new("wharf create")).await.unwrap();
        let options = RemoveOptions { purge, force: false };
        let removed = desk.wharf().remove(&name(), options, &Call::new("wharf rm")).await.unwrap();
        assert_eq!(desk.hosts.agents().is_empty(), purge);
        assert_eq!(removed.left.is_empty(), purge, "{removed:?}");
        assert!(!desk.home.path().join("machines/rack-7").exists());
    }
}

#[tokio::test]
async fn there_is_no_power_over_it_but_it_restarts_from_within() {
    let desk = Desk::new();
    let wharf = desk.wharf();
    wharf.create(&desk.request(), &Call::new("wharf create")).await.unwrap();
    for to in [Power::On, Power::Off, Power::Kill] {
        let error = wharf.power(&name(), to, &Call::new("wharf stop")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.advice().is_some_and(|hint| hint.contains("wharf ssh rack-7")), "{error:?}");
    }
    wharf.power(&name(), Power::Restart, &Call::new("wharf restart")).await.unwrap();
    assert_eq!(desk.hosts.counts()["restart"], 1);
}

#[tokio::test]
async fn a_plan_changes_nothing_here_or_there() {
    let desk = Desk::new();
    let steps = desk.wharf().plan(&desk.request(), &Call::new("wharf create --dry-run")).await.unwrap();
    assert_eq!(steps.iter().map(|step| step.part).collect::<Vec<_>>(), ["driver", "bootstrap"]);
    assert!(desk.hosts.agents().is_empty());
    assert!(!desk.home.path().join("machines/rack-7").exists());
    assert!(!desk.home.path().join("authority").exists());
}
