//! `certs`: what there is and how long it is good, and certificates for others.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

#[test]
fn every_certificate_is_listed_with_the_days_it_is_good() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["certs", "ls"]), @r"
    $ wharf certs ls
    FOR   NAME   ROLE   MACHINE   SERIAL   DAYS LEFT
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

#[test]
fn certificates_are_renewed_for_machines_or_for_oneself() {
    let sandbox = Sandbox::with(&["web", "db"]);
    let own = || std::fs::read_to_string(sandbox.store().join("authority/cert.pem")).unwrap();
    let authority = || std::fs::read_to_string(sandbox.store().join("authority/ca.pem")).unwrap();
    let (first, signs) = (own(), authority());
    assert_snapshot!(sandbox.run(&["certs", "renew", "web"]), @r"
    $ wharf certs renew web
    ! web: making new certificates
    ! web: has new certificates (N s)
    ");
    let second = own();
    assert_ne!(first, second);
    let all = sandbox.run(&["certs", "renew", "--all", "--server"]);
    let lines = all.stderr.lines().filter(|line| line.contains("has new certificates"));
    assert_eq!((all.code, lines.count()), (0, 2), "{all}");
    assert_eq!(own(), second, "an engine's certificate is not one's own");
    assert_snapshot!(sandbox.run(&["certs", "renew", "--client"]), @r"
    $ wharf certs renew --client
    ! you have a new certificate
    ");
    let third = own();
    assert_ne!(third, second);
    for machine in ["web", "db"] {
        let copied = std::fs::read_to_string(sandbox.store().join("machines").join(machine).join("cert.pem"));
        assert_eq!(copied.unwrap(), third, "{machine} is opened with the new one");
    }
    assert_eq!(authority(), signs);
    assert_snapshot!(sandbox.run(&["certs", "renew", "nobody"]), @r"
    $ wharf certs renew nobody
    ! error: there is no machine `nobody`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    ");
    assert_eq!(own(), third);
    assert_snapshot!(sandbox.run(&["certs", "renew", "--client", "web"]), @r"
    $ wharf certs renew --client web
    ! error: the argument '--client' cannot be used with '[NAME]...'
    !
    ! Usage: wharf certs renew --client [NAME]...
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}

#[test]
fn a_certificate_that_is_taken_back_is_refused_by_every_machine_it_opened() {
    let sandbox = Sandbox::with(&["web", "db"]);
    sandbox.run(&["certs", "issue", "bob"]);
    sandbox.run(&["certs", "issue", "ci", "--machine", "db"]);
    assert_snapshot!(sandbox.run(&["certs", "revoke", "ci"]), @r"
    $ wharf certs revoke ci
    ! db: taking certificates back
    ! db: refuses it from now on (N s)
    ");
    let told = sandbox.run(&["certs", "revoke", "bob"]);
    assert_eq!(told.code, 0, "{told}");
    let mut lines: Vec<&str> = told.stderr.lines().filter(|line| line.contains("refuses")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["db: refuses it from now on (N s)", "web: refuses it from now on (N s)"]);
    let listed = sandbox.run(&["certs", "ls"]).stdout;
    assert_eq!(listed.lines().filter(|line| line.trim_end().ends_with(" revoked")).count(), 2, "{listed}");
    assert_snapshot!(sandbox.run(&["certs", "revoke", "carol"]), @r"
    $ wharf certs revoke carol
    ! error: no certificate that is still good was issued to `carol` or has that serial number
    ! hint: `wharf certs ls` shows what was issued; your own is replaced by `wharf certs renew --client`
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["certs", "revoke", "ci", "-o", "json"]).stdout, @r#"
    [
      {
        "name": "ci",
        "serial": "ID",
        "machines": [
          "db"
        ]
      }
    ]
    "#);
}

#[test]
fn a_machine_that_is_off_is_named_until_it_has_been_told() {
    let sandbox = Sandbox::with(&["web"]);
    sandbox.run(&["certs", "issue", "bob"]);
    sandbox.run(&["stop", "web"]);
    assert_snapshot!(sandbox.run(&["certs", "revoke", "bob"]), @r"
    $ wharf certs revoke bob
    ! error: machine `web` is stopped
    !   until it has been told: it lets the holder in
    ! hint: start it with `wharf start web`
    [exit 5]
    ");
    let listed = || sandbox.run(&["certs", "ls"]).stdout;
    assert!(listed().contains("revoked, not yet on web"), "{}", listed());
    sandbox.run(&["start", "web"]);
    assert!(!listed().contains("not yet"), "{}", listed());
}
