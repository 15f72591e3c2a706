//! Certificates that are taken back: what the store remembers, which machines are told, and who has yet to be.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wharf_core::{
    Call, CreateRequest, EngineOptions, Factory, Issue, Issued, Kind, MachineName, Power, Role, Wharf,
};
use wharf_testkit::memory::Memory;
use wharf_testkit::{Hosts, open_in_memory, setup};

struct Desk {
    home: tempfile::TempDir,
    cloud: &'static str,
    hosts: Arc<Hosts>,
}

impl Desk {
    fn new(cloud: &'static str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), cloud, hosts: Arc::default() }
    }

    fn wharf(&self) -> Wharf {
        let setup = setup(self.home.path(), Factory::of::<Memory>());
        open_in_memory(setup, Arc::clone(&self.hosts))
    }

    async fn create(&self, name: &str) {
        let request = CreateRequest {
            name: machine(name),
            driver: "memory".to_owned(),
            config: json!({ "cloud": self.cloud }),
            options: EngineOptions::default(),
            expires: None,
            bare: false,
            fleet: None,
            hooks: Vec::new(),
        };
        self.wharf().create(&request, &call()).await.unwrap();
    }

    /// Issues a certificate, and returns its serial number.
    async fn issue(&self, whom: &str, only: Option<&str>) -> String {
        let wish = Issue {
            name: whom.to_owned(),
            role: Role::Operator,
            machine: only.map(machine),
            valid: Duration::from_secs(3600),
        };
        self.wharf().issue_to(&wish, &call()).await.unwrap();
        self.issued(whom).await.last().unwrap().serial.clone().unwrap()
    }

    async fn issued(&self, whom: &str) -> Vec<Issued> {
        let all = self.wharf().certificates().await.unwrap();
        all.into_iter().filter(|issued| issued.kind == "client" && issued.name == whom).collect()
    }

    /// The machines that are to be told.
    async fn take_back(&self, whom: &str) -> Vec<String> {
        let taken = self.wharf().take_back(whom, &call()).await.unwrap();
        taken.machines.iter().map(ToString::to_string).collect()
    }

    async fn turned_away(&self, name: &str) -> Vec<String> {
        let id = self.wharf().inspect(&machine(name)).await.unwrap().summary.id;
        self.hosts.revoked(id.as_str())
    }
}

fn machine(name: &str) -> MachineName {
    name.parse().unwrap()
}

fn call() -> Call {
    Call::new("wharf certs")
}

#[tokio::test]
async fn every_machine_that_a_certificate_opens_is_told() {
    let desk = Desk::new("told");
    desk.create("web").await;
    desk.create("db").await;
    let (everywhere, only_db) = (desk.issue("bob", None).await, desk.issue("ci", Some("db")).await);
    assert_eq!(desk.take_back("ci").await, ["db"]);
    assert_eq!(desk.issued("ci").await[0].open, [machine("db")], "it is written down before anybody is told");
    desk.wharf().heed_revocations(&machine("db"), &call()).await.unwrap();
    assert_eq!(desk.turned_away("db").await, [only_db.as_str()]);
    assert_eq!(desk.issued("ci").await[0].open, []);

    // By its serial number, as somebody types it who has `certs ls` before them.
    assert_eq!(desk.take_back(&everywhere[..12].to_uppercase()).await, ["db", "web"]);
    desk.wharf().heed_revocations(&machine("web"), &call()).await.unwrap();
    assert_eq!(desk.issued("bob").await[0].open, [machine("db")]);
    // Again, since one was not told; what was taken back stays so from when it was.
    let before = desk.issued("bob").await[0].revoked;
    assert_eq!(desk.take_back("bob").await, ["db", "web"]);
    assert_eq!(desk.issued("bob").await[0].revoked, before);
    desk.wharf().heed_revocations(&machine("db"), &call()).await.unwrap();
    assert_eq!(desk.turned_away("db").await.len(), 2, "one list holds all");
    assert_eq!(desk.issued("bob").await[0].open, []);
}

#[tokio::test]
async fn a_machine_that_was_off_or_not_there_hears_of_it_later() {
    let desk = Desk::new("later");
    desk.create("web").await;
    let serial = desk.issue("bob", None).await;
    let wharf = desk.wharf();
    wharf.power(&machine("web"), Power::Off, &call()).await.unwrap();
    desk.take_back("bob").await;
    let off = wharf.heed_revocations(&machine("web"), &call()).await.unwrap_err();
    assert_eq!(off.kind(), Kind::Unreachable, "{off}");
    wharf.power(&machine("web"), Power::On, &call()).await.unwrap();
    assert_eq!(desk.turned_away("web").await, [serial.as_str()]);
    assert_eq!(desk.issued("bob").await[0].open, []);
    // A machine made afterwards never lets it in.
    desk.create("db").await;
    assert_eq!(desk.turned_away("db").await, [serial]);
    assert_eq!(desk.issued("bob").await[0].open, []);
}

#[tokio::test]
async fn a_machine_that_fails_to_take_the_list_is_not_believed_to_have_it() {
    let desk = Desk::new("fails");
    desk.create("web").await;
    desk.issue("bob", None).await;
    desk.take_back("bob").await;
    desk.hosts.fail(Some(Kind::Failed));
    desk.wharf().heed_revocations(&machine("web"), &call()).await.unwrap_err();
    assert_eq!(desk.issued("bob").await[0].open, [machine("web")]);
    desk.hosts.fail(None);
    desk.wharf().renew_server(&machine("web"), &call()).await.unwrap();
    assert_eq!(desk.issued("bob").await[0].open, [], "a new certificate brings the list along");
}

#[tokio::test]
async fn what_was_never_issued_cannot_be_taken_back() {
    let desk = Desk::new("never");
    desk.create("web").await;
    let serial = desk.issue("bob", None).await;
    for nobody in ["carol", "ada-engine", &serial[..4], "zzzzzzzzzzzz", ""] {
        let refused = desk.wharf().take_back(nobody, &call()).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Refused, "{nobody}: {refused}");
    }
    assert_eq!(desk.issued("bob").await[0].revoked, None);
}
