//! The docker contexts that `create`, `context` and `rm` look after.

use std::path::PathBuf;

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

fn meta(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.home().join(".docker/contexts/meta");
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0).join("meta.json")
}

#[test]
fn create_writes_one_and_rm_removes_it() {
    let sandbox = Sandbox::with(&["web"]);
    let text = std::fs::read_to_string(meta(&sandbox)).unwrap();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["Name"], "web");
    assert_eq!(
        written["Endpoints"]["docker"],
        serde_json::json!({ "Host": "tcp://192.0.2.7:2376", "SkipTLSVerify": false })
    );
    let tls = sandbox
        .home()
        .join(".docker/contexts/tls")
        .join(meta(&sandbox).parent().unwrap().file_name().unwrap());
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        let ours = std::fs::read(sandbox.store().join("machines/web").join(file)).unwrap();
        assert_eq!(std::fs::read(tls.join("docker").join(file)).unwrap(), ours, "{file}");
    }
    sandbox.run(&["rm", "-y", "web"]);
    assert!(!tls.exists());
}

#[test]
fn contexts_come_and_go_on_request() {
    let sandbox = Sandbox::new();
    sandbox.run(&["create", "web", "--no-context"]);
    assert!(!sandbox.home().join(".docker").exists());
    assert_snapshot!(sandbox.run(&["context", "web"]), @r"
    $ wharf context web
    web
    ");
    assert_snapshot!(sandbox.run(&["context", "--use", "web"]), @r"
    $ wharf context --use web
    web
    ");
    let config = std::fs::read_to_string(sandbox.home().join(".docker/config.json")).unwrap();
    assert_eq!(config, "{\n  \"currentContext\": \"web\"\n}");
    assert_snapshot!(sandbox.run(&["context", "--rm", "web"]), @r"
    $ wharf context --rm web
    web
    ");
    assert!(!meta_exists(&sandbox));
}

fn meta_exists(sandbox: &Sandbox) -> bool {
    std::fs::read_dir(sandbox.home().join(".docker/contexts/meta"))
        .is_ok_and(|mut entries| entries.next().is_some())
}

#[test]
fn a_create_that_was_killed_before_its_context_is_completed_by_the_next() {
    let sandbox = Sandbox::with(&["web"]);
    let whole = std::fs::read_to_string(meta(&sandbox)).unwrap();
    sandbox.run(&["context", "--rm", "web"]);
    assert!(!meta_exists(&sandbox));
    assert_eq!(sandbox.run(&["create", "web", "--no-context"]).code, 3);
    assert!(!meta_exists(&sandbox), "none was wished");
    assert_snapshot!(sandbox.run(&["create", "web"]), @r"
    $ wharf create web
    ! web: its docker context was missing, and is there now
    ! error: there is a machine `web` already
    ! hint: choose another name, or remove it with `wharf rm web`
    [exit 3]
    ");
    assert_eq!(std::fs::read_to_string(meta(&sandbox)).unwrap(), whole);
}

#[test]
fn somebody_elses_context_is_never_touched() {
    let sandbox = Sandbox::with(&["web"]);
    let file = meta(&sandbox);
    sandbox.run(&["context", "--rm", "web"]);
    let foreign = r#"{"Name":"web","Metadata":{},"Endpoints":{}}"#;
    let relative = file.strip_prefix(sandbox.home()).unwrap().to_str().unwrap().to_owned();
    sandbox.write(&relative, foreign);
    assert_snapshot!(sandbox.run(&["context", "web"]), @r"
    $ wharf context web
    ! error: there is a docker context `web` already, and it is not this machine's
    !   folder: HOME/.docker/contexts/meta/4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2
    ! hint: remove it (`docker context rm web`) or do without one (`--no-context`)
    [exit 3]
    ");
    sandbox.run(&["rm", "-y", "web"]);
    assert_snapshot!(sandbox.run(&["create", "web"]), @r"
    $ wharf create web
    ! error: there is a docker context `web` already, and it is not this machine's
    !   folder: HOME/.docker/contexts/meta/4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2
    ! hint: remove it (`docker context rm web`) or do without one (`--no-context`)
    [exit 3]
    ");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), foreign);
    assert_eq!(sandbox.run(&["create", "web", "--no-context"]).code, 0);
}
