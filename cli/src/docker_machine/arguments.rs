//! From docker-machine's command line to ours.
//!
//! Its flags follow Go's rules: one dash is as good as two, and flags of the program stand before the command.

use std::ffi::OsString;

use super::words;
use crate::args;
use crate::settings::Entry;

/// A command line that was typed for docker-machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    /// The command.
    pub(crate) command: String,
    /// What stands behind it that is no flag: machines' names, mostly.
    pub(crate) names: Vec<String>,
    /// Flags, with two dashes each.
    pub(crate) flags: Vec<String>,
    /// Whether none was named, so that `default` is meant.
    pub(crate) means_default: bool,
    /// For our grammar.
    pub(crate) line: Vec<OsString>,
    /// The flags of `create` that take no word, as our grammar has them.
    switches: Vec<String>,
}

/// Every command of docker-machine that is here.
const COMMANDS: &[&str] = &[
    "active",
    "config",
    "create",
    "env",
    "help",
    "inspect",
    "ip",
    "kill",
    "ls",
    "mount",
    "provision",
    "regenerate-certs",
    "restart",
    "rm",
    "scp",
    "ssh",
    "start",
    "status",
    "stop",
    "upgrade",
    "url",
    "version",
];
/// The program's own flags that take a word and mean nothing here: keys and certificates have places of their own.
const FORGOTTEN: &[&str] = &[
    "--tls-ca-cert",
    "--tls-ca-key",
    "--tls-client-cert",
    "--tls-client-key",
    "--github-api-token",
    "--bugsnag-api-token",
];
/// Commands of machines that are there; given none, they mean `default`.
pub(super) const OF_A_MACHINE: &[&str] = &[
    "config",
    "env",
    "inspect",
    "ip",
    "kill",
    "provision",
    "regenerate-certs",
    "restart",
    "ssh",
    "start",
    "status",
    "stop",
    "upgrade",
    "url",
];
/// Switches of `create` that our grammar does not have: those that are refused in words, and those that it gets late.
const DEAD_SWITCHES: &[&str] = &["--swarm", "--swarm-master", "--swarm-experimental", "--help", "-h"];
/// Their flags that take a word.
const WITH_WORD: &[&str] =
    &["--shell", "--format", "-f", "--filter", "--timeout", "-t", "--driver", "-d", "--storage-path", "-s"];

impl Typed {
    /// Reads `args`, the first of which is the program's name.
    pub(crate) fn read(args: &[OsString], drivers: &[Entry]) -> Self {
        let words: Vec<String> =
            args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let at = command_at(&words);
        let mut typed = Self::default();
        typed.line.push(args.first().cloned().unwrap_or_else(|| "docker-machine".into()));
        typed.line.extend(global(&words[..at]).into_iter().map(OsString::from));
        let Some((command, rest)) = words[at..].split_first() else { return typed };
        typed.command.clone_from(command);
        if command == "create" {
            typed.switches = switches(drivers);
        }
        if command == "help" {
            typed.line.extend(rest.first().map(OsString::from));
            typed.line.push("--help".into());
            return typed;
        }
        typed.line.push(command.into());
        if command == "ssh" {
            // Whatever stands behind the name is the machine's.
            typed.names.extend(rest.first().cloned());
            typed.line.extend(rest.iter().map(OsString::from));
        } else {
            let behind_command = typed.line.len();
            typed.take(rest);
            typed.name_the_mounted(behind_command);
        }
        if typed.names.is_empty() && !typed.asks_for_help() && OF_A_MACHINE.contains(&command.as_str()) {
            typed.means_default = true;
            typed.names.push("default".to_owned());
            typed.line.push("default".into());
        }
        typed
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, flags: &[&str]) -> bool {
        self.flags.iter().any(|flag| flags.contains(&flag.as_str()))
    }

    /// What is wrong with the line itself, whatever machines there are.
    pub(crate) fn mistake(&self) -> Option<String> {
        match self.command.as_str() {
            _ if self.asks_for_help() => None,
            "create" if self.names.iter().all(String::is_empty) => Some(words::NO_NAME.to_owned()),
            "rm" if self.names.is_empty() => Some(words::NO_NAMES.to_owned()),
            command if !command.is_empty() && !COMMANDS.contains(&command) => Some(words::unknown(command)),
            _ => None,
        }
    }

    /// Whether it is the program's own version that is asked for.
    pub(crate) fn asks_for_version(&self) -> bool {
        let flag = self.command.is_empty() && self.line.iter().any(|word| word == "--version");
        flag || self.command == "version" && self.names.is_empty() && self.flags.is_empty()
    }

    fn asks_for_help(&self) -> bool {
        self.has(&["--help", "-h"]) || self.has(&["--unset", "-u"]) && self.command == "env"
    }

    /// A folder without a machine before it is on `default`. What is taken away is known by where it is.
    fn name_the_mounted(&mut self, from: usize) {
        let Some(path) = self.names.first_mut().filter(|_| self.command == "mount") else { return };
        let takes_away = self.flags.iter().any(|flag| flag == "-u" || flag == "--unmount");
        if takes_away || machine_of(path).is_some() {
            return;
        }
        let whole = format!("default:{path}");
        if let Some(word) = self.line.iter_mut().skip(from).find(|word| **word == **path) {
            *word = OsString::from(&whole);
        }
        *path = whole;
        self.means_default = true;
    }

