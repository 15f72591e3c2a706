//! Scripts on the host: as root, whoever signed in, and whatever their login shell is.

use std::time::Instant;

use wharf_ssh::{Command, Output, Session};

use crate::{Access, Error};

/// Quotes a word for a POSIX shell.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The command line that runs a script as root. The script can be seen by others on the host: no secrets.
pub(crate) fn as_root(access: Access, script: &str) -> String {
    let prefix = match access {
        Access::Root | Access::None => "",
        Access::Sudo => "sudo -n ",
        Access::Doas => "doas -n ",
    };
    format!("{prefix}sh -c {}", quote(script))
}

/// Runs a script as root; one that fails is an error with what it said.
pub(crate) async fn run(
    session: &Session,
    step: &'static str,
    command: Command,
    deadline: Instant,
) -> Result<Output, Error> {
    let output = session.execute(command, deadline).await?;
    tracing::debug!(
        step,
        status = output.status,
        stderr = output.complaint(),
        "a script has ended on the host"
    );
    if output.success() {
        return Ok(output);
    }
    Err(failure(step, &output))
}

/// Says what a failed script means.
fn failure(step: &'static str, output: &Output) -> Error {
    let said = output.complaint();
    if let Some((_, log)) = said.split_once(LOG) {
        return Error::AgentFailed { log: log.trim().to_owned() };
    }
    if said.contains("No space left on device") {
        return Error::DiskFull { path: "the agent's folder".to_owned(), free: 0, needed: 0 };
    }
    let said = if said.is_empty() { format!("exit status {}", output.status) } else { said };
    Error::Step { step, said }
}

/// Stands before the agent's log in what a script says.
pub(crate) const LOG: &str = "wharf: the agent's log:";

#[cfg(test)]
mod tests {
    use super::*;

    fn output(stderr: &str) -> Output {
        Output { status: 3, stdout: Vec::new(), stderr: stderr.as_bytes().to_vec() }
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(as_root(Access::Sudo, "echo 'a b'"), r"sudo -n sh -c 'echo '\''a b'\'''");
    }

    #[test]
    fn failures_are_told_apart() {
        let kind = |stderr: &str| failure("installing", &output(stderr));
        assert!(matches!(kind("gzip: stdout: No space left on device"), Error::DiskFull { .. }));
        assert!(matches!(kind(""), Error::Step { said, .. } if said == "exit status 3"));
        assert!(
            matches!(kind("x\nwharf: the agent's log:\nbad flag\n"), Error::AgentFailed { log } if log == "bad flag")
        );
    }
}
