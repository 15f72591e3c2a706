//! What the host's part of a configuration comes to, seen from inside.

use crate::engine::{Engine, Said};

fn inside(engine: &Engine, options: &[&str], script: &str) -> Said {
    engine.docker(&[&["run", "--rm"][..], options, &["busybox", "sh", "-c", script][..]].concat())
}

#[test]
fn namespaces_are_joined_and_shared_as_asked() {
    let engine = engine!("namespaces_are_joined_and_shared_as_asked");
    engine.ok(&[
        "run",
        "-d",
        "--name",
        "donor",
        "--ipc",
        "shareable",
        "-h",
        "donor",
        "busybox",
        "sleep",
        "600",
    ]);
    engine.ok(&["exec", "donor", "sh", "-c", "echo shared > /dev/shm/x"]);
    let joined =
        inside(&engine, &["--ipc", "container:donor", "--pid", "container:donor"], "cat /dev/shm/x; ps");
    assert!(joined.stdout.starts_with("shared\n") && joined.stdout.contains("sleep 600"), "{joined:?}");
    engine.ok(&["run", "-d", "--name", "private", "busybox", "sleep", "600"]);
    let refused = inside(&engine, &["--ipc", "container:private"], "true");
    assert!(refused.code == 125 && refused.stderr.contains("non-shareable IPC"), "{refused:?}");
    let none = inside(&engine, &["--ipc", "none"], "grep -c /dev/shm /proc/mounts");
    assert_eq!(none.stdout, "0\n", "{none:?}");
    let host = engine.inside(&["readlink", "/proc/self/ns/uts"]);
    assert_eq!(inside(&engine, &["--uts", "host"], "readlink /proc/self/ns/uts").stdout, host);
    assert_ne!(inside(&engine, &[], "readlink /proc/self/ns/uts").stdout, host);
    let pid = engine.inside(&["readlink", "/proc/self/ns/pid"]);
    assert_eq!(inside(&engine, &["--pid", "host"], "readlink /proc/self/ns/pid").stdout, pid);
    engine.ok(&["rm", "-f", "donor"]);
    let mounted = engine.inside(&["cat", "/proc/self/mountinfo"]);
    assert!(!mounted.contains("/mounts/shm"), "nothing stays mounted: {mounted}");
}

