//! Running the OCI runtime, ours or any other with runc's command line.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::stdio::Ends;
use crate::runtime::error::Doing as _;
use crate::runtime::protocol::Setup;
use crate::runtime::{Error, Result};

/// A call of the runtime that is being prepared.
#[derive(Debug)]
pub(super) struct Call {
    command: Command,
    log: PathBuf,
}

impl Call {
    /// `name` tells calls at the same time apart.
    pub(super) fn new(setup: &Setup, name: &str, verb: &str) -> Self {
        let log = setup.state.join(format!("{name}.log"));
        let mut command = match &setup.runtime {
            Some(other) => Command::new(other),
            None => {
                // The sealed copy of the program that this shim was executed from.
                let mut own = Command::new("/proc/self/exe");
                own.arg("runtime");
                own
            }
        };
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.arg("--root").arg(&setup.runtime_root).arg("--log").arg(&log).args([
            "--log-format",
            "json",
            verb,
        ]);
        Self { command, log }
    }

    pub(super) fn option(mut self, name: &str, value: &Path) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    pub(super) fn argument(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub(super) fn stdio(mut self, ends: Ends) -> Self {
        self.command.stdin(ends.stdin).stdout(ends.stdout).stderr(ends.stderr);
        self
    }

    /// Starts it; the ends of its stdio that are the process's are closed here.
    pub(super) fn spawn(mut self) -> Result<(Child, Outcome)> {
        let child = self.command.spawn().doing(|| "executing the OCI runtime".to_owned())?;
        Ok((child, Outcome { log: self.log }))
    }

    /// Runs it to its end.
    pub(super) fn run(self) -> Result<()> {
        let (mut child, outcome) = self.spawn()?;
        let status = child.wait().doing(|| "waiting for the OCI runtime".to_owned())?;
        outcome.of(status.success())
    }
}

/// Knows what a call that failed has to say.
#[derive(Debug)]
pub(super) struct Outcome {
    log: PathBuf,
}

impl Outcome {
    pub(super) fn of(self, success: bool) -> Result<()> {
        let text =
            if success { String::new() } else { std::fs::read_to_string(&self.log).unwrap_or_default() };
        // Only the runtime's failures leave anything in it that somebody reads.
        let _ = std::fs::remove_file(&self.log);
        if success { Ok(()) } else { Err(explain(&text)) }
    }
}

/// The last error in a runtime's log.
fn explain(log: &str) -> Error {
    let last = log.lines().rev().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["level"] == "error").then(|| line["msg"].as_str().map(str::to_owned))?
    });
    let message = last.unwrap_or_else(|| format!("the OCI runtime failed without a word: {}", log.trim()));
    let program = message.contains("exec: \"");
    if program && (message.contains("not found in $PATH") || message.contains("no such file or directory")) {
        Error::Executable(message)
    } else if program && (message.contains("permission denied") || message.contains("is a directory")) {
        Error::Permission(message)
    } else {
        Error::Runtime(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtimes_log_tells_why_it_failed() {
        let line = |msg: &str| serde_json::json!({ "level": "error", "msg": msg }).to_string();
        let log = format!("detail\n{}\n", line("exec: \"x\": executable file not found in $PATH"));
        assert!(matches!(explain(&log), Error::Executable(m) if m.ends_with("$PATH")));
        assert!(matches!(explain(&line("exec: \"/x\": permission denied")), Error::Permission(_)));
        assert_eq!(explain(&line("no cgroups")), Error::Runtime("no cgroups".into()));
        assert!(matches!(explain("thread panicked"), Error::Runtime(m) if m.contains("panicked")));
    }
}
