//! Whole specifications, from what clients ask for.

use super::*;
use crate::engine::containers::mounts::Kind;

fn facts() -> Facts {
    Facts::of_a_whole_host()
}

fn mount(destination: &str, kind: Kind) -> Mount {
    Mount {
        image: None,
        read_only_at_top: false,
        kind,
        source: "/src".into(),
        destination: destination.into(),
        volume: None,
        anonymous: false,
        read_only: true,
        mode: String::new(),
        propagation: String::new(),
        not_recursive: false,
        subpath: String::new(),
        options: vec!["exec".to_owned(), "size=1m".to_owned()],
    }
}

fn build(config: &str, host: &str, mounts: &[Mount]) -> Value {
    let config: ContainerConfig = serde_json::from_str(config).unwrap();
    let host: HostConfig = serde_json::from_str(host).unwrap();
    let blueprint = blueprint(&config, &host, mounts);
    serde_json::to_value(assemble(&blueprint).unwrap()).unwrap()
}

fn blueprint<'a>(config: &'a ContainerConfig, host: &'a HostConfig, mounts: &'a [Mount]) -> Blueprint<'a> {
    Blueprint {
        id: "abc",
        config,
        host,
        mounts,
        identity: Identity { uid: 0, gid: 0, groups: vec![10], home: "/root".to_owned() },
        linked: Vec::new(),
        command: vec!["sh".to_owned(), "-c".to_owned()],
        files: vec![("/d/hosts".into(), "/etc/hosts")],
        network: Namespace::Path("/run/netns/abc".into()),
        pid: Namespace::Private,
        ipc: Namespace::Private,
        shared_memory: None,
        devices: Vec::new(),
        facts: Box::leak(Box::new(facts())),
    }
}

fn namespace(spec: &Value, kind: &str) -> Option<Value> {
    spec["linux"]["namespaces"].as_array().unwrap().iter().find(|n| n["type"] == kind).cloned()
}