#[test]
fn limits_hold_or_are_refused() {
    let engine = engine!("limits_hold_or_are_refused");
    let shm = inside(&engine, &["--shm-size", "3m"], "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2");
    assert_eq!(shm.stdout, "3072\n", "{shm:?}");
    let files = inside(&engine, &["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn");
    assert_eq!(files.stdout, "100\n200\n", "{files:?}");
    engine.ok(&["run", "-d", "--name", "one", "--ulimit", "nofile=100:200", "busybox", "sleep", "600"]);
    assert_eq!(engine.ok(&["exec", "one", "sh", "-c", "ulimit -Hn"]), "200\n", "of an exec, too");
    let sysctl = inside(
        &engine,
        &["--sysctl", "net.ipv4.ip_forward=0", "--sysctl", "kernel.msgmax=9000"],
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
    );
    assert_eq!(sysctl.stdout, "0\n9000\n", "{sysctl:?}");
    let hosts = inside(&engine, &["--sysctl", "kernel.panic=7"], "true");
    assert!(hosts.code != 0 && hosts.stderr.contains("kernel.panic"), "the host's own stays: {hosts:?}");
    let tmpfs = inside(&engine, &["--tmpfs", "/t:size=2m,mode=700,exec"], "grep ' /t ' /proc/mounts");
    assert!(tmpfs.stdout.contains("size=2048k") && !tmpfs.stdout.contains("noexec"), "{tmpfs:?}");
    let hidden =
        inside(&engine, &[], "cat /proc/kcore /proc/timer_list | wc -c; echo x > /proc/sysrq-trigger");
    assert!(hidden.stdout.starts_with("0\n") && hidden.code != 0, "{hidden:?}");
    let effective = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective =
        effective.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim().to_owned();
    if u64::from_str_radix(&effective, 16).unwrap() & 1 << 24 == 0 {
        let above = inside(&engine, &["--ulimit", "memlock=-1:-1"], "true");
        assert!(above.code == 125 && above.stderr.contains("CAP_SYS_RESOURCE"), "{above:?}");
        let badness = inside(&engine, &["--oom-score-adj", "-999"], "true");
        assert!(
            badness.stderr.contains("-999") && badness.stderr.contains("CAP_SYS_RESOURCE"),
            "{badness:?}"
        );
    }
    let cpus = inside(&engine, &["--cpuset-cpus", "0"], "grep Cpus_allowed_list /proc/self/status");
    assert!(cpus.stdout.ends_with("\t0\n"), "{cpus:?}");
}

#[test]
fn devices_are_what_was_given_and_nothing_else() {
    let engine = engine!("devices_are_what_was_given_and_nothing_else");
    let given = inside(&engine, &["--device", "/dev/zero:/dev/given:r"], "head -c 3 /dev/given | wc -c");
    assert_eq!(given.stdout, "3\n", "{given:?}");
    // The kernel's log: 1:11 is in nobody's default rules.
    let open = "mknod /k c 1 11; head -c 0 /k && echo opened";
    let refused = inside(&engine, &[], open);
    assert!(!refused.stdout.contains("opened") && refused.stderr.contains("not permitted"), "{refused:?}");
    let ruled = inside(&engine, &["--device-cgroup-rule", "c 1:11 r", "--cap-add", "SYSLOG"], open);
    assert_eq!(ruled.stdout, "opened\n", "{ruled:?}");
    engine.ok(&["run", "-d", "--name", "one", "busybox", "sleep", "600"]);
    let exec = engine.docker(&["exec", "one", "sh", "-c", open]);
    assert!(!exec.stdout.contains("opened"), "an exec has the same rules: {exec:?}");
    let all = inside(&engine, &["--privileged"], open);
    assert_eq!(all.stdout, "opened\n", "{all:?}");
    let gpu = engine.docker(&["create", "--gpus", "all", "busybox"]);
    assert!(gpu.stderr.contains("could not select device driver"), "{gpu:?}");
}

#[test]
fn seccomp_profiles_take_effect_in_execs_too() {
    let engine = engine!("seccomp_profiles_take_effect_in_execs_too");
    let profile = engine.folder().join("profile.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}"#;
    std::io::Write::write_all(&mut std::fs::File::create(&profile).unwrap(), text.as_bytes()).unwrap();
    let custom = format!("seccomp={}", profile.display());
    let script = "mkdir /new; grep Seccomp: /proc/self/status";
    let denied = inside(&engine, &["--security-opt", &custom], script);
    assert!(
        denied.stderr.contains("Function not implemented") && denied.stdout == "Seccomp:\t2\n",
        "{denied:?}"
    );
    engine.ok(&["run", "-d", "--name", "one", "--security-opt", &custom, "busybox", "sleep", "600"]);
    let exec = engine.docker(&["exec", "one", "sh", "-c", script]);
    assert!(exec.stderr.contains("Function not implemented"), "{exec:?}");
    let terminal = engine.terminal("docker exec -t one mkdir /new", "");
    assert!(terminal.stdout.contains("Function not implemented"), "{terminal:?}");
    let free = inside(&engine, &["--security-opt", "seccomp=unconfined"], script);
    assert_eq!((free.stdout.as_str(), free.code), ("Seccomp:\t0\n", 0), "{free:?}");
    // The default one: a new user namespace is refused without CAP_SYS_ADMIN.
    let default = inside(&engine, &[], "unshare -U true");
    assert!(default.code != 0 && default.stderr.contains("not permitted"), "{default:?}");
}

/// The rule on clone(2) masks its flags: children are made, new namespaces are not.
#[test]
fn clone_makes_children_and_no_namespaces() {
    let engine = engine!("clone_makes_children_and_no_namespaces");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker_cli/clone.c");
    let program = engine.folder().join("clone");
    let made = std::process::Command::new("gcc").args(["-static", "-o"]).arg(&program).arg(source).status();
    assert!(made.unwrap().success());
    let mount = format!("{}:/clone:ro", program.display());
    let refused = "child: made\nusers: Operation not permitted\n";
    let run = |options: &[&str]| inside(&engine, &[&["-v", &mount], options].concat(), "/clone").stdout;
    assert_eq!(run(&[]), refused);
    assert_eq!(run(&["--security-opt", "no-new-privileges"]), refused, "where the filter is loaded later");
    assert_eq!(run(&["--cap-add", "SYS_ADMIN"]), "child: made\nusers: made\n");
    engine.ok(&["run", "-d", "--name", "one", "-v", &mount, "busybox", "sleep", "600"]);
    assert_eq!(engine.ok(&["exec", "one", "/clone"]), refused);
}

/// CVE-2024-21626: a descriptor of the host's that leaks in is a way out.
#[test]
fn no_descriptor_of_the_hosts_leaks_in() {
    let engine = engine!("no_descriptor_of_the_hosts_leaks_in");
    // 3 is the listing's own.
    assert_eq!(inside(&engine, &[], "ls /proc/self/fd | tr '\\n' ' '").stdout, "0 1 2 3 ");
    engine.ok(&["run", "-d", "--name", "one", "busybox", "sleep", "600"]);
    assert_eq!(engine.ok(&["exec", "one", "sh", "-c", "ls /proc/self/fd | tr '\\n' ' '"]), "0 1 2 3 ");
    assert_eq!(engine.ok(&["exec", "one", "sh", "-c", "ls /proc/1/fd | tr '\\n' ' '"]), "0 1 2 ");
    for number in 3..12 {
        let folder = format!("/proc/self/fd/{number}");
        let run = inside(&engine, &["-w", &folder], "ls ../../../../etc/shadow && pwd");
        assert!(run.code != 0 || !run.stdout.contains("shadow"), "{run:?}");
        let exec = engine.docker(&["exec", "-w", &folder, "one", "cat", "../../../../../etc/shadow"]);
        assert!(exec.code != 0, "{exec:?}");
    }
}

#[test]
fn mounts_propagate_and_show_their_parts() {
    let engine = engine!("mounts_propagate_and_show_their_parts");
    engine.ok(&[
        "run",
        "--rm",
        "-v",
        "vol:/v",
        "busybox",
        "sh",
        "-c",
        "mkdir -p /v/sub/deep; echo part > /v/sub/deep/f; ln -s /etc /v/out",
    ]);
    let part = |subpath: &str| format!("type=volume,src=vol,dst=/p,volume-subpath={subpath}");
    assert_eq!(inside(&engine, &["--mount", &part("sub/deep")], "cat /p/f").stdout, "part\n");
    let missing = inside(&engine, &["--mount", &part("gone")], "true");
    assert!(missing.code != 0 && missing.stderr.contains("no such file or directory"), "{missing:?}");
    // A part that becomes a link to the host's files between the create and the start.
    engine.ok(&["create", "--name", "late", "--mount", &part("sub/deep"), "busybox", "ls", "/p"]);
    engine.ok(&[
        "run",
        "--rm",
        "-v",
        "vol:/v",
        "busybox",
        "sh",
        "-c",
        "rm -r /v/sub/deep; mkdir -p /v/etc; echo x > /v/etc/mine; ln -s /etc /v/sub/deep",
    ]);
    assert_eq!(engine.docker(&["start", "-a", "late"]).stdout, "mine\n", "the volume's, not the host's");
    let got = engine.folder().join("got").display().to_string();
    engine.ok(&["cp", "late:/p/mine", &got]);
    let shared = engine.folder().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let path = shared.display().to_string();
    engine.inside(&["mount", "--bind", &path, &path]);
    engine.inside(&["mount", "--make-shared", &path]);
    let slave = format!("{path}:/s:rslave");
    engine.ok(&["run", "-d", "--name", "slave", "-v", &slave, "busybox", "sleep", "600"]);
    let private = format!("{path}:/s");
    engine.ok(&["run", "-d", "--name", "private", "-v", &private, "busybox", "sleep", "600"]);
    std::fs::create_dir(shared.join("in")).unwrap();
    engine.inside(&["mount", "-t", "tmpfs", "late", &format!("{path}/in")]);
    engine.inside(&["touch", &format!("{path}/in/seen")]);
    assert_eq!(engine.ok(&["exec", "slave", "ls", "/s/in"]), "seen\n");
    assert_eq!(engine.ok(&["exec", "private", "ls", "/s/in"]), "");
}

#[test]
fn an_exec_is_as_confined_as_its_container() {
    let engine = engine!("an_exec_is_as_confined_as_its_container");
    let options = [
        "--cap-add",
        "NET_ADMIN",
        "--cap-drop",
        "MKNOD",
        "--security-opt",
        "no-new-privileges",
        "--ulimit",
        "nofile=100:200",
        "--ulimit",
        "core=0",
        "--oom-score-adj",
        "200",
        "--pids-limit",
        "50",
        "-m",
        "64m",
    ];
    let run = [&["run", "-d", "--name", "one"], &options[..], &["busybox", "sleep", "600"]].concat();
    engine.ok(&run);
    // What a process may do, of the container's first and of the one that asks.
    let of = |pid: &str| {
        format!(
            "grep -E '^(Cap|Seccomp:|NoNewPrivs|Groups|Uid|Gid)' /proc/{pid}/status; cat /proc/{pid}/limits \
             /proc/{pid}/oom_score_adj /proc/{pid}/cgroup; cat /proc/{pid}/attr/current 2>/dev/null; true"
        )
    };
    let first = engine.ok(&["exec", "one", "sh", "-c", &of("1")]);
    for expected in
        ["NoNewPrivs:\t1", "Seccomp:\t2", "Max open files            100                  200", "\n200\n"]
    {
        assert!(first.contains(expected), "{expected:?}: {first}");
    }
    let own = of("self");
    assert_eq!(engine.ok(&["exec", "one", "sh", "-c", &own]), first);
    let terminal = engine.terminal(&format!("docker exec -t one sh -c \"{own}\""), "");
    assert_eq!(terminal.stdout.replace('\r', ""), first, "with a terminal");
    // Another user has what that user would have in the container itself.
    let user = [
        "exec",
        "-u",
        "web",
        "one",
        "sh",
        "-c",
        "grep -E '^(CapEff|CapBnd|Seccomp:|NoNewPrivs)' /proc/self/status",
    ];
    let seen = engine.ok(&user);
    let line = |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert_eq!(line(&seen, "CapEff"), "CapEff:\t0000000000000000");
    for name in ["CapBnd", "Seccomp", "NoNewPrivs"] {
        assert_eq!(line(&seen, name), line(&first, name));
    }
    // Its processes count, and its memory ends where the container's does.
    let many = engine.docker(&["exec", "one", "sh", "-c", "for n in $(seq 60); do sleep 5 & done; wait"]);
    assert!(many.stderr.contains("fork"), "{many:?}");
}
