//! Bad input: a clear error, a hint, the fixed exit code, and nothing left behind.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

#[test]
fn a_narrow_terminal_breaks_no_word() {
    let sandbox = Sandbox::new();
    let long = ["create", "web", "--memory-size", "many"];
    let said = sandbox.seen(&long, 40).stderr;
    assert!(said.lines().count() > sandbox.run(&long).stderr.lines().count(), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 40), "{said}");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&said), words(&sandbox.run(&long).stderr), "nothing but line ends differs");
    let wrong = sandbox.seen(&["crate", "web"], 40).stderr;
    assert!(wrong.lines().all(|line| line.chars().count() <= 40) && wrong.contains("'create'"), "{wrong}");
    assert_eq!(sandbox.seen(&long, 0).stderr, sandbox.run(&long).stderr, "nobody knows how wide it is");
}

#[test]
fn wrong_words_are_usage() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["create", "web", "--driver", "cloudy"]), @r"
    $ wharf create web --driver cloudy
    ! error: there is no driver `cloudy`
    ! hint: the drivers of this build are memory, none
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["create", "-b/d", "--driver", "memory"]), @r"
    $ wharf create -b/d --driver memory
    ! error: unexpected argument '-b' found
    !
    !   tip: to pass '-b' as a value, use '-- -b'
    !
    ! Usage: wharf create [OPTIONS] <NAME>...
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["create", "a b", "web", "x/y"]), @r#"
    $ wharf create a b web x/y
    ! error: machine name "a b" contains ' ' at position 2
    !   machine name "x/y" contains '/' at position 2
    ! hint: a name begins with a letter or digit, goes on with letters, digits, `.` and `-`, and has at most 63 characters
    [exit 2]
    "#);
    assert_snapshot!(sandbox.run(&["create", "web", "--memory-size", "many"]), @r"
    $ wharf create web --memory-size many
    ! error: --memory-size: `many` is wrong: invalid digit found in string
    ! hint: `wharf create --help` lists what driver `memory` takes
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["create", "web", "--engine-label", "plain", "--engine-registry-mirror", "mirror"]), @r"
    $ wharf create web --engine-label plain --engine-registry-mirror mirror
    ! error: engine label `plain` is not KEY=VALUE
    !   registry mirror `mirror` is not an http:// or https:// address
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["ls", "--filter", "colour=red"]), @r"
    $ wharf ls --filter colour=red
    ! error: machines cannot be filtered by `colour`
    ! hint: --filter takes name=REGEX, driver=NAME, state=STATE or label=KEY[=VALUE]
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["env", "--shell", "nushell"]), @r"
    $ wharf env --shell nushell
    ! error: unknown shell `nushell`: one of bash, zsh, fish, powershell, cmd, tcsh, emacs
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["crate", "web"]), @r"
    $ wharf crate web
    ! error: unrecognized subcommand 'crate'
    !
    !   tip: some similar subcommands exist: 'certs', 'active', 'create'
    !
    ! Usage: wharf [OPTIONS] <COMMAND>
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
    assert!(!sandbox.store().exists());
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["create", "web"]), @r"
    $ wharf create web
    ! error: there is a machine `web` already
    ! hint: choose another name, or remove it with `wharf rm web`
    [exit 3]
    ");
}

#[test]
fn no_such_machine_has_a_code_of_its_own() {
    let sandbox = Sandbox::with(&["web"]);
    for verb in [
        "env",
        "config",
        "ip",
        "url",
        "status",
        "inspect",
        "ssh",
        "start",
        "stop",
        "restart",
        "kill",
        "provision",
        "regenerate-certs",
        "upgrade",
        "logs",
        "version",
        "context",
        "tunnel",
    ] {
        let ended = sandbox.run(&[verb, "nobody"]);
        assert_eq!(ended.code, 4, "{ended}");
        assert!(ended.stderr.contains("hint: "), "{ended}");
    }
    assert_snapshot!(sandbox.run(&["rm", "-y", "nobody"]), @r"
    $ wharf rm -y nobody
    ! error: there is no machine `nobody`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    ");
    assert_snapshot!(sandbox.run(&["ip", "nobody"]), @r"
    $ wharf ip nobody
    ! error: there is no machine `nobody`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    ");
}

#[test]
fn a_variable_that_is_none_is_refused_before_anything_is_made() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["create", "web", "--engine-env", "HTTPS_PROXY", "--engine-env", "1A=b"]), @r"
    $ wharf create web --engine-env HTTPS_PROXY --engine-env 1A=b
    ! error: engine variable `HTTPS_PROXY` is not KEY=VALUE
    !   engine variable `1A=b` is not KEY=VALUE
    ! hint: `wharf --help` lists the commands, `wharf COMMAND --help` what one takes
    [exit 2]
    ");
    assert_eq!(sandbox.run(&["create", "web", "--engine-env", "no_proxy=a,b"]).code, 0);
    let seen = sandbox.run(&["inspect", "-f", "{{json .HostOptions.EngineOptions.Env}}", "web"]);
    assert_eq!(seen.stdout, "[\"no_proxy=a,b\"]\n");
}

