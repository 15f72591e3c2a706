//! docker-machine's words, where scripts match on them, and its exit codes.

use std::process::ExitCode;

use super::Typed;
use crate::error::{Error, Kind};

pub(super) const NO_NAME: &str = "Error: No machine name specified";
pub(super) const NO_NAMES: &str = "Error: Expected to get one or more machine names as arguments";
pub(super) const NO_DEFAULT: &str = "Error: No machine name(s) specified and no \"default\" machine exists";
pub(super) const INVALID: &str = "Invalid hostname specified. Allowed hostname chars are: 0-9a-zA-Z . -";
pub(super) const EXTRA: &str = "Invalid command line. Found extra arguments";
pub(super) const ALREADY_EXISTS: &str = "already exists";
pub(super) const NOT_RUNNING: &str = "Host is not running";

/// A command that is none.
pub(super) fn unknown(command: &str) -> String {
    format!("docker-machine: '{command}' is not a docker-machine command. See 'docker-machine --help'.")
}

/// A machine that is not there.
pub(super) fn missing(name: &str) -> String {
    format!(
        "Docker machine {name:?} does not exist. Use \"docker-machine ls\" to list machines. Use \"docker-machine create\" to add a new one."
    )
}

/// The question before a removal.
pub(crate) fn asks(names: &str) -> String {
    format!(
        "About to remove {names}\nWARNING: This action will delete both local reference and remote instance.\nAre you sure? (y/n): "
    )
}

/// An error as docker-machine would print it: its message last, alone on its line.
pub(crate) fn says(error: &Error, machine: Option<&str>) -> String {
    if let Some(status) = error.status() {
        return format!("exit status {status}\n");
    }
    let machine = machine.map(|name| format!("{name}: ")).unwrap_or_default();
    let mut text: String = error.facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    text.extend(error.causes.iter().map(|cause| format!("because: {cause}\n")));
    text + &format!("{machine}{}\n", error.message)
}

/// The program's version: of the last docker-machine, whose commands these are, and our own.
pub(crate) fn version() -> String {
    format!("docker-machine version 0.16.2, build wharf-{}\n", env!("CARGO_PKG_VERSION"))
}

/// What columns `ls` has.
pub(crate) const COLUMNS: &str = "table {{.Name}}\t{{.Active}}\t{{.DriverName}}\t{{.State}}\t{{.URL}}\t{{.Swarm}}\t{{.DockerVersion}}\t{{.Error}}";
/// Said after a start.
pub(crate) const NEW_ADDRESSES: &str =
    "Started machines may have new IP addresses. You may need to re-run the `docker-machine env` command.";

/// 3 where a check before a create refused it, 1 for everything else.
pub(crate) fn code(typed: &Typed, error: &Error) -> ExitCode {
    let before =
        typed.command == "create" && matches!(error.kind, Kind::Refused | Kind::NotAllowed | Kind::Quota);
    ExitCode::from(if before { 3 } else { 1 })
}
