//! `wharf create`.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

#[test]
fn a_machine_is_made_and_the_way_on_is_said() {
    assert_snapshot!(Sandbox::new().run(&["create", "web"]), @r#"
    $ wharf create web
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 1
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! web: uploading the agent
    ! web: ready in N s
    !
    ! Use it from any terminal:  docker --context web run --rm hello-world
    ! or make this one's default: eval "$(wharf env web)"
    "#);
}

#[test]
fn several_are_made_at_once_as_json() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["create", "web1", "web2", "web1", "-o", "json"]);
    let made: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let names: Vec<_> = made.as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!((names, ended.stderr.as_str(), ended.code), (vec!["web1", "web2"], "", 0));
}

#[test]
fn a_dry_run_does_nothing() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["create", "web", "--dry-run", "--memory-size", "4"]), @r"
    $ wharf create web --dry-run --memory-size 4
    MACHINE   PART     STEP     WHAT
    web       driver   create   boot a machine of size 4
    ! web: checking what can be checked beforehand
    ! nothing was done: this is what `create` would do
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q"]), @"$ wharf ls -q");
    assert!(!sandbox.store().join("machines/web").exists());
}

#[test]
fn a_failed_one_is_gone_on_with_by_the_same_command() {
    let sandbox = Sandbox::new();
    let command = ["create", "web", "--engine-label", "host=unreachable"];
    assert_snapshot!(sandbox.run(&command), @r"
    $ wharf create web --engine-label host=unreachable
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 1
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! error: 192.0.2.7 port 22: connection timed out
    ! hint: `wharf create web` again continues, `wharf rm web` removes what there is
    [exit 5]
    ");
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE        URL                    DOCKER    ERRORS
    web    -        memory   Unfinished   tcp://192.0.2.7:2376   Unknown
    ");
    assert_snapshot!(sandbox.run(&["create", "web", "--memory-size", "2"]), @r"
    $ wharf create web --memory-size 2
    ! error: an unfinished machine `web` was begun with other settings
    ! hint: run the command it was begun with to continue it, or remove it with `wharf rm web`
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["env", "web"]), @r"
    $ wharf env web
    ! error: machine `web` is not finished
    ! hint: `wharf create web` goes on where it stopped, `wharf rm web` removes what there is
    [exit 1]
    ");
    assert_snapshot!(sandbox.run(&["rm", "-y", "web"]), @r"
    $ wharf rm -y web
    ! web: finding out what an earlier command left
    ! web: removing it
    ! web: remove web-ID-vm
    ! web: removed (N s)
    ");
}

#[test]
fn a_name_alone_goes_on_with_what_was_begun() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["create", "half", "--memory-size", "2", "--engine-label", "host=once"]).code, 5);
    assert_snapshot!(sandbox.run(&["create", "half"]), @r#"
    $ wharf create half
    ! half: making the machine
    ! half: waiting for its address
    ! half: bringing the agent to it
    ! half: uploading the agent
    ! half: finished in N s
    !
    ! Use it from any terminal:  docker --context half run --rm hello-world
    ! or make this one's default: eval "$(wharf env half)"
    "#);
}

#[test]
fn settings_come_from_flags_environment_and_file() {
    let sandbox = Sandbox::new();
    let size = |sandbox: &Sandbox, name: &str, flags: &[&str]| {
        let created = sandbox.run(&[&["create", name], flags].concat());
        assert_eq!(created.code, 0, "{created}");
        let inspected: serde_json::Value =
            serde_json::from_str(&sandbox.run(&["inspect", name]).stdout).unwrap();
        inspected["config"]["size"].as_u64().unwrap()
    };
    assert_eq!(size(&sandbox, "by-default", &[]), 1);
    sandbox.write(".config/wharf/config.yaml", "drivers:\n  memory:\n    size: 2\n");
    assert_eq!(size(&sandbox, "by-file", &[]), 2);
    let sandbox = sandbox.env("MEMORY_SIZE", "3");
    assert_eq!(size(&sandbox, "by-environment", &[]), 3);
    assert_eq!(size(&sandbox, "by-flag", &["--memory-size", "4"]), 4);
    assert_eq!(size(&sandbox, "by-old-flag", &["--memory-ram", "5"]), 5);
}

#[test]
fn the_engine_gets_what_was_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/wharf/config.yaml", "engine:\n  labels: [site=home]\n");
    let flags =
        ["--engine-label", "a=b", "--engine-opt", "debug", "--engine-registry-mirror", "https://mirror"];
    let more = ["--engine-insecure-registry", "reg:5000", "--tls-san", "web.example"];
    sandbox.run(&[["create", "web"].as_slice(), &flags, &more].concat());
    let inspected: serde_json::Value =
        serde_json::from_str(&sandbox.run(&["inspect", "web"]).stdout).unwrap();
    assert_eq!(
        inspected["options"],
        serde_json::json!({
            "port": 2376, "labels": ["site=home", "a=b"], "registry_mirrors": ["https://mirror"],
            "insecure_registries": ["reg:5000"], "extra_names": ["web.example"], "arguments": ["--debug"],
        })
    );
}

