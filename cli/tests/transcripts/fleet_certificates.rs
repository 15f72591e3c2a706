//! Certificates that a fleet file declares for colleagues and jobs.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

const FILE: &str = "\
fleet: shop
machines:
  web:
certificates:
  ann: { role: operator, folder: certs/ann }
  nightly: { role: reader, valid: 8h, folder: certs/nightly, machine: web }
";

fn with(file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("fleet.yaml", file);
    sandbox
}

fn read(sandbox: &Sandbox, file: &str) -> String {
    std::fs::read_to_string(sandbox.home().join(file)).unwrap()
}

#[test]
fn they_are_issued_once_and_renewed_when_a_third_is_left() {
    let sandbox = with(FILE);
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    MACHINE   DRIVER   CHANGE   WHY
    web       memory   create
    CERTIFICATE   ROLE       FOLDER          WHY
    ann           operator   certs/ann       it is not there
    nightly       reader     certs/nightly   it is not there
    ! fleet shop: 1 to create, 2 certificates to issue
    [exit 11]
    ");
    assert_eq!(sandbox.run(&["ls", "-q"]).stdout, "", "planning made something");
    let made = sandbox.run(&["apply", "--yes"]);
    assert_eq!(made.code, 0, "{made}");
    assert!(made.stderr.contains("ann: has a certificate as operator, in certs/ann"), "{made}");
    assert_eq!(sandbox.run(&["plan"]).code, 0);
    let listed = sandbox.run(&["certs", "ls"]).stdout;
    let rows: Vec<String> = listed
        .lines()
        .filter(|line| line.starts_with("client"))
        .map(|line| line.split_whitespace().take(4).collect::<Vec<_>>().join(" "))
        .collect();
    assert!(rows[0].starts_with("client ann operator") && rows[1] == "client nightly reader web", "{listed}");
    let first = ["ca.pem", "key.pem", "cert.pem"].map(|file| read(&sandbox, &format!("certs/ann/{file}")));
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_eq!(read(&sandbox, "certs/ann/cert.pem"), first[2], "it was good still");

    // Thirty days are less than a third of this.
    sandbox.write("fleet.yaml", &FILE.replace("folder: certs/ann", "folder: certs/ann, valid: 91d"));
    let due = sandbox.run(&["plan"]);
    assert_eq!(due.code, 11, "{due}");
    assert!(due.stdout.contains("ann           operator   certs/ann   it ends on 20"), "{due}");
    assert!(!due.stdout.contains("nightly"), "{due}");
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_ne!(read(&sandbox, "certs/ann/cert.pem"), first[2]);
    assert_ne!(read(&sandbox, "certs/ann/key.pem"), first[1]);
    assert_eq!(read(&sandbox, "certs/ann/ca.pem"), first[0]);
    assert_eq!(sandbox.run(&["plan"]).code, 0);
    // Machines alone are meant.
    std::fs::remove_file(sandbox.home().join("certs/ann/key.pem")).unwrap();
    assert_eq!(sandbox.run(&["plan", "--target", "web"]).code, 0);
    assert_eq!(sandbox.run(&["plan"]).code, 11);
    let destroyed = sandbox.run(&["destroy", "--yes"]);
    assert_eq!(destroyed.code, 0, "{destroyed}");
}

#[test]
fn one_that_became_another_or_is_damaged_is_issued_again() {
    let sandbox = with(FILE);
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    let because = |file: &str| {
        sandbox.write("fleet.yaml", file);
        let said = sandbox.run(&["plan"]);
        assert_eq!(said.code, 11, "{said}");
        said.stdout
    };
    assert!(because(&FILE.replace("operator", "reader")).contains("role: operator → reader"));
    assert!(
        because(&FILE.replace("operator,", "operator, machine: web,"))
            .contains("it opens: every machine → web")
    );
    assert!(because(&FILE.replace("  ann:", "  bob:")).contains("it is ann's"));
    sandbox.write("certs/ann/cert.pem", "nonsense");
    assert!(because(FILE).contains("what is there cannot be read"));
    let other = with(FILE);
    assert_eq!(other.run(&["apply", "--yes"]).code, 0);
    sandbox.write("certs/ann/cert.pem", &read(&other, "certs/ann/cert.pem"));
    assert!(because(FILE).contains("what is there has ended, or is not this store's"));
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["plan"]).code, 0);
}

#[test]
fn one_that_was_taken_back_is_not_issued_again_unasked() {
    let sandbox = with(FILE);
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["certs", "revoke", "ann"]).code, 0);
    assert_snapshot!(sandbox.run(&["apply", "--yes"]), @r"
    $ wharf apply --yes
    ! error: the certificate of `ann` was taken back
    ! hint: take them out of the fleet file; or delete their folder, to have a new one issued
    [exit 3]
    ");
    assert_eq!(sandbox.run(&["plan"]).code, 3);
    std::fs::remove_dir_all(sandbox.home().join("certs/ann")).unwrap();
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["plan"]).code, 0);
}

#[test]
fn what_is_wrong_with_one_is_shown_where_it_stands() {
    let sandbox = with(
        "\
fleet: shop
machines:
  web: { driver: memory }
certificates:
  ann: { role: king, folder: ann }
  bob: { role: reader, folder: bob, valid: 9y }
  eve: { role: reader, folder: eve, machine: db }
",
    );
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    ! error: fleet.yaml:5:16: no such role: `king`; there are admin, operator and reader
    !   5 |   ann: { role: king, folder: ann }
    !     |                ^^^^
    ! fleet.yaml:6:44: `9y` is no time for a certificate: write 90m, 4h or 7d, a minute at least and a year at most
    !   6 |   bob: { role: reader, folder: bob, valid: 9y }
    !     |                                            ^^
    ! fleet.yaml:7:46: the fleet has no machine `db`
    !   7 |   eve: { role: reader, folder: eve, machine: db }
    !     |                                              ^^
    ! hint: nothing was done; `wharf schema` prints what a fleet file holds, for editors, too
    [exit 2]
    ");
    sandbox.write("fleet.yaml", "fleet: shop\nmachines:\n  web:\ncertificates:\n  ann: { rôle: king }\n");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    ! error: fleet.yaml:5:3: say what `ann` may do: `role: reader`, operator or admin
    !   5 |   ann: { rôle: king }
    !     |   ^^^
    ! fleet.yaml:5:3: say where the files of `ann` go: `folder: FOLDER`
    !   5 |   ann: { rôle: king }
    !     |   ^^^
    ! fleet.yaml:5:10: there is no key `rôle` here; did you mean `role`?
    !   5 |   ann: { rôle: king }
    !     |          ^^^^
    ! hint: nothing was done; `wharf schema` prints what a fleet file holds, for editors, too
    [exit 2]
    ");
    sandbox.write(
        "fleet.yaml",
        "fleet: shop\nmachines:\n  web:\ncertificates:\n  \"a b\": { role: reader, folder: ann }\n",
    );
    let said = sandbox.run(&["apply", "--yes"]);
    assert_eq!(said.code, 3, "{said}");
    assert!(said.stderr.contains("a certificate for `a b`: "), "{said}");
}
