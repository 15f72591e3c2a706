//! The programs under test: what the runner built, or what is built now.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The agent as one static executable.
///
/// # Panics
/// When it cannot be built.
pub fn static_agent() -> &'static Path {
    static AGENT: OnceLock<PathBuf> = OnceLock::new();
    AGENT.get_or_init(|| {
        given("WHARF_TEST_AGENT").unwrap_or_else(|| last_line("runtime-agent/build.sh", &["--dev"]))
    })
}

/// The program that a person types.
///
/// # Panics
/// When it cannot be built.
pub fn wharf_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| given("WHARF_TEST_WHARF").unwrap_or_else(build_wharf))
}

fn given(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' folder has a parent")
}

fn last_line(script: &str, arguments: &[&str]) -> PathBuf {
    let output = Command::new(root().join(script)).args(arguments).output().expect("the build script starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{said}", output.status);
    let printed = String::from_utf8_lossy(&output.stdout);
    PathBuf::from(printed.lines().last().expect("a build script prints its result").to_owned())
}

fn build_wharf() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "wharf", "--message-format=json"])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8_lossy(&built.stdout);
    let executable = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let executable =
        executable.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    executable.expect("cargo says where the program is")
}
