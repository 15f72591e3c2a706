//! A fleet against what there is: every way in which it can have drifted, and each put right.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wharf_core::bootstrap::Ran;
use wharf_core::{
    Call, Change, Comparison, CreateRequest, Deed, EngineOptions, Factory, Hook, HookGiven, HookPlace, Kind,
    Look, MachineName, Power, RemoveOptions, Wharf,
};
use wharf_testkit::memory::{Cloud, Memory};
use wharf_testkit::{Hosts, open_in_memory, setup};

const FLEET: &str = "shop";

struct Desk {
    _home: tempfile::TempDir,
    wharf: Wharf,
    hosts: Arc<Hosts>,
    cloud: &'static str,
}

impl Desk {
    fn new(cloud: &'static str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let setup = setup(home.path(), Factory::of::<Memory>());
        Cloud::named(cloud).sign_in("home");
        let hosts = Arc::new(Hosts::default());
        Self { wharf: open_in_memory(setup, Arc::clone(&hosts)), hosts, _home: home, cloud }
    }

    fn wish(&self, name: &str) -> CreateRequest {
        CreateRequest {
            name: name.parse().unwrap(),
            driver: "memory".to_owned(),
            config: json!({ "cloud": self.cloud, "fail": null, "shared": false }),
            options: EngineOptions::default(),
            expires: None,
            bare: false,
            fleet: Some(FLEET.to_owned()),
            hooks: Vec::new(),
        }
    }

    async fn create(&self, request: &CreateRequest) {
        self.wharf.create(request, &call()).await.unwrap();
    }

    async fn compare(&self, wanted: &[CreateRequest]) -> Comparison {
        self.wharf.compare(FLEET, wanted, &call()).await.unwrap()
    }

    async fn deeds(&self, wanted: &[CreateRequest]) -> Vec<(String, Vec<Deed>)> {
        let comparison = self.compare(wanted).await;
        assert!(comparison.trouble.is_empty(), "{:?}", comparison.trouble);
        let pair = |change: Change| (change.name.to_string(), change.deeds);
        comparison.changes.into_iter().map(pair).collect()
    }

    async fn trouble(&self, wanted: &[CreateRequest]) -> Vec<(String, Kind, String)> {
        let comparison = self.compare(wanted).await;
        assert!(comparison.changes.iter().all(|change| change.deeds.is_empty()), "{comparison:?}");
        let told = |(name, error): (MachineName, wharf_core::Error)| {
            (name.to_string(), error.kind(), error.to_string())
        };
        comparison.trouble.into_iter().map(told).collect()
    }
}

fn call() -> Call {
    Call { deadline: Duration::from_secs(60), ..Call::new("wharf apply") }
}

fn of(name: &str, deeds: &[Deed]) -> (String, Vec<Deed>) {
    (name.to_owned(), deeds.to_vec())
}