#[test]
fn a_plain_container_is_confined() {
    let spec = build(r#"{"Hostname":"web","Env":["A=1"]}"#, "{}", &[]);
    assert_eq!(spec["process"]["args"], json!(["sh", "-c"]));
    assert_eq!(spec["process"]["cwd"], "/");
    let environment = spec["process"]["env"].as_array().unwrap();
    for line in ["HOSTNAME=web", "A=1", "HOME=/root"] {
        assert!(environment.contains(&json!(line)), "{line}");
    }
    assert_eq!(spec["hostname"], "web");
    assert_eq!(spec["linux"]["cgroupsPath"], "/wharf/abc");
    assert_eq!(namespace(&spec, "network").unwrap()["path"], "/run/netns/abc");
    assert!(namespace(&spec, "cgroup").is_some() && namespace(&spec, "user").is_none());
    assert!(
        spec["linux"]["seccomp"].is_object() && !spec["linux"]["maskedPaths"].as_array().unwrap().is_empty()
    );
    assert_eq!(spec["linux"]["resources"]["devices"][0]["allow"], false);
    assert_eq!(spec["process"]["user"]["additionalGids"], json!([10]));
}

#[test]
fn a_privileged_one_is_not() {
    let spec = build("{}", r#"{"Privileged":true}"#, &[]);
    assert!(spec["linux"].get("seccomp").is_none());
    assert_eq!(spec["linux"]["resources"]["devices"], json!([{ "allow": true, "access": "rwm" }]));
    assert!(spec["linux"]["maskedPaths"].as_array().is_none_or(Vec::is_empty));
    let sys = spec["mounts"].as_array().unwrap().iter().find(|m| m["destination"] == "/sys").unwrap().clone();
    assert!(sys["options"].as_array().unwrap().contains(&json!("rw")));
}

#[test]
fn a_variable_is_set_once_and_a_bare_name_unsets() {
    let spec = build(r#"{"Env":["PATH=/mine","HOSTNAME","HOME=/h","EMPTY="],"Tty":true}"#, "{}", &[]);
    let environment: Vec<_> =
        spec["process"]["env"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    assert_eq!(environment, ["PATH=/mine", "TERM=xterm", "HOME=/h", "EMPTY="]);
}

#[test]
fn an_exec_is_the_container_but_for_what_it_says() {
    let config: ContainerConfig =
        serde_json::from_str(r#"{"WorkingDir":"/srv","Env":["A=1","B=1"]}"#).unwrap();
    let host = HostConfig::default();
    let request: ExecCreateRequest =
        serde_json::from_str(r#"{"Cmd":["id"],"Env":["B=2"],"Tty":true,"Privileged":true}"#).unwrap();
    let mut blueprint = blueprint(&config, &host, &[]);
    blueprint.identity.uid = 5;
    let process = serde_json::to_value(exec(&blueprint, &request).unwrap()).unwrap();
    assert_eq!((&process["cwd"], &process["args"]), (&json!("/srv"), &json!(["id"])));
    let environment = process["env"].as_array().unwrap();
    assert!(environment.contains(&json!("A=1")) && environment.contains(&json!("B=2")));
    assert!(process["capabilities"]["bounding"].as_array().unwrap().len() > 30);
    assert_eq!(process["capabilities"]["effective"].as_array().map_or(0, Vec::len), 0, "not for users");
}

#[test]
fn parents_are_mounted_before_children_and_clients_instead_of_ours() {
    let mounts = [
        mount("/a/b/c", Kind::Bind),
        mount("/a", Kind::Tmpfs),
        mount("/dev/shm", Kind::Bind),
        mount("/etc/hosts", Kind::Bind),
    ];
    let spec = build("{}", "{}", &mounts);
    let list = spec["mounts"].as_array().unwrap();
    let at = |place: &str| list.iter().position(|m| m["destination"] == place).unwrap();
    assert!(at("/a") < at("/a/b/c"));
    for place in ["/dev/shm", "/etc/hosts"] {
        assert_eq!(list.iter().filter(|m| m["destination"] == place).count(), 1, "{place}");
    }
    let options = list[at("/a")]["options"].as_array().unwrap();
    assert!(options.contains(&json!("exec")) && !options.contains(&json!("noexec")), "{options:?}");
    assert!(list[at("/a/b/c")]["options"].as_array().unwrap().contains(&json!("ro")));
}

#[test]
fn limits_become_the_runtimes_units() {
    let host = r#"{"Memory":1048576,"NanoCpus":1500000000,"PidsLimit":7,"CpusetCpus":"0",
        "Ulimits":[{"Name":"nofile","Soft":10,"Hard":-1}],"OomScoreAdj":5}"#;
    let spec = build("{}", host, &[]);
    let resources = &spec["linux"]["resources"];
    assert_eq!(
        (&resources["memory"]["limit"], &resources["memory"]["swap"]),
        (&json!(1_048_576), &json!(2_097_152))
    );
    assert_eq!((&resources["cpu"]["quota"], &resources["cpu"]["period"]), (&json!(150_000), &json!(100_000)));
    assert_eq!((&resources["pids"]["limit"], &resources["cpu"]["cpus"]), (&json!(7), &json!("0")));
    assert_eq!(spec["process"]["rlimits"][0]["hard"], json!(u64::MAX));
    assert_eq!(spec["process"]["oomScoreAdj"], 5);
}

#[test]
fn the_hosts_namespaces_are_joined_by_leaving_them_out() {
    let config = ContainerConfig::default();
    let host: HostConfig = serde_json::from_str(r#"{"UTSMode":"host","CgroupnsMode":"host"}"#).unwrap();
    let mut blueprint = blueprint(&config, &host, &[]);
    (blueprint.pid, blueprint.network, blueprint.ipc) = (Namespace::Host, Namespace::Host, Namespace::Host);
    let spec = serde_json::to_value(assemble(&blueprint).unwrap()).unwrap();
    assert_eq!(spec["linux"]["namespaces"], json!([{ "type": "mount" }]));
    assert!(spec.get("hostname").is_none_or(Value::is_null));
    assert!(spec["linux"]["sysctl"].as_object().is_none_or(serde_json::Map::is_empty), "not the host's");
}

#[test]
fn wrong_limits_are_refused() {
    let config = ContainerConfig::default();
    for host in [r#"{"Ulimits":[{"Name":"magic"}]}"#, r#"{"Ulimits":[{"Name":"nofile","Soft":5,"Hard":1}]}"#]
    {
        let host: HostConfig = serde_json::from_str(host).unwrap();
        assert!(assemble(&blueprint(&config, &host, &[])).is_err());
    }
}
