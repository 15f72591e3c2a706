//! Many machines at once, as one process and as many.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use wharf_core::{Call, CreateRequest, EngineOptions, Factory, Look, RemoveOptions, Setup, Wharf};
use wharf_testkit::memory::{Cloud, Memory};
use wharf_testkit::{Hosts, open_in_memory};

const MANY: usize = 50;

fn setup(home: &std::path::Path) -> Setup {
    wharf_testkit::setup(home, Factory::of::<Memory>())
}

fn request(cloud: &str, index: usize) -> CreateRequest {
    wish(cloud, index, false)
}

fn wish(cloud: &str, index: usize, shared: bool) -> CreateRequest {
    CreateRequest {
        name: format!("machine-{index}").parse().unwrap(),
        driver: "memory".to_owned(),
        config: json!({ "cloud": cloud, "fail": null, "shared": shared }),
        options: EngineOptions::default(),
        expires: None,
        bare: false,
        fleet: None,
        hooks: Vec::new(),
    }
}

/// Creates many machines, each with the engine that `wharf` gives for it, and sees that they share one authority.
async fn fifty(cloud: &str, home: &std::path::Path, wharf: impl Fn() -> Arc<Wharf>) {
    let create = async |index: usize| {
        wharf().create(&request(cloud, index), &Call::new("wharf create")).await.unwrap()
    };
    let created = join_all((0..MANY).map(create)).await;
    let ids: BTreeSet<_> = created.iter().map(|created| created.connection.id.to_string()).collect();
    assert_eq!(ids.len(), MANY, "machines with the same id");
    assert_eq!(Cloud::named(cloud).everything().len(), MANY * 3, "three things each");
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    let authority = read(home.join("authority/ca.pem"));
    assert_eq!(authority.matches("BEGIN CERTIFICATE").count(), 1);
    for one in &created {
        assert_eq!(read(one.connection.certificates.join("ca.pem")), authority, "another authority");
        assert_eq!(
            read(one.connection.certificates.join("cert.pem")),
            read(home.join("authority/cert.pem")),
            "another client certificate"
        );
    }
    let listed = wharf().list().await.unwrap();
    assert_eq!(listed.len(), MANY);
    assert!(listed.iter().all(|(_, summary)| summary.is_ok()));
    let observed = wharf().observe(&[], Look::Everything, &Call::new("wharf ls")).await.unwrap();
    assert!(observed.iter().all(|one| one.engine.is_some() && one.errors.is_empty()), "{observed:?}");
}

#[tokio::test]
async fn fifty_creates_in_one_process_make_one_authority_and_fifty_machines() {
    let home = tempfile::tempdir().unwrap();
    let wharf = Arc::new(open_in_memory(setup(home.path()), Arc::new(Hosts::default())));
    fifty("one-process", home.path(), || Arc::clone(&wharf)).await;
}

#[tokio::test]
async fn fifty_creates_in_fifty_processes_make_one_authority_and_fifty_machines() {
    let home = tempfile::tempdir().unwrap();
    let hosts = Arc::new(Hosts::default());
    let wharf = || Arc::new(open_in_memory(setup(home.path()), Arc::clone(&hosts)));
    fifty("fifty-processes", home.path(), wharf).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_name_is_made_once_however_many_want_it() {
    let home = tempfile::tempdir().unwrap();
    let hosts = Arc::new(Hosts::default());
    let create = |_| {
        let wharf = open_in_memory(setup(home.path()), Arc::clone(&hosts));
        tokio::spawn(async move {
            wharf
                .create(&request("one-name", 0), &Call::new("wharf create"))
                .await
                .map(|made| made.connection.id)
        })
    };
    let done = join_all((0..10).map(create)).await;
    let made = done.iter().filter(|one| one.as_ref().unwrap().is_ok()).count();
    assert_eq!(made, 1, "{done:?}");
    assert_eq!(Cloud::named("one-name").everything().len(), 3);
}

/// Half of them go while the other half comes, each with an engine of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_fifty_machines_share_is_made_once_and_goes_with_the_last() {
    let (home, cloud) = (tempfile::tempdir().unwrap(), "shared-network");
    let hosts = Arc::new(Hosts::default());
    let wharf = || Arc::new(open_in_memory(setup(home.path()), Arc::clone(&hosts)));
    let one = wharf();
    join_all((0..MANY).map(async |index| {
        one.create(&wish(cloud, index, true), &Call::new("wharf create")).await.unwrap();
    }))
    .await;
    let things = || Cloud::named(cloud).everything().len();
    assert_eq!(things(), MANY * 2 + 1, "a disk and a server each, and one network");
    assert_eq!(Cloud::named(cloud).calls()["make"], MANY * 2 + 1, "nothing is made twice");
    let remove = async |index: usize| {
        let name = format!("machine-{index}").parse().unwrap();
        wharf().remove(&name, RemoveOptions::default(), &Call::new("wharf rm")).await.unwrap()
    };
    let come = join_all((MANY..MANY + 10).map(async |index| {
        wharf().create(&wish(cloud, index, true), &Call::new("wharf create")).await.unwrap();
    }));
    let go = join_all((0..MANY).map(remove));
    tokio::join!(come, go);
    assert_eq!(things(), 10 * 2 + 1, "{:?}", Cloud::named(cloud).everything());
    join_all((MANY..MANY + 10).map(remove)).await;
    assert_eq!(things(), 0, "{:?}", Cloud::named(cloud).everything());
}

#[tokio::test]
async fn what_something_else_uses_is_left_and_said() {
    let (home, cloud) = (tempfile::tempdir().unwrap(), "used-by-hand");
    let wharf = open_in_memory(setup(home.path()), Arc::new(Hosts::default()));
    let created = wharf.create(&wish(cloud, 0, true), &Call::new("wharf create")).await.unwrap();
    let everything = Cloud::named(cloud).everything();
    let network = everything.iter().find(|name| name.starts_with("wharf-")).unwrap();
    Cloud::named(cloud).use_by_hand(network);
    let removed =
        wharf.remove(&created.connection.name, RemoveOptions::default(), &Call::new("wharf rm")).await;
    assert_eq!(removed.unwrap().left, [format!("{network} stays: something else uses it")]);
    assert_eq!(Cloud::named(cloud).everything(), std::slice::from_ref(network));
    assert!(wharf.list().await.unwrap().is_empty());
}
