//! Links on the default bridge, images as mounts, read-only trees of mounts, and what the log driver's options do.

use crate::engine::Engine;

#[test]
fn a_linked_container_finds_the_other_wherever_it_is() {
    let engine = engine!("a_linked_container_finds_the_other_wherever_it_is");
    let refused = engine.docker(&["create", "--link", "nobody:x", "busybox", "true"]);
    assert!(refused.stderr.contains("could not get container for nobody"), "{refused:?}");
    let script = "mkdir /www; echo page > /www/index.html; exec httpd -f -p 80 -h /www";
    let other = ["run", "-d", "--name", "db", "-h", "store", "-e", "USER=me", "--expose", "80"];
    engine.ok(&[&other[..], &["busybox", "sh", "-c", script]].concat());
    engine.ok(&["run", "-d", "--name", "web", "--link", "db:my-db", "busybox", "sleep", "600"]);
    assert_eq!(engine.ok(&["inspect", "-f", "{{json .HostConfig.Links}}", "web"]), "[\"/db:/web/my-db\"]\n");
    let page = ["exec", "web", "wget", "-qO-", "http://my-db/"];
    engine.until(&page, |seen| seen == "page\n");
    assert_eq!(
        engine.ok(&["exec", "web", "sh", "-c", "grep my-db /etc/hosts | cut -f2"]),
        "my-db store db\n"
    );
    let address =
        |name: &str| engine.ok(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", name]).trim().to_owned();
    let first = address("db");
    let told = "echo $MY_DB_NAME $MY_DB_PORT_80_TCP $MY_DB_ENV_USER";
    assert_eq!(engine.ok(&["exec", "web", "sh", "-c", told]), format!("/web/my-db tcp://{first}:80 me\n"));
    // Its place goes to somebody else, and its name to nobody.
    engine.ok(&["stop", "-t", "0", "db"]);
    engine.ok(&["run", "-d", "--name", "between", "busybox", "sleep", "600"]);
    engine.ok(&["rename", "db", "renamed"]);
    engine.ok(&["start", "renamed"]);
    assert_ne!(address("renamed"), first);
    engine.until(&page, |seen| seen == "page\n");
    engine.ok(&["stop", "-t", "0", "renamed", "web"]);
    let refused = engine.docker(&["start", "web"]);
    assert!(
        refused.stderr.contains("Cannot link to a non running container: /renamed AS /web/my-db"),
        "{refused:?}"
    );
    engine.ok(&["rm", "renamed"]);
    engine.ok(&["start", "web"]);
    assert_eq!(engine.ok(&["inspect", "-f", "{{json .HostConfig.Links}}", "web"]), "null\n");
}

#[test]
fn a_link_is_cut_and_both_containers_stay() {
    let engine = engine!("a_link_is_cut_and_both_containers_stay");
    engine.ok(&["run", "-d", "--name", "db", "busybox", "sleep", "600"]);
    let links = ["--link", "db:store", "--link", "db:other"];
    engine.ok(&[&["run", "-d", "--name", "web"], &links[..], &["busybox", "sleep", "600"]].concat());
    let finds = |alias: &str| engine.docker(&["exec", "web", "grep", "-q", alias, "/etc/hosts"]).code == 0;
    assert!(finds("store") && finds("other"));
    assert_eq!(engine.ok(&["rm", "--link", "web/store"]), "web/store\n");
    assert!(!finds("store") && finds("other"));
    let left = ["inspect", "-f", "{{json .HostConfig.Links}}", "web"];
    assert_eq!(engine.ok(&left), "[\"/db:/web/other\"]\n");
    engine.ok(&["restart", "-t", "0", "web"]);
    assert!(!finds("store") && finds("other"), "nor after a start");
    for (name, why) in [
        ("web/store", "No such container: web/store"),
        ("nobody/store", "No such container: nobody/store"),
        ("web", "cannot remove the default link name"),
    ] {
        let refused = engine.docker(&["rm", "--link", name]);
        assert!(refused.code != 0 && refused.stderr.contains(why), "{name}: {refused:?}");
    }
    assert!(engine.docker(&["rm", "-f", "web/other"]).stderr.contains("No such container: web/other"));
    assert_eq!(engine.ok(&["ps", "-q"]).lines().count(), 2, "both are there");
}

#[test]
fn an_image_is_mounted_and_stays_as_it_is() {
    let mut engine = engine!("an_image_is_mounted_and_stays_as_it_is");
    engine.ok(&["tag", "busybox", "data:v1"]);
    let body = |name: &'static str, mount: &str| create(name, &format!(r#"{{"Mounts":[{mount}]}}"#));
    let whole = r#"{"Type":"image","Source":"data:v1","Target":"/i"}"#;
    let part = r#"{"Type":"image","Source":"data:v1","Target":"/p","ReadOnly":true,"ImageOptions":{"Subpath":"data"}}"#;
    assert_eq!(post(&engine, &body("one", &format!("{whole},{part}"))), "201");
    engine.ok(&["start", "one"]);
    assert_eq!(
        engine.ok(&["exec", "one", "sh", "-c", "cat /i/data/seed /p/seed; echo x > /i/data/new"]),
        "seed\nseed\n"
    );
    assert!(engine.docker(&["exec", "one", "touch", "/p/x"]).stderr.contains("Read-only"));
    assert_eq!(
        engine.ok(&["inspect", "-f", "{{(index .Mounts 0).Type}} {{(index .Mounts 0).Source}}", "one"]),
        "image data:v1\n"
    );
    // It outlives the daemon, a stop, and a look from outside; the image and other containers see nothing of it.
    engine.kill_daemon();
    engine.start_daemon();
    assert_eq!(engine.ok(&["exec", "one", "cat", "/i/data/new"]), "x\n");
    engine.ok(&["stop", "-t", "0", "one"]);
    let got = engine.folder().join("got").display().to_string();
    engine.ok(&["cp", "one:/i/data/new", &got]);
    assert_eq!(std::fs::read_to_string(&got).unwrap(), "x\n");
    engine.ok(&["start", "one"]);
    assert_eq!(engine.ok(&["exec", "one", "ls", "/i/data"]), "new\nseed\n");
    assert_eq!(engine.ok(&["run", "--rm", "data:v1", "ls", "/data"]), "seed\n");
    for wrong in [
        r#"{"Type":"image","Source":"nobody","Target":"/i"}"#,
        r#"{"Type":"image","Source":"data:v1","Target":"/i","VolumeOptions":{}}"#,
    ] {
        assert!(matches!(post(&engine, &body("two", wrong)).as_str(), "404" | "400"), "{wrong}");
    }
    // A part that is not there is found at the start, and leaves nothing behind.
    let gone = r#"{"Type":"image","Source":"data:v1","Target":"/i","ImageOptions":{"Subpath":"gone"}}"#;
    assert_eq!(post(&engine, &body("three", gone)), "201");
    assert!(engine.docker(&["start", "three"]).code != 0);
    engine.ok(&["rm", "-f", "one", "three"]);
    let left = std::fs::read_dir(engine.folder().join("data/snapshots")).unwrap().count();
    assert_eq!(left, 0, "no layer is left");
}

#[test]
fn a_read_only_bind_is_so_with_everything_below_it() {
    let engine = engine!("a_read_only_bind_is_so_with_everything_below_it");
    let tree = engine.folder().join("tree");
    std::fs::create_dir_all(tree.join("below")).unwrap();
    engine.inside(&["mount", "-t", "tmpfs", "below", &tree.join("below").display().to_string()]);
    let bind = |options: &str| {
        let mount = format!(
            r#"{{"Type":"bind","Source":"{}","Target":"/t","ReadOnly":true{options}}}"#,
            tree.display()
        );
        format!(r#"{{"Mounts":[{mount}]}}"#)
    };
    let script = r#"["sh","-c","touch /t/x; echo $?; touch /t/below/x; echo $?"]"#;
    for (name, options, version, expected) in [
        ("whole", "", "1.44", "1\n1\n"),
        ("forced", r#","BindOptions":{"ReadOnlyForceRecursive":true}"#, "1.44", "1\n1\n"),
        ("top", r#","BindOptions":{"ReadOnlyNonRecursive":true}"#, "1.44", "1\n0\n"),
        ("old", "", "1.43", "1\n0\n"),
    ] {
        let body = create_running(name, &bind(options), script);
        assert_eq!(post(&engine, &Create { version, ..body }), "201", "{name}");
        assert_eq!(engine.docker(&["start", "-a", name]).stdout, expected, "{name}");
    }
    let classic = format!("{}:/t:ro", tree.display());
    let seen = engine.docker(&["run", "--rm", "-v", &classic, "busybox", "touch", "/t/below/x"]);
    assert!(seen.stderr.contains("Read-only"), "{seen:?}");
}

#[test]
fn logs_carry_what_was_asked_for_and_full_files_are_packed() {
    let engine = engine!("logs_carry_what_was_asked_for_and_full_files_are_packed");
    let options =
        ["labels=tier", "env-regex=^A", "tag={{.Name}}", "max-size=2k", "max-file=3", "compress=true"];
    let mut words = vec!["run", "--name", "told", "-l", "tier=d b", "-e", "A1=x", "-e", "B=y"];
    words.extend(options.iter().flat_map(|option| ["--log-opt", option]));
    let script = "n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo line $n; done";
    engine.ok(&[&words[..], &["busybox", "sh", "-c", script]].concat());
    let details = engine.ok(&["logs", "--details", "--tail", "1", "told"]);
    assert_eq!(details, "A1=x,tag=told,tier=d+b line 60\n");
    let seen = engine.ok(&["logs", "told"]);
    let numbers: Vec<usize> = seen.lines().map(|line| line["line ".len()..].parse().unwrap()).collect();
    assert!(numbers.len() > 20 && numbers.iter().copied().eq(61 - numbers.len()..=60), "{numbers:?}");
    let path = engine.ok(&["inspect", "-f", "{{.LogPath}}", "told"]);
    let exists = |end: &str| std::path::Path::new(&format!("{}{end}", path.trim())).exists();
    assert!(exists(".1.gz") && exists(".2.gz") && !exists(".1") && !exists(".3.gz"));
    let refused = engine.docker(&["create", "--log-opt", "mode=bogus", "busybox", "true"]);
    assert!(refused.stderr.contains("logger: logging mode not supported: bogus"), "{refused:?}");
    assert_eq!(engine.ok(&["create", "--log-opt", "mode=non-blocking", "busybox", "true"]).len(), 65);
}

/// A create as clients newer or older than the one here send it.
struct Create<'a> {
    name: &'a str,
    version: &'a str,
    body: String,
}

fn create<'a>(name: &'a str, host: &str) -> Create<'a> {
    create_running(name, host, r#"["sleep","600"]"#)
}

fn create_running<'a>(name: &'a str, host: &str, command: &str) -> Create<'a> {
    let body = format!(r#"{{"Image":"busybox","Cmd":{command},"HostConfig":{host}}}"#);
    Create { name, version: "1.48", body }
}

/// The answer's status.
fn post(engine: &Engine, create: &Create<'_>) -> String {
    let socket = engine.folder().join("sock").display().to_string();
    let address = format!("http://engine/v{}/containers/create?name={}", create.version, create.name);
    engine.inside(&[
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        "Content-Type: application/json",
        "--unix-socket",
        &socket,
        "-d",
        &create.body,
        &address,
    ])
}