#[test]
fn an_authority_of_a_registry_is_a_file_of_certificates() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["create", "web", "--engine-registry-ca", "reg:5000"]), @r"
    $ wharf create web --engine-registry-ca reg:5000
    ! error: authority of a registry `reg:5000` is not REGISTRY=FILE
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["create", "web", "--engine-registry-ca", "reg:5000=none.pem"]), @r"
    $ wharf create web --engine-registry-ca reg:5000=none.pem
    ! error: authority of the registry `reg:5000`, none.pem: No such file or directory (os error 2)
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
    sandbox.write("key.pem", "-----BEGIN PRIVATE KEY-----\n");
    assert_snapshot!(sandbox.run(&["create", "web", "--engine-registry-ca", "https://reg=key.pem"]), @r"
    $ wharf create web --engine-registry-ca https://reg=key.pem
    ! error: authority of the registry `https://reg`, key.pem: `https://reg` is no registry: it is called HOST or HOST:PORT
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["create", "web", "--engine-registry-ca", "reg=key.pem"]), @r"
    $ wharf create web --engine-registry-ca reg=key.pem
    ! error: authority of the registry `reg`, key.pem: there is a private key in it, which no machine needs to believe a registry
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
}

#[test]
fn whoever_sits_at_a_terminal_has_other_defaults() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.answer(&["create", "sat"], "").code, 0);
    assert_eq!(sandbox.run(&["create", "scripted"]).code, 0);
    assert_eq!(sandbox.answer(&["create", "said", "--memory-allow-from", "any"], "").code, 0);
    let lets_in = |name: &str| sandbox.run(&["inspect", name, "-f", "{{.Driver.lets_in}}"]).stdout;
    assert_eq!(["sat", "scripted", "said"].map(lets_in), ["me\n", "any\n", "any\n"]);
}

#[test]
fn a_machine_without_an_engine_is_given_one_later() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["create", "web", "--no-bootstrap"]), @r"
    $ wharf create web --no-bootstrap
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 1
    ! web: waiting for its address
    ! web: ready in N s
    !
    ! It has no engine: `wharf provision web` brings it, `wharf ssh web` signs in
    ");
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE     URL                    DOCKER    ERRORS
    web    -        memory   Running   tcp://192.0.2.7:2376   Unknown
    ");
    assert_snapshot!(sandbox.run(&["env", "web"]), @r"
    $ wharf env web
    ! error: machine `web` has no engine
    ! hint: `wharf provision web` brings it
    [exit 1]
    ");
    assert_snapshot!(sandbox.run(&["regenerate-certs", "web"]), @r"
    $ wharf regenerate-certs web
    ! error: machine `web` has no engine
    ! hint: `wharf provision web` brings it
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["stop", "web"]), @r"
    $ wharf stop web
    ! web: stopping it
    ! web: stopped (N s)
    ");
    assert_snapshot!(sandbox.run(&["start", "web"]), @r"
    $ wharf start web
    ! web: starting it
    ! web: waiting for its address
    ! web: started (N s)
    ");
    assert_snapshot!(sandbox.run(&["create", "web"]), @r"
    $ wharf create web
    ! error: there is a machine `web` already
    ! hint: choose another name, or remove it with `wharf rm web`
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["provision", "web"]), @r"
    $ wharf provision web
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! web: uploading the agent
    ! web: provisioned (N s)
    ");
    assert_snapshot!(sandbox.run(&["context", "web"]), @r"
    $ wharf context web
    web
    ");
}

#[test]
fn an_engine_elsewhere_is_a_name_and_nothing_more() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["create", "-d", "none", "--url", "tcp://192.0.2.9:2375", "theirs"]), @r"
    $ wharf create -d none --url tcp://192.0.2.9:2375 theirs
    ! theirs: checking what can be checked beforehand
    ! theirs: making the machine
    ! theirs: remember the engine at tcp://192.0.2.9:2375, and do nothing to it
    ! theirs: waiting for its address
    ! theirs: ready in N s
    !
    ! Use it:  docker -H tcp://192.0.2.9:2375 run --rm hello-world
    ");
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME     ACTIVE   DRIVER   STATE     URL                    DOCKER    ERRORS
    theirs   -        none     Running   tcp://192.0.2.9:2375   Unknown
    ");
    assert_snapshot!(sandbox.run(&["url", "theirs"]), @r"
    $ wharf url theirs
    tcp://192.0.2.9:2375
    ");
    assert_snapshot!(sandbox.run(&["provision", "theirs"]), @r"
    $ wharf provision theirs
    ! error: machine `theirs` cannot be provisioned: driver `none` does nothing to it
    ! hint: somebody else looks after its engine
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["stop", "theirs"]), @r"
    $ wharf stop theirs
    ! theirs: stopping it
    ! error: machine `theirs` cannot be stopped: driver `none` has no power over it
    ! hint: ask whoever looks after it
    [exit 3]
    ");
    for (command, says) in [
        ("ssh", "cannot be signed in to: driver `none` knows its engine alone"),
        ("logs", "has no engine of wharf's: somebody else looks after it"),
        ("upgrade", "cannot be provisioned: driver `none` does nothing to it"),
    ] {
        let ended = sandbox.run(&[command, "theirs"]);
        assert_eq!(ended.code, 3, "{ended}");
        assert!(ended.stderr.contains(&format!("error: machine `theirs` {says}")), "{ended}");
    }
    assert_snapshot!(sandbox.run(&["create", "-d", "none", "other"]), @r"
    $ wharf create -d none other
    ! error: --none-url: is missing: say where the engine is
    ! hint: `wharf create --help` lists what driver `none` takes
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["rm", "-y", "theirs"]), @r"
    $ wharf rm -y theirs
    ! theirs: finding out what an earlier command left
    ! theirs: removing it
    ! theirs: remove theirs-ID-address
    ! theirs: removed (N s)
    ");
}