#[tokio::test(start_paused = true)]
async fn tags_that_were_taken_off_are_found_and_put_back() {
    let desk = Desk::new("compare-tags");
    let wanted = ["web-1", "web-2"].map(|name| desk.wish(name));
    for request in &wanted {
        desk.create(request).await;
    }
    let cloud = Cloud::named(desk.cloud);
    cloud.unmark_by_hand("web-1");
    let young = desk.deeds(&wanted).await;
    assert!(young.iter().all(|(_, deeds)| deeds.is_empty()), "lists may not show it yet: {young:?}");
    cloud.age(Duration::from_secs(600));
    assert_eq!(desk.deeds(&wanted).await, [of("web-1", &[Deed::Mark]), of("web-2", &[])]);
    let because = &desk.compare(&wanted).await.changes[0].because;
    assert_eq!(because.len(), 3, "a network, a disk and a server: {because:?}");
    assert!(because[0].ends_with("does not say whose it is any more"), "{because:?}");
    // What is off, too, is started and marked.
    cloud.change_by_hand("web-1", false);
    assert_eq!(desk.deeds(&wanted).await[0], of("web-1", &[Deed::Start, Deed::Mark]));
    desk.wharf.power(&wanted[0].name, Power::On, &call()).await.unwrap();
    desk.wharf.mark(&wanted[0].name, &call()).await.unwrap();
    assert!(desk.deeds(&wanted).await.iter().all(|(_, deeds)| deeds.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_not_declared_is_found_in_the_journals() {
    let desk = Desk::new("compare-names");
    let wanted = ["web-1", "web-2", "web-3"].map(|name| desk.wish(name));
    assert!(desk.deeds(&wanted).await.iter().all(|(_, deeds)| *deeds == [Deed::Create]));
    for request in &wanted {
        desk.create(request).await;
    }
    assert!(desk.deeds(&wanted).await.iter().all(|(_, deeds)| deeds.is_empty()));
    // Another fleet's machines, and those of none, are nobody's business here.
    desk.create(&CreateRequest { fleet: Some("other".to_owned()), ..desk.wish("other-1") }).await;
    desk.create(&CreateRequest { fleet: None, ..desk.wish("alone") }).await;
    let fewer = &wanted[..2];
    let expected = [of("web-1", &[]), of("web-2", &[]), of("web-3", &[Deed::Remove])];
    assert_eq!(desk.deeds(fewer).await, expected);
    let stolen = desk
        .trouble(&[desk.wish("web-1"), desk.wish("web-2"), desk.wish("web-3"), desk.wish("other-1")])
        .await;
    assert_eq!(stolen.len(), 1);
    assert_eq!((stolen[0].0.as_str(), stolen[0].1), ("other-1", Kind::Refused));
    assert!(stolen[0].2.contains("belongs to fleet `other`"), "{stolen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_lives_as_long_as_is_declared() {
    let desk = Desk::new("compare-ttl");
    let wish = |hours: Option<u64>| CreateRequest {
        expires: hours.map(|hours| Duration::from_secs(hours * 3600)),
        ..desk.wish("web")
    };
    desk.create(&wish(Some(4))).await;
    assert_eq!(desk.deeds(&[wish(Some(4))]).await, [of("web", &[])]);
    for (other, because) in
        [(Some(90), "ttl: 4h → 90h"), (Some(48), "ttl: 4h → 2d"), (None, "ttl: 4h → nothing")]
    {
        let change = &desk.compare(&[wish(other)]).await.changes[0];
        assert_eq!((&change.deeds[..], &change.because[0][..]), (&[Deed::Replace][..], because));
    }
    // One that has ended itself is not started again.
    Cloud::named(desk.cloud).change_by_hand("web", false);
    assert_eq!(desk.deeds(&[wish(Some(4))]).await, [of("web", &[Deed::Start])]);
    tokio::time::advance(Duration::from_secs(4 * 3600)).await;
    let change = &desk.compare(&[wish(Some(4))]).await.changes[0];
    assert_eq!((&change.deeds[..], &change.because[0][..]), (&[Deed::Replace][..], "its time is over"));
}

#[tokio::test(start_paused = true)]
async fn a_machine_of_no_fleet_is_adopted_if_it_is_what_is_wanted() {
    let desk = Desk::new("compare-adopt");
    let wanted = desk.wish("web");
    desk.create(&CreateRequest { fleet: None, ..wanted.clone() }).await;
    assert_eq!(desk.deeds(std::slice::from_ref(&wanted)).await, [of("web", &[Deed::Adopt])]);
    let mut other = wanted.clone();
    other.config["shared"] = json!(true);
    let told = desk.trouble(std::slice::from_ref(&other)).await;
    assert!(told[0].2.contains("belongs to no fleet"), "{told:?}");
    desk.wharf.join_fleet(&wanted.name, Some(FLEET), &call()).await.unwrap();
    assert_eq!(desk.deeds(&[wanted]).await, [of("web", &[])]);
    // Now it is the fleet's own, and its setting can be changed only by making it again.
    let comparison = desk.compare(&[other]).await;
    assert_eq!(comparison.changes[0].deeds, [Deed::Replace]);
    assert_eq!(comparison.changes[0].because, ["shared: nothing → true"]);
}

#[tokio::test(start_paused = true)]
async fn what_people_did_by_hand_is_found_and_put_right() {
    let desk = Desk::new("compare-drift");
    let cloud = Cloud::named(desk.cloud);
    let wanted = ["gone", "off", "moved", "fine"].map(|name| desk.wish(name));
    for request in &wanted {
        desk.create(request).await;
    }
    cloud.delete_by_hand("gone");
    cloud.change_by_hand("off", false);
    cloud.change_by_hand("moved", true);
    let drift = desk.deeds(&wanted).await;
    assert_eq!(drift[0], of("gone", &[Deed::Recreate]));
    assert_eq!(drift[1].1[0], Deed::Start);
    assert_eq!(drift[2], of("moved", &[Deed::Readdress]));
    assert_eq!(drift[3], of("fine", &[]));
    // Whoever only lists is spared the calls for addresses of those that are in the state that they should be in.
    for (look, told) in [(Look::States, None), (Look::Everything, Some("moved"))] {
        let seen = desk.wharf.observe(&[], look, &call()).await.unwrap();
        let warned = seen.iter().find(|one| one.warnings.iter().any(|told| told.contains("its address is")));
        assert_eq!(warned.map(|one| one.name.as_str()), told, "{seen:?}");
    }
    desk.wharf.remove(&wanted[0].name, RemoveOptions::default(), &call()).await.unwrap();
    desk.create(&wanted[0]).await;
    desk.wharf.power(&wanted[1].name, Power::On, &call()).await.unwrap();
    desk.wharf.renew_server(&wanted[2].name, &call()).await.unwrap();
    assert!(desk.deeds(&wanted).await.iter().all(|(_, deeds)| deeds.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn another_account_is_trouble_and_no_removal() {
    let desk = Desk::new("compare-account");
    let wanted = ["web-1", "web-2"].map(|name| desk.wish(name));
    for request in &wanted {
        desk.create(request).await;
    }
    Cloud::named(desk.cloud).sign_in("elsewhere");
    for fleet in [&wanted[..], &wanted[..1]] {
        let told = desk.trouble(fleet).await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|(_, kind, _)| *kind == Kind::NotAllowed), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_given_other_options_where_it_is() {
    let desk = Desk::new("compare-options");
    let mut wanted = desk.wish("web");
    desk.create(&wanted).await;
    wanted.options.labels = vec!["role=web".to_owned()];
    let comparison = desk.compare(std::slice::from_ref(&wanted)).await;
    assert_eq!(comparison.changes[0].deeds, [Deed::Configure]);
    assert_eq!(comparison.changes[0].because, [r#"labels: nothing → ["role=web"]"#]);
    let id = desk.wharf.inspect(&wanted.name).await.unwrap().summary.id;
    desk.wharf.configure(&wanted.name, &wanted.options, &call()).await.unwrap();
    assert_eq!(desk.deeds(std::slice::from_ref(&wanted)).await, [of("web", &[])]);
    let after = desk.wharf.inspect(&wanted.name).await.unwrap();
    assert_eq!((after.summary.id, after.options), (id, wanted.options));
}

#[tokio::test(start_paused = true)]
async fn options_that_did_not_reach_the_engine_are_brought_again() {
    let desk = Desk::new("compare-half-configured");
    let mut wanted = desk.wish("web");
    desk.create(&wanted).await;
    wanted.options.labels = vec!["role=web".to_owned()];
    desk.hosts.fail(Some(Kind::Unreachable));
    let failed = desk.wharf.configure(&wanted.name, &wanted.options, &call()).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Unreachable);
    desk.hosts.fail(None);
    assert_eq!(desk.deeds(std::slice::from_ref(&wanted)).await, [of("web", &[Deed::Configure])]);
    desk.wharf.configure(&wanted.name, &wanted.options, &call()).await.unwrap();
    assert_eq!(desk.deeds(&[wanted]).await, [of("web", &[])]);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_has_one_lock() {
    let desk = Desk::new("compare-lock");
    let fleet: MachineName = FLEET.parse().unwrap();
    let held = desk.wharf.lock_fleet(&fleet, &call()).await.unwrap();
    let impatient = Call { lock_wait: Duration::from_secs(1), ..call() };
    let refused = desk.wharf.lock_fleet(&fleet, &impatient).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Locked);
    assert!(refused.to_string().contains("fleet `shop`"), "{refused}");
    drop(held);
    desk.wharf.lock_fleet(&fleet, &impatient).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn hooks_that_have_not_succeeded_are_to_run() {
    let desk = Desk::new("compare-hooks");
    let hook = |name: &str| Hook {
        name: name.to_owned(),
        run: "true".to_owned(),
        on: HookPlace::Here,
        env: Vec::new(),
        patience: Duration::from_secs(5),
    };
    let wanted = [CreateRequest { hooks: vec![hook("one"), hook("two")], ..desk.wish("web-1") }];
    let change = desk.compare(&wanted).await.changes.remove(0);
    assert_eq!((change.deeds, change.hooks.len()), (vec![Deed::Create, Deed::Join], 2));
    desk.create(&wanted[0]).await;
    let run = async |name: &str, ran: Option<i32>| {
        let here = async |_| match ran {
            Some(status) => Ok(Ran { status, ..Ran::default() }),
            None => std::future::pending().await,
        };
        let given = HookGiven::default();
        desk.wharf.run_hook(&wanted[0].name, &hook(name), &given, here, &call()).await
    };
    assert_eq!(run("one", Some(3)).await.unwrap_err().kind(), Kind::Hook);
    // Time is the test's: this does not wait.
    assert_eq!(run("two", None).await.unwrap_err().kind(), Kind::Hook);
    let change = desk.compare(&wanted).await.changes.remove(0);
    assert_eq!(change.deeds, [Deed::Join]);
    assert_eq!(change.because, ["the hook `one` ended with exit code 3", "the hook `two` took too long"]);
    run("one", Some(0)).await.unwrap();
    // What succeeded is not run again, whoever asks for it.
    run("one", Some(9)).await.unwrap();
    assert_eq!(desk.compare(&wanted).await.changes[0].hooks, ["two"]);
    run("two", Some(0)).await.unwrap();
    assert_eq!(desk.deeds(&wanted).await, [of("web-1", &[])]);
}