    fn take(&mut self, rest: &[String]) {
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') || word == "-" {
                self.names.push(word.clone());
                self.line.push(word.into());
                continue;
            }
            let flag = two_dashes(word);
            let own = flag.split('=').next().unwrap_or(&flag).to_owned();
            let takes = self.takes_word(&own) && !flag.contains('=');
            self.line.push(flag.clone().into());
            self.flags.push(own);
            if takes && let Some(value) = rest.next() {
                self.line.push(value.into());
            }
        }
    }

    /// Drivers' flags take a word unless they are switches, which our grammar knows; so does every flag of `create`.
    fn takes_word(&self, flag: &str) -> bool {
        match self.command.as_str() {
            "create" => !self.switches.iter().any(|switch| switch == flag) && !DEAD_SWITCHES.contains(&flag),
            // The same letters force there, or copy what differs.
            "rm" | "regenerate-certs" | "scp" => false,
            _ => WITH_WORD.contains(&flag),
        }
    }
}

/// The machine of `[USER@]MACHINE:PATH`.
pub(super) fn machine_of(place: &str) -> Option<&str> {
    let (host, _) = place.split_once(':')?;
    let machine = host.rsplit_once('@').map_or(host, |(_, machine)| machine);
    (!machine.is_empty() && !machine.contains('/')).then_some(machine)
}

/// The flags of `create` that take no word, with their aliases and one letter, as the grammar says.
fn switches(drivers: &[Entry]) -> Vec<String> {
    let whole = args::command(drivers);
    let Some(create) = whole.find_subcommand("create") else { return Vec::new() };
    let mut switches = Vec::new();
    for arg in
        create.get_arguments().chain(whole.get_arguments()).filter(|arg| !arg.get_action().takes_values())
    {
        let long = arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default());
        switches.extend(long.map(|long| format!("--{long}")));
        switches.extend(arg.get_short().map(|short| format!("-{short}")));
    }
    switches
}

/// Where the command is, behind the program's own flags.
fn command_at(words: &[String]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        let flag = two_dashes(word);
        let takes = FORGOTTEN.contains(&flag.as_str()) || matches!(flag.as_str(), "--storage-path" | "-s");
        at += 1 + usize::from(takes);
    }
    at.min(words.len())
}

/// The program's own flags that mean something here.
fn global(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let flag = two_dashes(word);
        let name = flag.split('=').next().unwrap_or(&flag);
        match name {
            "--native-ssh" => {}
            name if FORGOTTEN.contains(&name) => {
                if !flag.contains('=') {
                    words.next();
                }
            }
            "-v" => kept.push("--version".to_owned()),
            "--storage-path" | "-s" if !flag.contains('=') => {
                kept.push("--store".to_owned());
                kept.extend(words.next().cloned());
            }
            _ => kept.push(flag),
        }
    }
    kept
}

/// Go takes one dash before a long name, too.
fn two_dashes(word: &str) -> String {
    let long =
        word.len() > 2 && word.starts_with('-') && !word.starts_with("--") && !word[1..].starts_with('=');
    if long && !word[1..2].starts_with(|c: char| c.is_ascii_digit()) && word.as_bytes().get(2) != Some(&b'=')
    {
        format!("-{word}")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Vec<String>, Vec<String>) {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let typed = Typed::read(&args, &crate::drivers::all());
        let line = typed.line.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        (line, typed.names)
    }

    #[test]
    fn lines_are_read_by_gos_rules() {
        for (typed, line, names) in [
            ("dm -s /tmp/store --native-ssh ls -q", "--store /tmp/store ls -q", ""),
            ("dm --tls-ca-cert a --debug ip web", "--debug ip web", "web"),
            ("dm create -d none -url none web", "create -d none --url none web", "web"),
            ("dm create --driver=none web extra", "create --driver=none web extra", "web extra"),
            (
                "dm create -d ssh -ssh-accept-new-host-key web",
                "create -d ssh --ssh-accept-new-host-key web",
                "web",
            ),
            ("dm create --no-bootstrap web", "create --no-bootstrap web", "web"),
            ("dm create --swarm-master web", "create --swarm-master web", "web"),
            ("dm create --debug web", "create --debug web", "web"),
            ("dm env --shell fish", "env --shell fish default", "default"),
            ("dm env -u", "env -u", ""),
            ("dm rm -f web db", "rm -f web db", "web db"),
            ("dm ssh web ls -la", "ssh web ls -la", "web"),
            ("dm inspect -f {{.Name}} web", "inspect -f {{.Name}} web", "web"),
            ("dm mount -u web:/srv site", "mount -u web:/srv site", "web:/srv site"),
            ("dm mount mount", "mount default:mount", "default:mount"),
            ("dm mount -unmount site", "mount --unmount site", "site"),
            ("dm -v", "--version", ""),
            ("dm help", "--help", ""),
            ("dm help create", "create --help", ""),
        ] {
            let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(read(typed), (split(line), split(names)), "{typed}");
        }
    }
}
