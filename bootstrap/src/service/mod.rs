//! The agent as a service: one file a flavour, each with the same three things.
//!
//! `definition` is the text that makes it one, `start` the script lines that bring it up (and up anew), `remove` those
//! that take it away. A start that fails prints the agent's log and leaves nothing running that was not before.

mod openrc;
mod systemd;
mod watchdog;

use crate::remote::quote;
use crate::{Init, Verb};

/// A service definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) path: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) text: String,
    /// Whether something is to be done for it to start at boot.
    pub(crate) at_boot: bool,
}

/// Where the definition is.
pub(crate) const fn path(init: Init) -> &'static str {
    match init {
        Init::Systemd => systemd::PATH,
        Init::Openrc => openrc::PATH,
        Init::Folder => watchdog::BOOT_PATH,
        Init::None => watchdog::PATH,
    }
}

/// What may be done with it.
pub(crate) const fn mode(init: Init) -> &'static str {
    match init {
        Init::Systemd => "644",
        Init::Openrc | Init::Folder | Init::None => "755",
    }
}

/// The definition of the agent at `agent` with these flags, and this in its environment.
pub(crate) fn definition(init: Init, agent: &str, flags: &[String], environment: &[String]) -> Service {
    match init {
        Init::Systemd => Service {
            path: systemd::PATH,
            mode: "644",
            text: systemd::text(agent, flags, environment),
            at_boot: true,
        },
        Init::Openrc => Service {
            path: openrc::PATH,
            mode: "755",
            text: openrc::text(agent, flags, environment),
            at_boot: true,
        },
        Init::Folder | Init::None => Service {
            path: path(init),
            mode: "755",
            text: watchdog::text(agent, flags, environment),
            at_boot: init == Init::Folder,
        },
    }
}

/// Lines of a shell script that set the environment.
fn exports(environment: &[String]) -> String {
    environment.iter().map(|variable| format!("export {}\n", quote(variable))).collect()
}

/// Script lines that install the definition, where there is a new one, and start the agent as `verb` says.
pub(crate) fn activate(init: Init, service: Option<&Service>, verb: Verb) -> String {
    let install = service.map(|service| {
        let folder = service.path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        format!(
            "mkdir -p {folder}\nprintf %s {} >{path}.new\nchmod {} {path}.new\nmv -f {path}.new {path}\n",
            quote(&service.text),
            service.mode,
            path = service.path,
        )
    });
    let lines = match init {
        Init::Systemd => systemd::start(service.is_some(), verb),
        Init::Openrc => openrc::start(service.is_some(), verb),
        Init::Folder | Init::None => watchdog::start(path(init), verb),
    };
    install.unwrap_or_default() + &lines
}

/// Script lines that make a running agent read its certificates now. It watches their files, but not a folder that was
/// removed and made anew.
pub(crate) const fn reload(init: Init) -> &'static str {
    match init {
        Init::Systemd => systemd::RELOAD,
        Init::Openrc => openrc::RELOAD,
        Init::Folder | Init::None => watchdog::RELOAD,
    }
}

/// Script lines that print the end of the agent's log.
pub(crate) const fn log(init: Init) -> &'static str {
    match init {
        Init::Systemd => systemd::LOG,
        Init::Openrc => openrc::LOG,
        Init::Folder | Init::None => watchdog::LOG,
    }
}

/// Script lines that stop the agent and take its service away. What is not there is no failure.
pub(crate) fn remove(init: Init) -> String {
    match init {
        Init::Systemd => systemd::REMOVE.to_owned(),
        Init::Openrc => openrc::REMOVE.to_owned(),
        Init::Folder | Init::None => watchdog::remove(path(init)),
    }
}

#[cfg(test)]
mod tests;
