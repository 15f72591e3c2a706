//! `certs`: what there is and how long it is good, and certificates for others.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

#[test]
fn every_certificate_is_listed_with_the_days_it_is_good() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["certs", "ls"]), @r"
    $ wharf certs ls
    FOR   NAME   ROLE   MACHINE   DAYS LEFT
    ");
    sandbox.run(&["create", "web"]);
    assert_eq!(
        sandbox.run(&["certs", "issue", "ci", "--machine", "web", "--role", "operator", "--hours", "8"]).code,
        0
    );
    let rows: serde_json::Value =
        serde_json::from_str(&sandbox.run(&["certs", "ls", "-o", "json"]).stdout).unwrap();
    let rows: Vec<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            // A year less the moment that has passed since.
            let days = if row["days_left"] == 364 { "365".to_owned() } else { row["days_left"].to_string() };
            format!("{} {} {} {} {days}", row["kind"], row["name"], row["role"], row["machine"])
        })
        .collect();
    let ours = rows.iter().filter(|row| !row.contains("authority") && !row.contains("server"));
    assert_snapshot!(ours.cloned().collect::<Vec<_>>().join("\n"), @r#"
    "own" "wharf client ann-laptop" "admin" null 365
    "client" "ci" "operator" "web" 0
    "#);
    assert_eq!(rows.iter().filter(|row| row.starts_with("\"server\" \"web\"")).count(), 1, "{rows:?}");
}

#[test]
fn a_certificate_for_somebody_else_is_three_files_and_no_more() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["certs", "issue", "bob"]), @r"
    $ wharf certs issue bob
    HOME/bob
    ");
    let read = |file: &str| std::fs::read_to_string(sandbox.home().join("bob").join(file)).unwrap();
    let leaf = wharf_pki::Leaf::load(&read("cert.pem"), &wharf_pki::Secret::new(read("key.pem"))).unwrap();
    assert_eq!(leaf.certificate.role(), Some(wharf_pki::Role::Reader));
    assert_eq!(leaf.certificate.machine(), None);
    let mode = sandbox.home().join("bob/key.pem").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let authority = std::fs::read_to_string(sandbox.store().join("authority/ca.pem")).unwrap();
    assert_eq!(read("ca.pem"), authority);
    assert_snapshot!(sandbox.run(&["certs", "issue", "bob"]), @r"
    $ wharf certs issue bob
    ! error: HOME/bob/ca.pem is there already
    ! hint: name another folder with --out
    [exit 3]
    ");
}

#[test]
fn what_cannot_be_issued_is_refused() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["certs", "issue", "bob", "--machine", "db"]), @r"
    $ wharf certs issue bob --machine db
    ! error: there is no machine `db`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    ");
    assert_snapshot!(sandbox.run(&["certs", "issue", "bob", "--days", "4000"]), @r"
    $ wharf certs issue bob --days 4000
    ! error: a certificate for somebody else is good for an hour to a year
    ! hint: issue another one when it ends
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["certs", "issue", "bob", "--days", "0"]), @r"
    $ wharf certs issue bob --days 0
    ! error: a certificate for somebody else is good for an hour to a year
    ! hint: issue another one when it ends
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["certs", "issue", "bob the builder"]), @r"
    $ wharf certs issue bob the builder
    ! error: an identity is made of letters, digits, `.`, `_` and `-`: `bob the builder`
    ! hint: choose another name for whom it is
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["certs", "issue", "bob", "--role", "king"]), @r"
    $ wharf certs issue bob --role king
    ! error: invalid value 'king' for '--role <ROLE>': no such role: `king`; there are admin, operator and reader
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
    assert!(!sandbox.home().join("bob").exists());
}
