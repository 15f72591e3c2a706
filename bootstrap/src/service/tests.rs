//! The definitions, read by the programs that will read them where these are at hand.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

const NASTY: &str = r#"--label=a b "c" 'd' $HOME %n \e `id`"#;

fn flags() -> Vec<String> {
    vec!["--tlsverify".into(), NASTY.into()]
}

fn environment() -> Vec<String> {
    vec!["HTTPS_PROXY=http://ann:it's%20@proxy:3128".into(), r#"ODD=a b "c" $HOME \e"#.into()]
}

#[test]
fn a_unit_quotes_as_systemd_reads() {
    let text = definition(Init::Systemd, "/usr/local/bin/wharfd", &flags(), &environment()).text;
    let line = text.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    assert_eq!(
        line,
        r#"ExecStart="/usr/local/bin/wharfd" "--tlsverify" "--label=a b \"c\" 'd' $$HOME %%n \\e `id`""#
    );
    let variables: Vec<&str> = text.lines().filter(|line| line.starts_with("Environment=")).collect();
    assert_eq!(
        variables,
        [
            r#"Environment="HTTPS_PROXY=http://ann:it's%%20@proxy:3128""#,
            r#"Environment="ODD=a b \"c\" $HOME \\e""#
        ]
    );
    assert!(text.contains("KillMode=process\n") && text.contains("Delegate=yes\n"));
    for mount_namespace in ["PrivateTmp", "Protect", "ReadOnlyPaths"] {
        assert!(!text.contains(mount_namespace), "{mount_namespace} makes a mount namespace");
    }
}

#[test]
fn an_openrc_script_keeps_words_together() {
    let text = definition(Init::Openrc, "/usr/local/bin/wharfd", &flags(), &environment()).text;
    // What supervise-daemon's start does with it: the assignment, then an eval.
    let line = text.lines().find(|line| line.starts_with("command_args=")).unwrap();
    let script = format!("{line}\neval \"set -- $command_args\"\nprintf '%s\\n' \"$@\"");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("--tlsverify\n{NASTY}\n"));
    let exports: String = text
        .lines()
        .filter(|line| line.starts_with("export "))
        .fold(String::new(), |all, line| all + line + "\n");
    let script = format!("{exports}printf '%s\\n' \"HTTPS_PROXY=$HTTPS_PROXY\" \"ODD=$ODD\"");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), environment().join("\n") + "\n");
    let checked = Command::new("sh").args(["-n", "-c", &text]).status().unwrap();
    assert!(checked.success());
}

/// The script itself, with a program in the agent's place and its files in a folder of the test's.
#[test]
fn a_host_without_init_gets_a_script_that_starts_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let agent = folder.path().join("agent");
    let script = folder.path().join("start");
    wharf_testkit::script(
        &agent,
        &format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >{at}/arguments\nexec sleep 60\n"),
    )
    .unwrap();
    let text = definition(Init::None, agent.to_str().unwrap(), &flags(), &environment()).text;
    let text = text.replace("/run/wharf-watchdog.pid", &format!("{at}/pid"));
    let text = text
        .replace("log=/var/log/wharfd.log", &format!("log={at}/log"))
        .replace("mkdir -p /run /var/log", ":");
    wharf_testkit::script(&script, &text).unwrap();
    let run = |verb: &str| Command::new(&script).arg(verb).stdin(Stdio::null()).status().unwrap().success();
    assert!(run("start"));
    let pid = || std::fs::read_to_string(folder.path().join("pid")).unwrap().trim().to_owned();
    let first = pid();
    let arguments = folder.path().join("arguments");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !arguments.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(std::fs::read_to_string(&arguments).unwrap(), format!("watchdog\n--tlsverify\n{NASTY}\n"));
    assert!(run("start"), "it runs already");
    assert_eq!(pid(), first);
    assert!(run("restart"));
    assert_ne!(pid(), first);
    assert!(!std::path::Path::new(&format!("/proc/{first}")).exists());
    assert!(run("stop") && run("stop"), "being stopped already is success");
    assert!(!run("dance"));
}

#[test]
fn scripts_are_posix() {
    for init in [Init::Systemd, Init::Openrc, Init::Folder, Init::None] {
        let service = definition(init, "/usr/local/bin/wharfd", &flags(), &environment());
        for verb in [Verb::Keep, Verb::Start, Verb::Restart] {
            let script = format!(
                "fail() {{ {}; }}\n{}{}{}",
                log(init),
                activate(init, Some(&service), verb),
                reload(init),
                remove(init)
            );
            assert!(Command::new("sh").args(["-n", "-c", &script]).status().unwrap().success(), "{script}");
        }
    }
}
