//! One script, one answer: what the host is and has.

use std::time::{Duration, Instant};

use wharf_ssh::{Command, Session};

use crate::remote::quote;
use crate::{Error, Facts};

/// Asks the host, and asks again while cloud-init is at work on it.
pub(crate) async fn probe(session: &Session, port: u16, deadline: Instant) -> Result<Facts, Error> {
    loop {
        let facts = ask(session, port, deadline).await?;
        if !facts.cloud_init_running {
            return Ok(facts);
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(Error::Deadline("cloud-init"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(session: &Session, port: u16, deadline: Instant) -> Result<Facts, Error> {
    let command = Command::new(line(port)).input(SCRIPT.as_bytes());
    let output = session.execute(command, deadline).await?;
    let said = output.text();
    serde_json::from_str(said.trim()).map_err(|error| Error::Answer {
        reason: error.to_string(),
        said: format!("{} {}", said.chars().take(300).collect::<String>(), output.complaint()),
    })
}

/// The script comes on standard input; what reads it is root, where the user can become that.
fn line(port: u16) -> String {
    let as_root = format!(
        r#"user=$(id -un)
if [ "$(id -u)" = 0 ]; then exec sh -s root '' {port} "$user"; fi
if ! command -v sudo >/dev/null; then said='there is no sudo'
elif said=$(sudo -n true 2>&1); then exec sudo -n sh -s sudo '' {port} "$user"; fi
if command -v doas >/dev/null && doas -n true 2>/dev/null; then exec doas -n sh -s doas '' {port} "$user"; fi
exec sh -s none "$said" {port} "$user""#
    );
    format!("sh -c {}", quote(&as_root))
}

const SCRIPT: &str = include_str!("probe.sh");
const PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::{Access, Init};

    /// The script is the real one; the host is the one that runs this test.
    fn ask_this_host(shell: &[&str]) -> Facts {
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-s", "none", "sudo: a \"password\" is required\nor \\ so", "9", "ann"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(SCRIPT.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn the_answer_is_one_json_object() {
        let facts = ask_this_host(&["sh"]);
        assert_eq!(facts.system, "Linux");
        assert_eq!(facts.user, "ann");
        assert_eq!(facts.access, Access::None);
        assert_eq!(facts.refusal, "sudo: a \"password\" is required\nor \\ so");
        assert!(facts.clock > 1_700_000_000);
        assert!(facts.data.free > 0);
        assert!(!facts.port_taken);
        if facts.init != Init::Folder {
            assert_eq!(facts.folders.len(), 3);
        }
    }

    #[test]
    fn a_listening_port_and_its_owner_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let output =
            Command::new("sh").args(["-c", SCRIPT, "sh", "root", "", &port, "root"]).output().unwrap();
        let facts: Facts = serde_json::from_slice(&output.stdout).unwrap();
        assert!(facts.port_taken);
        assert!(!facts.port_owner.is_empty());
    }
}
