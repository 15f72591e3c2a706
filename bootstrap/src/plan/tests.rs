//! What a host is refused for, and what is done to one that is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::datetime;
use wharf_pki::{Authority, Client, Revocations, Revoked, Role, Server};
use wharf_ssh::{HostKeys, Identity, Target, Unknown};

use super::*;
use crate::{AgentFacts, Architecture, Endpoint, EngineOptions, Init, Kind};

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn facts() -> Facts {
    let folder =
        |path: &str| Folder { path: path.into(), free: 10_000_000, read_only: false, no_exec: false };
    Facts {
        system: "Linux".into(),
        architecture: "x86_64".into(),
        kernel: "6.1.0-18-amd64".into(),
        os_id: "debian".into(),
        os_version: "12".into(),
        os_name: "Debian".into(),
        host_name: "web1".into(),
        user: "ann".into(),
        access: Access::Sudo,
        refusal: String::new(),
        init: Init::Systemd,
        cgroup: Cgroup::V2,
        overlay: true,
        nf_tables: true,
        selinux: false,
        gzip: true,
        cloud_init_running: false,
        clock: NOW.unix_timestamp(),
        folders: vec![folder("/usr/local/bin"), folder("/opt/wharf/bin")],
        data: folder("/var/lib/wharf"),
        port_taken: false,
        port_owner: String::new(),
        engines: vec![],
        agent: AgentFacts::default(),
    }
}

fn request() -> Request {
    let authority = Authority::generate("store", NOW).unwrap();
    let client =
        Client { name: "ann".into(), role: Role::Admin, machine: None, valid: time::Duration::days(1) };
    let client = authority.issue_client(&client, NOW).unwrap();
    let keys = HostKeys::KnownHosts { files: vec![], otherwise: Unknown::Refuse };
    Request {
        target: Target::new("10.0.0.1", "ann", Identity::Key(String::new()), keys),
        machine: "m-1".into(),
        names: vec!["10.0.0.1".parse().unwrap()],
        engine: Endpoint { host: "10.0.0.1".into(), port: 2376, listen: 2376 },
        agent: "wharfd".into(),
        authority: Arc::new(authority),
        client: Arc::new(client),
        revoked: Revocations::default(),
        options: EngineOptions::default(),
        rotate_host_key: false,
        now: NOW,
        connect_by: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(1),
    }
}

fn executable() -> Executable {
    Executable { architecture: Architecture::X86_64, sha256: "ab".repeat(32), bytes: vec![0; 10 << 20] }
}

/// A host as the plan for it leaves it.
fn provisioned(request: &Request) -> Facts {
    let key = rcgen_request();
    let server = Server { machine: request.machine.clone(), names: request.names.clone() };
    let server = request.authority.sign_server(&key, &server, NOW).unwrap();
    let service = service::definition(Init::Systemd, "/usr/local/bin/wharfd", &request.flags(), &[]);
    let agent = AgentFacts {
        path: "/usr/local/bin/wharfd".into(),
        sha256: executable().sha256,
        running: true,
        service: service.text.trim_end().to_owned(),
        enabled: true,
        authority: request.authority.certificate().pem().trim_end().to_owned(),
        server: server.pem().trim_end().to_owned(),
        revoked: request.authority.revoke(&request.revoked, NOW).unwrap(),
        registries: BTreeMap::new(),
        key: true,
    };
    Facts { agent, port_taken: true, port_owner: "wharfd".into(), ..facts() }
}

fn rcgen_request() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
}

fn plan(facts: &Facts, request: &Request) -> Plan {
    Plan::new(facts, request, &executable()).unwrap()
}

fn verbs(plan: &Plan) -> Vec<Verb> {
    plan.steps.iter().map(|step| step.verb).collect()
}

fn refused(change: impl FnOnce(&mut Facts)) -> Error {
    let mut facts = facts();
    change(&mut facts);
    Plan::new(&facts, &request(), &executable()).unwrap_err()
}

#[test]
fn a_bare_host_gets_everything_and_a_provisioned_one_nothing() {
    let request = request();
    assert_eq!(verbs(&plan(&facts(), &request)), [Verb::Create, Verb::Create, Verb::Create, Verb::Start]);
    assert_eq!(verbs(&plan(&provisioned(&request), &request)), [Verb::Keep; 4]);
}

#[test]
fn authorities_of_registries_are_brought_and_taken_away_without_a_restart() {
    let mut request = request();
    let mut facts = provisioned(&request);
    request.options.registry_authorities.insert("reg:5000".into(), "PEM".into());
    let step = |plan: &Plan| {
        let step = plan.steps.iter().find(|step| step.name == "registries");
        (step.map(|step| step.verb), plan.start)
    };
    assert_eq!(step(&plan(&facts, &request)), (Some(Verb::Create), Verb::Keep));
    facts.agent.registries.insert("reg:5000".into(), "another".into());
    assert_eq!(step(&plan(&facts, &request)), (Some(Verb::Replace), Verb::Keep));
    let sum = hex::encode(<sha2::Sha256 as sha2::Digest>::digest("# brought by wharf\nPEM\n"));
    facts.agent.registries.insert("reg:5000".into(), sum);
    assert_eq!(step(&plan(&facts, &request)), (Some(Verb::Keep), Verb::Keep));
    request.options.registry_authorities.clear();
    assert_eq!(step(&plan(&facts, &request)), (Some(Verb::Replace), Verb::Keep));
    facts.agent.registries.clear();
    assert_eq!(step(&plan(&facts, &request)), (None, Verb::Keep));
}

