//! What the program is, as data, for whoever documents it: its grammar, exit codes, variables and fleet files. The
//! book's reference is made of this, so that it cannot say anything else than the program does.

use serde_json::Value;
use wharf_driver::Takes;
use wharf_fleet::SchemaOption;

use crate::error::{CODES, usual_hint};
use crate::settings::{self, Entry};

/// The whole command line, with the flags of these drivers.
#[must_use]
pub fn grammar(drivers: &[Entry]) -> clap::Command {
    crate::args::command(drivers)
}

/// One exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: u8,
    /// What it means.
    pub meaning: &'static str,
    /// What to do where the error itself does not know better; nothing after success.
    pub hint: &'static str,
}

/// Every exit code, in order.
pub fn exit_codes() -> Vec<Code> {
    let failed =
        CODES.iter().map(|(kind, meaning)| Code { code: kind.exit_code(), meaning, hint: usual_hint(*kind) });
    std::iter::once(Code { code: 0, meaning: "done", hint: "" }).chain(failed).collect()
}

/// The JSON Schema of fleet files, with the options of these drivers.
#[must_use]
pub fn fleet_schema(drivers: &[Entry]) -> Value {
    let names: Vec<String> = drivers.iter().map(|entry| entry.about().name.to_owned()).collect();
    let options: Vec<SchemaOption> = drivers
        .iter()
        .flat_map(|entry| {
            let driver = entry.about().name;
            let shared = entry.settings().iter().filter(|setting| !setting.takes.is_personal());
            shared.map(move |setting| SchemaOption {
                name: settings::key(setting, driver).to_owned(),
                driver: driver.to_owned(),
                help: setting.help.to_owned(),
                many: matches!(setting.takes, Takes::List(_) | Takes::Paths(_)),
                switch: setting.takes == Takes::Switch,
            })
        })
        .collect();
    wharf_fleet::schema(&names, &options)
}

/// A variable that the program itself reads; those of drivers stand with their settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it decides.
    pub what: &'static str,
}

const fn variable(name: &'static str, what: &'static str) -> Variable {
    Variable { name, what }
}

/// Every variable that the program itself reads, in the order of their names. A flag counts before its variable, and a
/// variable before the configuration file.
#[rustfmt::skip]
pub const VARIABLES: &[Variable] = &[
    variable("DBUS_SESSION_BUS_ADDRESS", "where the Secret Service is asked for; without it and its socket there is no keyring"),
    variable("DOCKER_CONFIG", "the docker client's folder, in which contexts are written; `~/.docker` without it"),
    variable("DOCKER_CONTEXT", "`active` and `doctor`: what the docker client in this terminal talks to"),
    variable("DOCKER_HOST", "the same; it counts before a context"),
    variable("GITHUB_ACTIONS", "each machine's lines fold together, as GitHub's logs do"),
    variable("GITLAB_CI", "the same, as GitLab's logs do"),
    variable("LOCALAPPDATA", "on Windows: the folder that machines are kept below"),
    variable("LOGNAME", "who this is, where `USER` does not say"),
    variable("MACHINE_STORAGE_PATH", "`import`: where docker-machine kept its machines"),
    variable("NO_COLOR", "no colours"),
    variable("NO_PROXY", "`env --no-proxy`: what is added to; `no_proxy` counts first"),
    variable("PATH", "where `ssh`, `scp` and `docker` are looked for"),
    variable("PSModulePath", "`env` without `--shell`: PowerShell sets it"),
    variable("SHELL", "`env` and `completions` without a shell's name"),
    variable("SSH_AUTH_SOCK", "the agent whose keys sign in to hosts that exist and to jump hosts"),
    variable("TERM", "`dumb` means no colours"),
    variable("USER", "who this is, in locks and certificates"),
    variable("WHARF_AGENT", "the agent's executable, as `--agent`"),
    variable("WHARF_AUTHORITY", "the fingerprint of the authority that a shared store must have, for computers that have not seen it"),
    variable("WHARF_CACHE", "where images of local machines are kept; the platform's cache folder without it"),
    variable("WHARF_CLOUD", "the cloud that machines are made in, as `--cloud`"),
    variable("WHARF_COMPLETE", "set by shells that complete a command line"),
    variable("WHARF_CONFIG", "the configuration file, as `--config`"),
    variable("WHARF_DEBUG", "say every step, as `--debug`"),
    variable("WHARF_DRIVER", "the driver, as `--driver`"),
    variable("WHARF_GUEST", "the folder with the guest image of local machines"),
    variable("WHARF_HOME", "the folder that machines are kept in, as `--store FOLDER`"),
    variable("WHARF_IDENTITY", "who you are to a shared store with recipients, as `--identity`"),
    variable("WHARF_KEYRING", "where private keys are kept, as `--keyring`"),
    variable("WHARF_LOCK_TIME", "a shared store: how long a lock is good after its holder was last heard of; 30 s without it"),
    variable("WHARF_LOCK_WAIT", "how long a command waits for a lock before it ends with 9; a minute without it"),
    variable("WHARF_PASSPHRASE_FILE", "a file whose first line encrypts private keys that are files, those in a shared store without recipients, and opens a locked identity"),
    variable("WHARF_STORE", "the place that machines are kept in, as `--store`"),
    variable("WHARF_TIMEOUT", "how long a command may take, as `--timeout`"),
    variable("XDG_CACHE_HOME", "where the cache folder is, on Linux"),
    variable("XDG_CONFIG_HOME", "where the configuration is, on Linux"),
    variable("XDG_DATA_HOME", "where the folder of machines is, on Linux"),
    variable("XDG_RUNTIME_DIR", "where the session's bus is, for the keyring"),
    variable("no_proxy", "`env --no-proxy`: what is added to"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_says_every_code() {
        let help = grammar(&crate::drivers::all()).render_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for Code { code, meaning, hint } in exit_codes() {
            // One is broken over two lines, beside other columns.
            let front = meaning.split_once(" anything").map_or(meaning, |(front, _)| front);
            let said = format!("{code} {front}").replace(", or ", " or ");
            assert!(help.contains(&said), "`{said}`: {help}");
            assert!(code == 0 || !hint.is_empty(), "{code}");
        }
    }
}
