//! Completion in shells: what may come next, and the script that a real bash asks it by.

use std::process::Command;

use crate::sandbox::Sandbox;

/// What fish would be offered behind these words.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let line = [&["--", "wharf"], words].concat();
    let ended = sandbox.run(&line);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended}");
    ended.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn names_of_what_there_is_are_offered() {
    let sandbox = Sandbox::with(&["web1", "web2", "db"]);
    let added = sandbox.run(&["cloud", "add", "mem://stamp1", "--memory-secret", "1pmats"]);
    assert_eq!(added.code, 0, "{added}");
    let sandbox = sandbox.env("WHARF_COMPLETE", "fish");
    assert_eq!(offered(&sandbox, &["stop", "w"]), ["web1", "web2"]);
    assert_eq!(offered(&sandbox, &["env", "d"]), ["db"]);
    assert_eq!(offered(&sandbox, &["rm", "web1", "d"]), ["db"], "several are named");
    assert_eq!(offered(&sandbox, &["create", "--cloud", ""]), ["stamp1"]);
    assert_eq!(offered(&sandbox, &["cloud", "rm", "s"]), ["stamp1"]);
    assert_eq!(offered(&sandbox, &["create", "w"]), [""; 0], "a new machine has no name yet");
    assert_eq!(offered(&sandbox, &["prov"]), ["provision"]);
    assert_eq!(offered(&sandbox, &["create", "--memory-s"]), ["--memory-size", "--memory-secret"]);
}

#[test]
fn every_shell_has_its_script() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.run(&["completions", shell]);
        assert_eq!(script.code, 0, "{script}");
        assert!(script.stdout.contains("WHARF_COMPLETE") && script.stdout.contains("bin/wharf"), "{script}");
    }
    assert_eq!(sandbox.run(&["completions", "nu"]).code, 2);
}

#[test]
fn a_real_bash_is_answered() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("machines/web1")).unwrap();
    let script = r#"
        source <("$WHARF" completions bash)
        COMP_WORDS=(wharf stop w) COMP_CWORD=2 COMP_TYPE=9
        complete -p wharf >/dev/null
        function=$(complete -p wharf | sed 's/.*-F \([^ ]*\).*/\1/')
        "$function" wharf w stop
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args(["--norc", "-c", script])
        .env("WHARF", env!("CARGO_BIN_EXE_wharf"))
        .env("WHARF_HOME", home.path())
        .env("HOME", home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "web1", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_manual_has_a_page_a_verb() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["man-pages", "man"]).code, 0);
    for page in ["wharf.1", "wharf-create.1", "wharf-cloud-add.1"] {
        let text = std::fs::read_to_string(sandbox.home().join("man").join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
}
