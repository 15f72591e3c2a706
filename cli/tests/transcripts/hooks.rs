//! What a fleet file has run once machines have joined: `join`.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::Value;

use crate::cut;
use crate::sandbox::Sandbox;

/// A fleet of one machine whose hook, on this computer, is this.
fn with(hook: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    write(&sandbox, hook);
    sandbox
}

fn write(sandbox: &Sandbox, hook: &str) {
    let file = format!(
        "fleet: shop\nenv: [TOKEN]\nmachines:\n  web:\n    labels: {{ role: front }}\n    join:\n      register: {{ {hook} }}\n"
    );
    sandbox.write("fleet.yaml", &file);
}

fn read(sandbox: &Sandbox, file: &str) -> String {
    std::fs::read_to_string(sandbox.home().join(file)).unwrap_or_default()
}

/// Every file of the store and of the log, as text.
fn everything_kept(sandbox: &Sandbox) -> String {
    let mut kept = String::new();
    let mut folders = vec![sandbox.store()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                kept += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap());
            }
        }
    }
    kept
}

const REGISTER: &str =
    "on: here, env: [TOKEN], run: 'cat >>facts; echo \"$TOKEN|$MEMORY_SECRET|$PWD\" >>got'";

#[test]
fn a_hook_runs_once_with_the_facts_and_what_it_names() {
    let sandbox = with(REGISTER).env("TOKEN", "hunter2").env("MEMORY_SECRET", "of the cloud");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    MACHINE   DRIVER   CHANGE         WHY
    web       memory   create, join
    ! fleet shop: 1 to create
    [exit 11]
    ");
    assert_snapshot!(sandbox.run(&["apply", "--yes", "--debug"]).stdout, @r"
    MACHINE   DRIVER   CHANGE         WHY
    web       memory   create, join
    ");
    assert_eq!(read(&sandbox, "got"), format!("hunter2||{}\n", sandbox.home().display()));
    let facts: Value = serde_json::from_str(&read(&sandbox, "facts")).unwrap();
    let store = sandbox.store().join("machines/web");
    assert_eq!(facts["certificates"], store.display().to_string());
    assert!(store.join("cert.pem").is_file() && store.join("key.pem").is_file());
    for (key, value) in [("version", "1"), ("again", "false"), ("fleet", "\"shop\""), ("name", "\"web\"")] {
        assert_eq!(facts[key].to_string(), value, "{facts}");
    }
    assert_eq!(facts["labels"]["role"], "front");
    assert_eq!(facts["url"], "tcp://192.0.2.7:2376");
    assert_eq!(facts["ssh"], serde_json::json!({ "host": "192.0.2.7", "port": 22, "user": "root" }));
    // Once; and its command may change without running again.
    assert_eq!(sandbox.run(&["plan"]).code, 0);
    write(&sandbox, &REGISTER.replace("facts", "others"));
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_eq!(read(&sandbox, "got").lines().count(), 1);
    let kept = everything_kept(&sandbox);
    assert!(
        kept.contains("\"hooked\":{\"hook\":\"register\",\"end\":{\"code\":0}}"),
        "the journal says that it ran"
    );
    assert!(!kept.contains("hunter2"), "a secret is kept");
    // Another machine of that name is another machine.
    assert_eq!(sandbox.run(&["rm", "-y", "web"]).code, 0);
    assert_eq!(sandbox.run(&["apply", "--yes"]).code, 0);
    assert_eq!(read(&sandbox, "got").lines().count(), 2);
}

#[test]
fn a_failing_hook_fails_its_machine_and_the_next_apply_runs_it_again() {
    let failing = "on: here, env: [TOKEN], run: 'echo asked with $TOKEN; echo no >&2; cat >>facts; test -e good || exit 3'";
    let sandbox = with(failing).env("TOKEN", "hunter2");
    let failed = sandbox.run(&["apply", "--yes"]);
    assert_snapshot!(failed, @r"
    $ wharf apply --yes
    MACHINE   DRIVER   CHANGE         WHY
    web       memory   create, join
    ! fleet shop: 1 to create
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 1
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! web: uploading the agent
    ! web: running the hook `register`
    ! error: web: the hook `register` ended with exit code 3
    !   the end of its output: asked with ***
    !     no
    ! hint: the machine stands; once the hook is mended, `wharf apply` runs it again
    [exit 12]
    ");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    MACHINE   DRIVER   CHANGE   WHY
    web       memory   join     the hook `register` ended with exit code 3
    ! fleet shop: 1 to join
    [exit 11]
    ");
    assert_snapshot!(sandbox.run(&["apply", "--yes", "--report", "report.json"]).code, @"12");
    let report: Value = serde_json::from_str(&read(&sandbox, "report.json")).unwrap();
    assert_eq!(report["machines"][0]["error"]["kind"], "Hook");
    let events = sandbox.run(&["apply", "--yes", "--events", "json"]);
    assert_eq!(events.code, 12, "{events}");
    for said in [&failed, &events] {
        assert!(!said.to_string().contains("hunter2"), "{said}");
    }
    sandbox.write("good", "");
    let done = sandbox.run(&["apply", "--yes"]);
    assert_snapshot!(done, @r"
    $ wharf apply --yes
    MACHINE   DRIVER   CHANGE   WHY
    web       memory   join     the hook `register` ended with exit code 3
    ! fleet shop: 1 to join
    ! web: running the hook `register`
    ! web: joined in N s
    ");
    let facts = read(&sandbox, "facts");
    let again: Vec<Value> = serde_json::Deserializer::from_str(&facts)
        .into_iter::<Value>()
        .map(|f| f.unwrap()["again"].clone())
        .collect();
    assert_eq!(again, [false, true, true, true]);
    assert!(!everything_kept(&sandbox).contains("hunter2"));
    assert_eq!(sandbox.run(&["plan"]).code, 0);
}

#[test]
fn one_that_was_cut_off_is_run_again_and_one_that_was_not_is_not() {
    let mut twice = 0;
    for writes in 1.. {
        let sandbox = with("on: here, run: 'cat >>facts'");
        cut::after(sandbox.home(), writes);
        let cut_off = sandbox.run(&["apply", "--yes"]);
        let killed = cut::mend(sandbox.home());
        let facts = |sandbox: &Sandbox| read(sandbox, "facts").matches("\"version\":1").count();
        let before = facts(&sandbox);
        assert_eq!(killed, cut_off.code != 0, "{cut_off}");
        let ended = sandbox.run(&["apply", "--yes"]);
        assert_eq!(ended.code, 0, "after {writes} writes: {ended}");
        assert_eq!(sandbox.run(&["plan"]).code, 0);
        // What ran, and could not be written down, ran twice and was told so.
        assert_eq!(facts(&sandbox), before + usize::from(killed), "after {writes} writes");
        if before + usize::from(killed) == 2 {
            assert!(read(&sandbox, "facts").contains("\"again\":true"));
            twice += 1;
        }
        if !killed {
            break;
        }
    }
    assert_eq!(twice, 1, "there is one write after a hook");
}

#[test]
fn one_that_takes_too_long_is_ended_with_all_that_it_started() {
    let sandbox = with("on: here, timeout: 1s, run: 'sleep 300 & echo $! >child; wait'");
    let said = sandbox.run(&["apply", "--yes"]);
    assert_eq!(said.code, 12, "{said}");
    assert!(said.stderr.contains("the hook `register` took longer than 1 s, and was ended"), "{said}");
    let child = read(&sandbox, "child");
    // The kernel may still be ending it, and nobody may have waited for it yet.
    let is_there = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    let end = Instant::now() + Duration::from_secs(120);
    while is_there() {
        assert!(Instant::now() < end, "it is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    MACHINE   DRIVER   CHANGE   WHY
    web       memory   join     the hook `register` took too long
    ! fleet shop: 1 to join
    [exit 11]
    ");
}

#[test]
fn a_variable_that_is_missing_is_said_before_anything_is_made() {
    let sandbox = with(REGISTER);
    assert_eq!(sandbox.run(&["plan"]).code, 11);
    assert_snapshot!(sandbox.run(&["apply", "--yes"]), @r"
    $ wharf apply --yes
    ! error: the hook `register` wants the variable TOKEN, which is not set
    ! hint: nothing was done; set it in the environment of `apply`
    [exit 2]
    ");
    assert_eq!(sandbox.run(&["ls", "-q"]).stdout, "");
    let sandbox = with("on: here, env: [OTHER], run: x");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    ! error: fleet.yaml:7:35: the variable `OTHER` is not on this file's `env` list
    !   7 |       register: { on: here, env: [OTHER], run: x }
    !     |                                   ^^^^^
    ! hint: nothing was done; `wharf schema` prints what a fleet file holds, for editors, too
    [exit 2]
    ");
    write(&sandbox, "on: here, run: x, timeout: soon");
    assert_snapshot!(sandbox.run(&["plan"]), @r"
    $ wharf plan
    ! error: fleet.yaml:7:46: `soon` is not a span of time: write 90, 90s, 1m30s or 2h
    !   7 |       register: { on: here, run: x, timeout: soon }
    !     |                                              ^^^^
    ! hint: nothing was done; `wharf schema` prints what a fleet file holds, for editors, too
    [exit 2]
    ");
}

#[test]
fn on_the_machine_it_gets_the_same_by_standard_input() {
    let sandbox = with("on: machine, env: [TOKEN], run: 'cat >&2; echo \"got $TOKEN\" >&2; exit 5'");
    let sandbox = sandbox.env("TOKEN", "it's\nhunter2");
    let said = sandbox.run(&["apply", "--yes"]);
    assert_eq!(said.code, 12, "{said}");
    assert!(said.stderr.contains("got ***") && said.stderr.contains("\"certificates\":null"), "{said}");
    assert!(!said.to_string().contains("hunter2"), "{said}");
}

#[test]
fn for_a_machine_of_another_store_hooks_run_only_where_that_is_allowed() {
    let theirs = with("on: here, run: 'true'");
    assert_eq!(theirs.run(&["apply", "--yes"]).code, 0);
    let identity = age::x25519::Identity::generate();
    let sent =
        theirs.run(&["export", "web", "--recipient", &identity.to_public().to_string(), "--out", "web.age"]);
    assert_eq!(sent.code, 0, "{sent}");
    let ours = with("on: here, run: 'true'");
    std::fs::copy(theirs.home().join("web.age"), ours.home().join("web.age")).unwrap();
    let ours = ours.env("WHARF_IDENTITY", "key.txt");
    ours.write("key.txt", age::secrecy::ExposeSecret::expose_secret(&identity.to_string()));
    let came = ours.run(&["import", "web.age"]);
    assert_eq!(came.code, 0, "{came}");
    assert_eq!(ours.run(&["plan"]).code, 0, "it ran there");
    let file = read(&ours, "fleet.yaml").replace("register", "steal");
    ours.write("fleet.yaml", &file.replace("true", "touch stolen"));
    assert_snapshot!(ours.run(&["plan"]), @r"
    $ wharf plan
    MACHINE   DRIVER   CHANGE   WHY
    web       memory   join     the hook `steal` has not run
    ! fleet shop: 1 to join
    [exit 11]
    ");
    assert_snapshot!(ours.run(&["apply", "--yes"]), @r"
    $ wharf apply --yes
    ! error: hooks would run for web, imported from another store
    ! hint: look at what `join` runs in the file; --allow-hooks lets it, --target leaves machines out
    [exit 3]
    ");
    assert!(!ours.home().join("stolen").exists());
    let allowed = ours.run(&["apply", "--yes", "--allow-hooks"]);
    assert_eq!(allowed.code, 0, "{allowed}");
    assert!(ours.home().join("stolen").exists());
}