#[test]
fn each_difference_changes_only_what_it_must() {
    let request = request();
    let after = |change: fn(&mut Facts)| {
        let mut facts = provisioned(&request);
        change(&mut facts);
        verbs(&plan(&facts, &request))
    };
    use Verb::{Keep, Replace, Restart, Start};
    assert_eq!(after(|facts| facts.agent.sha256 = "cd".into()), [Replace, Keep, Keep, Restart]);
    assert_eq!(after(|facts| facts.agent.service.push('#')), [Keep, Keep, Replace, Restart]);
    assert_eq!(after(|facts| facts.agent.enabled = false), [Keep, Keep, Replace, Restart]);
    assert_eq!(after(|facts| facts.agent.running = false), [Keep, Keep, Keep, Start]);
    assert_eq!(after(|facts| facts.agent.key = false), [Keep, Replace, Keep, Keep]);
    assert_eq!(after(|facts| facts.agent.server.truncate(100)), [Keep, Replace, Keep, Keep]);
    assert_eq!(after(|facts| facts.agent.authority.clear()), [Keep, Replace, Keep, Keep]);
}

#[test]
fn a_certificate_is_made_anew_for_another_name_machine_or_time() {
    let request = request();
    let facts = provisioned(&request);
    let again = |request: &Request| plan(&facts, request).certificate;
    let names = vec!["10.0.0.2".parse().unwrap()];
    assert!(again(&Request { names, ..request.clone() }));
    assert!(again(&Request { machine: "m-2".into(), ..request.clone() }));
    assert!(!again(&Request { now: NOW + time::Duration::days(120), ..request.clone() }));
    assert!(again(&Request { now: NOW + time::Duration::days(122), ..request.clone() }));
    assert!(again(&Request { authority: self::request().authority, ..request }));
}

#[test]
fn a_list_of_what_was_taken_back_is_brought_once() {
    use Verb::{Create, Keep, Replace, Start};
    let mut request = request();
    let revoked = |serial: &str| Revoked { serial: serial.into(), since: NOW };
    request.revoked = Revocations { number: 1, revoked: vec![revoked("41ff")] };
    assert_eq!(verbs(&plan(&facts(), &request)), [Create, Create, Create, Create, Start]);
    let facts = provisioned(&request);
    assert_eq!(verbs(&plan(&facts, &request)), [Keep; 5]);
    request.revoked = Revocations { number: 2, revoked: vec![revoked("41ff"), revoked("42aa")] };
    assert_eq!(verbs(&plan(&facts, &request)), [Keep, Keep, Replace, Keep, Keep]);
}

#[test]
fn hosts_that_cannot_are_refused() {
    assert!(matches!(refused(|facts| facts.system = "Darwin".into()), Error::Architecture { .. }));
    assert!(matches!(refused(|facts| facts.architecture = "aarch64".into()), Error::Architecture { .. }));
    for (change, word) in [
        ((|facts| facts.kernel = "5.3.18-lp152".into()) as fn(&mut Facts), "5.4"),
        (|facts| facts.kernel = "4.19".into(), "5.4"),
        (|facts| facts.overlay = false, "overlayfs"),
        (|facts| facts.nf_tables = false, "nf_tables"),
        (|facts| facts.cgroup = Cgroup::None, "control groups"),
    ] {
        let error = refused(change);
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains(word), "{error}");
    }
    let error = refused(|facts| {
        facts.access = Access::None;
        facts.refusal = "sudo: a password is required".into();
    });
    assert!(error.to_string().contains("a password is required"), "{error}");
}

#[test]
fn only_our_own_engine_may_hold_the_port() {
    let taken = |owner: &str, running| {
        refused_or_not(|facts| {
            facts.port_taken = true;
            facts.port_owner = owner.into();
            facts.agent.running = running;
        })
    };
    assert!(matches!(taken("dockerd", true), Some(Error::PortTaken { owner, .. }) if owner == "dockerd"));
    assert!(matches!(taken("", false), Some(Error::PortTaken { .. })));
    assert!(taken("", true).is_none());
    assert!(taken("wharfd", false).is_none());
}

fn refused_or_not(change: impl FnOnce(&mut Facts)) -> Option<Error> {
    let mut facts = facts();
    change(&mut facts);
    Plan::new(&facts, &request(), &executable()).err()
}

#[test]
fn the_agent_goes_where_it_can_be_executed() {
    let mut facts = facts();
    facts.folders[0].no_exec = true;
    assert_eq!(plan(&facts, &request()).agent, "/opt/wharf/bin/wharfd");
    facts.folders[1].read_only = true;
    let error = Plan::new(&facts, &request(), &executable()).unwrap_err();
    assert!(
        error.to_string().contains("/usr/local/bin is mounted noexec; /opt/wharf/bin is read-only"),
        "{error}"
    );
    facts.folders[1].read_only = false;
    facts.folders[1].free = 100;
    assert!(matches!(Plan::new(&facts, &request(), &executable()), Err(Error::DiskFull { .. })));
    // Where it already is the right one, nothing need be written.
    let request = request();
    let mut facts = provisioned(&request);
    facts.folders[0].read_only = true;
    assert_eq!(verbs(&plan(&facts, &request)), [Verb::Keep; 4]);
}

#[test]
fn a_full_data_folder_is_told() {
    let error = refused(|facts| facts.data.free = 1000);
    assert!(matches!(error, Error::DiskFull { path, free: 1000, .. } if path == "/var/lib/wharf"));
}
