//! AppArmor: whether this host confines programs by it, and the profile of containers that ask for none.
//!
//! The kernel takes profiles in a form that only AppArmor's own compiler writes: a host without `apparmor_parser` counts
//! as one without AppArmor, as for other engines. The profile has the name that they use, so that clients which ask
//! for it by name find it; one that is loaded already, by whomever, is left as it is.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;

/// What containers get that ask for nothing.
pub(crate) const DEFAULT: &str = "docker-default";
/// No confinement.
pub(crate) const UNCONFINED: &str = "unconfined";

const PROFILE: &str = include_str!("docker-default.apparmor");
const ENABLED: &str = "/sys/module/apparmor/parameters/enabled";
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";
const COMPILERS: [&str; 2] = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"];
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether containers can be confined here.
pub(crate) fn is_on() -> bool {
    std::fs::read(ENABLED).is_ok_and(|text| text.starts_with(b"Y"))
        && Path::new(LOADED).exists()
        && compiler().is_some()
}

/// Has the kernel know the default profile.
pub(crate) async fn load_default() -> Result<(), String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let loaded =
        tokio::fs::read_to_string(LOADED).await.map_err(|error| format!("cannot read {LOADED}: {error}"))?;
    if has(&loaded, DEFAULT) {
        return Ok(());
    }
    let compiler = compiler().ok_or("there is no apparmor_parser any more")?;
    let mut child = Command::new(compiler)
        .args(["--replace", "--skip-cache", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot run apparmor_parser: {error}"))?;
    let mut input = child.stdin.take();
    let done = async {
        if let Some(input) = &mut input {
            // One that ends early says why on its own.
            let _ = input.write_all(PROFILE.as_bytes()).await;
        }
        drop(input);
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(PATIENCE, done).await;
    let output = output.map_err(|_| format!("apparmor_parser did not end in {} s", PATIENCE.as_secs()))?;
    let output = output.map_err(|error| format!("cannot run apparmor_parser: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("apparmor_parser: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn compiler() -> Option<PathBuf> {
    COMPILERS.iter().map(PathBuf::from).find(|path| path.exists())
}

/// The kernel's list has a line for each: `docker-default (enforce)`.
fn has(list: &str, name: &str) -> bool {
    list.lines().any(|line| line.rsplit_once(" (").is_some_and(|(loaded, _)| loaded == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_by_its_whole_name() {
        let list = "docker-default-2 (enforce)\n/usr/bin/man (complain)\n";
        assert!(!has(list, DEFAULT) && has(list, "/usr/bin/man"));
        assert!(has("docker-default (enforce)\n", DEFAULT));
    }

    #[test]
    fn the_profile_is_the_one_of_that_name() {
        assert!(PROFILE.contains(&format!("profile {DEFAULT} ")));
    }
}