#[test]
fn clouds_and_hosts_refuse_with_their_codes_and_leave_nothing() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["create", "web", "--memory-fails", "sign-in"]), @r"
    $ wharf create web --memory-fails sign-in
    ! web: checking what can be checked beforehand
    ! error: the cloud does not know you
    ! hint: sign in to it
    [exit 7]
    ");
    assert_snapshot!(sandbox.run(&["create", "web", "--memory-fails", "quota"]), @r"
    $ wharf create web --memory-fails quota
    ! web: checking what can be checked beforehand
    ! error: no machine of this size is left
    !   region: memory-1
    ! hint: ask for less, free something, or try another place
    [exit 8]
    ");
    assert_snapshot!(sandbox.run(&["ls", "-q"]), @"$ wharf ls -q");
    assert_snapshot!(sandbox.run(&["create", "web", "--engine-label", "host=swapped"]), @r"
    $ wharf create web --engine-label host=swapped
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 1
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! error: the host key of 192.0.2.7 is not the expected one
    !   expected: SHA256:expected
    !   offered: SHA256:offered
    ! hint: `wharf create web` again continues, `wharf rm web` removes what there is
    [exit 6]
    ");
    assert_eq!(sandbox.run(&["rm", "-y", "web"]).code, 0);
    assert_snapshot!(sandbox.run(&["create", "web", "--engine-label", "host=nosudo"]), @r"
    $ wharf create web --engine-label host=nosudo
    ! web: checking what can be checked beforehand
    ! web: making the machine
    ! web: boot a machine of size 1
    ! web: waiting for its address
    ! web: bringing the agent to it
    ! error: user `admin` is not root and may not use sudo
    ! hint: `wharf create web` again continues, `wharf rm web` removes what there is
    [exit 3]
    ");
}

#[test]
fn some_of_several_is_a_code_of_its_own() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["ip", "web", "nobody"]), @r"
    $ wharf ip web nobody
    192.0.2.7
    ! error: nobody: there is no machine `nobody`
    ! hint: `wharf ls` shows the machines there are
    [exit 10]
    ");
    assert_snapshot!(sandbox.run(&["rm", "-y", "nobody", "web"]), @r"
    $ wharf rm -y nobody web
    ! web: finding out what an earlier command left
    ! web: removing it
    ! web: remove web-ID-vm
    ! web: removed (N s)
    ! error: nobody: there is no machine `nobody`
    ! hint: `wharf ls` shows the machines there are
    [exit 10]
    ");
    assert_snapshot!(sandbox.run(&["stop", "one", "two"]), @r"
    $ wharf stop one two
    ! error: one: there is no machine `one`
    ! hint: `wharf ls` shows the machines there are
    ! error: two: there is no machine `two`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    ");
}

#[test]
fn a_damaged_journal_is_shown_and_can_be_removed() {
    let sandbox = Sandbox::with(&["web", "db"]);
    let journal = sandbox.store().join("machines/web/journal.jsonl");
    let damaged = std::fs::read_to_string(&journal).unwrap().replacen('{', "<", 1);
    sandbox.write(".local/share/wharf/machines/web/journal.jsonl", &damaged);
    assert_snapshot!(sandbox.run(&["ls"]), @r"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE     URL                    DOCKER    ERRORS
    db     -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    web    -                 Damaged                          Unknown   machine `web`: line 1 of the journal does not match its check sum
    ");
    assert_snapshot!(sandbox.run(&["env", "web"]), @r"
    $ wharf env web
    ! error: machine `web`: line 1 of the journal does not match its check sum
    !   journal: HOME/.local/share/wharf/machines/web/journal.jsonl
    ! hint: bring the file back from a backup; `wharf rm --force web` forgets the machine and leaves what it is made of
    [exit 1]
    ");
    assert_snapshot!(sandbox.run(&["env", "db"]), @r#"
    $ wharf env db
    export DOCKER_TLS_VERIFY="1"
    export DOCKER_HOST="tcp://192.0.2.7:2376"
    export DOCKER_CERT_PATH="HOME/.local/share/wharf/machines/db"
    export DOCKER_MACHINE_NAME="db"
    # Run this command to configure your shell: 
    # eval $(wharf env db)
    "#);
}

#[test]
fn errors_are_objects_under_json() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["-o", "json", "create", "web", "--memory-fails", "quota"]);
    let error: serde_json::Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((error["code"].as_u64(), error["facts"]["region"].as_str()), (Some(8), Some("memory-1")));
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{ended}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn letting_in_needs_rules_and_an_address() {
    let sandbox = Sandbox::with(&["web"]);
    assert_snapshot!(sandbox.run(&["allow", "web"]), @r"
    $ wharf allow web
    ! error: machine `web` has no rules about who may reach it from where
    ! hint: such rules are made with the machine, where its driver has an option like --azure-allow-from me
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["allow", "web", "--from", "home"]), @r"
    $ wharf allow web --from home
    ! error: `home` is neither an address nor a network
    ! hint: 203.0.113.7 is an address, 203.0.113.0/24 a network
    [exit 2]
    ");
    assert_snapshot!(sandbox.run(&["allow", "web", "--from", "192.0.2.1", "--revoke"]), @r"
    $ wharf allow web --from 192.0.2.1 --revoke
    ! error: the argument '--from <ADDRESS|CIDR>' cannot be used with '--revoke'
    !
    ! Usage: wharf allow --from <ADDRESS|CIDR> <NAME>...
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}
