//! What is left in a cloud and belongs to no journal: found by its tag, judged by the cloud's clock, removed in order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wharf_core::{
    Call, CreateRequest, End, EngineOptions, Factory, Fate, Leftovers, Look, Place, StoreId, Wharf,
};
use wharf_testkit::memory::{Cloud, Memory};
use wharf_testkit::{Hosts, open_in_memory};

/// A person's computer with a store, and a cloud.
struct Scene {
    home: tempfile::TempDir,
    cloud: &'static str,
}

impl Scene {
    fn new(cloud: &'static str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), cloud }
    }

    fn cloud(&self) -> Arc<Cloud> {
        Cloud::named(self.cloud)
    }

    fn wharf(&self) -> Wharf {
        open_in_memory(
            wharf_testkit::setup(self.home.path(), Factory::of::<Memory>()),
            Arc::new(Hosts::default()),
        )
    }

    async fn create(&self, name: &str, expires: Option<Duration>) {
        let request = CreateRequest {
            name: name.parse().unwrap(),
            driver: "memory".to_owned(),
            config: json!({ "cloud": self.cloud, "fail": null, "shared": true }),
            options: EngineOptions::default(),
            expires,
            bare: false,
            fleet: None,
            hooks: Vec::new(),
        };
        self.wharf().create(&request, &Call::new("wharf create")).await.unwrap();
    }

    fn journal(&self, name: &str) -> std::path::PathBuf {
        self.machines().join(name).join("journal.jsonl")
    }

    fn machines(&self) -> std::path::PathBuf {
        self.home.path().join("machines")
    }

    fn lose(&self, name: &str) {
        std::fs::remove_dir_all(self.machines().join(name)).unwrap();
    }

    fn id(&self) -> StoreId {
        let text = std::fs::read_to_string(self.home.path().join("store.json")).unwrap();
        let store: serde_json::Value = serde_json::from_str(&text).unwrap();
        StoreId(store["id"].as_str().unwrap().to_owned())
    }

    fn hours(&self, hours: u64) {
        self.cloud().age(Duration::from_secs(hours * 3600));
    }

    async fn look(&self, store: Option<&StoreId>) -> Leftovers {
        let config = json!({ "cloud": self.cloud, "fail": null, "shared": true });
        let place = Place { called: "memory".to_owned(), driver: "memory".to_owned(), config };
        self.wharf().leftovers(&[place], store, &call()).await.unwrap()
    }

    /// Removes what was found; what came of it, in words.
    async fn collect(&self, found: &Leftovers) -> Vec<String> {
        let ends = self.wharf().collect(&found.things, &call()).await;
        let word = |(at, end): (usize, End)| match end {
            End::Removed => format!("{}: gone", found.things[at].kind),
            End::Left(why) => format!("{}: {why}", found.things[at].kind),
            End::Failed(error) => panic!("{error}"),
        };
        ends.into_iter().map(word).collect()
    }
}

fn call() -> Call {
    Call { lock_wait: Duration::ZERO, ..Call::new("wharf gc") }
}

/// What is to become of each thing, and why.
fn fates(found: &Leftovers) -> Vec<(&str, Fate, &str)> {
    found.things.iter().map(|one| (one.kind.as_str(), one.fate, one.because.as_str())).collect()
}

#[tokio::test]
async fn what_is_young_stays_and_what_is_older_goes_servers_first() {
    let scene = Scene::new("gc-ages");
    scene.create("web", None).await;
    assert_eq!(fates(&scene.look(None).await), [], "everything is in a journal");
    scene.lose("web");
    let found = scene.look(None).await;
    assert!(found.things.iter().all(|one| one.fate == Fate::Keep), "{found:?}");
    assert_eq!(found.things.len(), 3);
    scene.hours(1);
    let found = scene.look(None).await;
    let kinds: Vec<_> = found.things.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["server", "disk", "network"], "{found:?}");
    assert_eq!(scene.collect(&found).await, ["server: gone", "disk: gone", "network: gone"]);
    assert_eq!(scene.cloud().everything(), [""; 0]);
    assert_eq!(scene.collect(&found).await.len(), 3, "being gone already is success");
}

#[tokio::test]
async fn what_machines_share_stays_as_long_as_a_journal_names_it() {
    let scene = Scene::new("gc-shared");
    scene.create("web1", None).await;
    scene.create("web2", None).await;
    scene.lose("web1");
    scene.hours(2);
    let found = scene.look(None).await;
    let kinds: Vec<_> = found.things.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["server", "disk"], "the network is web2's: {found:?}");
    scene.collect(&found).await;
    assert_eq!(scene.cloud().everything().len(), 3);
    assert_eq!(fates(&scene.look(None).await), []);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_keeps_what_is_its_and_what_it_may_share() {
    let scene = Scene::new("gc-damaged");
    scene.create("web1", None).await;
    scene.create("web2", None).await;
    damage(&scene.journal("web1"));
    scene.lose("web2");
    scene.hours(2);
    let found = scene.look(None).await;
    let kept: Vec<_> = found.things.iter().filter(|one| one.fate == Fate::Keep).collect();
    assert_eq!(kept.len(), 3, "a server, a disk and the network: {found:?}");
    assert!(kept.iter().all(|one| one.because.contains("web1")), "{kept:?}");
    scene.collect(&found).await;
    assert_eq!(scene.cloud().everything().len(), 3);
}

fn damage(journal: &Path) {
    use std::io::Write as _;
    let text = std::fs::read_to_string(journal).unwrap().replacen("begun", "begot", 1);
    std::fs::File::create(journal).unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn what_another_command_holds_or_began_meanwhile_stays() {
    use wharf_core::store::{Folder, Store as _, Subject, Wait};
    let scene = Scene::new("gc-held");
    scene.create("web", None).await;
    let aside = scene.home.path().join("aside");
    std::fs::rename(scene.machines().join("web"), &aside).unwrap();
    scene.hours(2);
    let found = scene.look(None).await;
    let (clock, cancel) = (Arc::new(wharf_driver::SystemClock::new()), call().cancel);
    let folder = Folder::new(scene.home.path().to_owned(), clock, Arc::new(wharf_core::OsEntropy));
    let until = std::time::Instant::now();
    let wait = Wait { until, cancel: &cancel, holder: "wharf create web", held: &|_| {} };
    let subject = Subject::Machine("web".parse().unwrap());
    let lease = folder.lock(&subject, &wait).await.unwrap();
    let ends = scene.collect(&found).await;
    assert!(ends[0].starts_with("server: machine `web` is held by `wharf create web`"), "{ends:?}");
    assert_eq!(ends[2], "network: what needs it is still there");
    drop(lease);
    // The journal comes back, as from a backup, between the look and the removal.
    std::fs::remove_dir_all(scene.machines().join("web")).unwrap();
    std::fs::rename(&aside, scene.machines().join("web")).unwrap();
    let ends = scene.collect(&found).await;
    assert_eq!(ends[0], "server: machine `web` was begun since", "{ends:?}");
    assert_eq!(scene.cloud().everything().len(), 3);
}

#[tokio::test]
async fn another_store_is_left_alone_until_it_is_named() {
    let (ours, theirs) = (Scene::new("gc-stores"), Scene::new("gc-stores"));
    ours.create("web", None).await;
    theirs.create("web", None).await;
    let lost = theirs.id();
    drop(theirs);
    ours.hours(2);
    let found = ours.look(None).await;
    assert_eq!(found.things.len(), 3);
    assert!(found.things.iter().all(|one| one.fate == Fate::Keep && one.because.contains(&lost.0)));
    assert_eq!(ours.collect(&found).await, [""; 0]);
    let found = ours.look(Some(&lost)).await;
    assert_eq!(ours.collect(&found).await.len(), 3);
    let left = ours.cloud().everything();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(!left.iter().any(|name| name.contains(&lost.0)), "{left:?}");
}

#[tokio::test]
async fn a_machine_whose_time_is_over_says_so_and_is_not_started() {
    use wharf_core::{Kind, Power};
    let scene = Scene::new("gc-over");
    scene.create("brief", Some(Duration::ZERO)).await;
    let (wharf, name) = (scene.wharf(), "brief".parse().unwrap());
    let seen = wharf.observe(&[], Look::States, &Call::new("wharf ls")).await.unwrap();
    assert_eq!(seen[0].warnings, ["its time is over: `wharf gc --yes` removes it"]);
    wharf.power(&name, Power::Off, &Call::new("wharf stop")).await.unwrap();
    for to in [Power::On, Power::Restart] {
        let error = wharf.power(&name, to, &Call::new("wharf start")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
    }
}

#[tokio::test]
async fn a_machine_whose_time_is_over_is_known_by_the_clouds_clock() {
    let scene = Scene::new("gc-expired");
    scene.create("brief", Some(Duration::from_secs(4 * 3600))).await;
    scene.create("lasting", None).await;
    scene.hours(3);
    assert_eq!(fates(&scene.look(None).await), []);
    scene.hours(2);
    let found = scene.look(None).await;
    let over = [("machine", Fate::Expired, "its time has been over for 1 h")];
    // To the second it is an hour less what the test took.
    let fates = fates(&found);
    assert_eq!(fates.len(), 1, "{fates:?}");
    assert!(fates == over || fates[0].2.ends_with("min"), "{fates:?}");
    assert_eq!(found.things[0].name, "brief");
    assert_eq!(scene.collect(&found).await, [""; 0], "that is left to `rm`");
}
