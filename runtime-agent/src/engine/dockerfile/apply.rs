//! Instructions that only change an image's configuration: in a build, and as `commit --change` and `import --change`.

use super::expand::{self, Lookup};
use super::health::go_duration;
use super::{CommandLine, Instruction, Refused};
use crate::engine::containers::signal;
use crate::engine::images::configuration::{Config, Empty, Healthcheck};

/// A configuration that instructions are applied to.
pub(crate) struct Target<'a> {
    pub(crate) config: &'a mut Config,
    pub(crate) escape: char,
    /// Whether a `CMD` was applied: an `ENTRYPOINT` takes away one that came from elsewhere.
    pub(crate) has_command: &'a mut bool,
    /// What variables are worth.
    pub(crate) lookup: Lookup<'a>,
}

/// Applies an instruction, and says how the history tells it; `None` when it is not one of these.
pub(crate) fn apply(target: &mut Target<'_>, instruction: &Instruction) -> Result<Option<String>, Refused> {
    Ok(Some(match instruction {
        Instruction::Env(pairs) => {
            let pairs = target.pairs("ENV", pairs)?;
            pairs.iter().for_each(|(key, value)| set_variable(&mut target.config.env, key, value));
            shown("ENV", &pairs)
        }
        Instruction::Label(pairs) => {
            let pairs = target.pairs("LABEL", pairs)?;
            target.config.labels.get_or_insert_default().extend(pairs.iter().cloned());
            shown("LABEL", &pairs)
        }
        Instruction::Expose(ports) => target.expose(ports)?,
        Instruction::User(user) => {
            target.config.user = target.expanded(user)?;
            format!("USER {}", target.config.user)
        }
        Instruction::StopSignal(name) => {
            let name = target.expanded(name)?;
            signal::parse(&name).map_err(|error| error.to_string())?;
            target.config.stop_signal.clone_from(&name);
            format!("STOPSIGNAL {name}")
        }
        Instruction::Volume(volumes) => target.volume(volumes)?,
        Instruction::WorkDir(path) => {
            target.config.working_dir = working_dir(&target.config.working_dir, &target.expanded(path)?)?;
            format!("WORKDIR {}", target.config.working_dir)
        }
        Instruction::Healthcheck(check) => {
            target.config.healthcheck = Some(check.clone());
            shown_check(check)
        }
        Instruction::Shell(words) => {
            target.config.shell = Some(words.clone());
            format!("SHELL [{}]", words.join(" "))
        }
        Instruction::OnBuild(trigger) => {
            target.config.on_build.get_or_insert_default().push(trigger.clone());
            format!("ONBUILD {trigger}")
        }
        Instruction::Cmd(line) => target.command(line),
        Instruction::Entrypoint(line) => target.entrypoint(line),
        _ => return Ok(None),
    }))
}

/// What a command line runs.
pub(crate) fn command_words(config: &Config, line: &CommandLine) -> Vec<String> {
    let mut words = if line.for_shell && !line.words.is_empty() { shell(config) } else { Vec::new() };
    words.extend(line.words.iter().cloned());
    words
}

/// What runs lines that are no lists.
pub(crate) fn shell(config: &Config) -> Vec<String> {
    let own = config.shell.clone().filter(|shell| !shell.is_empty());
    own.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()])
}

impl Target<'_> {
    fn expanded(&self, text: &str) -> Result<String, Refused> {
        expand::word(text, self.escape, self.lookup)
    }

    fn pairs(&self, instruction: &str, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, Refused> {
        let pair = |(key, value): &(String, String)| match self.expanded(key)? {
            key if key.is_empty() => Err(format!("{instruction} names can not be blank")),
            key => Ok((key, self.expanded(value)?)),
        };
        pairs.iter().map(pair).collect()
    }

    /// Words with blanks are several ports; `8000-8002/udp` are three.
    fn expose(&mut self, texts: &[String]) -> Result<String, Refused> {
        let mut words = Vec::new();
        for text in texts {
            words.extend(expand::split(text, self.escape, self.lookup)?);
        }
        let mut exposed = Vec::new();
        for word in &words {
            exposed.extend(ports(word)?);
        }
        self.config.exposed_ports.extend(exposed.into_iter().map(|port| (port, Empty {})));
        Ok(format!("EXPOSE {}", words.join(" ")))
    }

    fn volume(&mut self, paths: &[String]) -> Result<String, Refused> {
        let paths = paths.iter().map(|path| self.expanded(path)).collect::<Result<Vec<_>, _>>()?;
        if paths.iter().any(String::is_empty) {
            return Err("VOLUME specified can not be an empty string".to_owned());
        }
        self.config.volumes.extend(paths.iter().map(|path| (path.clone(), Empty {})));
        Ok(format!("VOLUME [{}]", paths.join(" ")))
    }

    fn command(&mut self, line: &CommandLine) -> String {
        let words = command_words(self.config, line);
        *self.has_command |= !line.words.is_empty();
        let comment = format!("CMD {}", quoted_list(&words));
        self.config.cmd = Some(words);
        comment
    }

    fn entrypoint(&mut self, line: &CommandLine) -> String {
        let words = command_words(self.config, line);
        let comment = format!("ENTRYPOINT {}", quoted_list(&words));
        self.config.entrypoint = Some(words).filter(|words| !words.is_empty());
        if !*self.has_command {
            self.config.cmd = None;
        }
        comment
    }
}

fn set_variable(env: &mut Vec<String>, key: &str, value: &str) {
    let entry = format!("{key}={value}");
    match env.iter_mut().find(|known| known.split('=').next() == Some(key)) {
        Some(known) => *known = entry,
        None => env.push(entry),
    }
}

/// `80`, `53/udp`, `8000-8002`: each port with its protocol.
fn ports(text: &str) -> Result<Vec<String>, Refused> {
    let invalid = || format!("invalid containerPort: {text}");
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number > 0).ok_or_else(invalid);
    let (first, last) = (number(first)?, number(last)?);
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") || first > last {
        return Err(invalid());
    }
    Ok((first..=last).map(|number| format!("{number}/{protocol}")).collect())
}

/// A relative one starts from the one before.
fn working_dir(before: &str, path: &str) -> Result<String, Refused> {
    match path {
        "" => Err("cannot normalize nothing".to_owned()),
        path if path.starts_with('/') => Ok(path.to_owned()),
        path => Ok(super::clean(&format!("/{before}/{path}"))),
    }
}

/// As Go prints the structure that it keeps a check in.
fn shown_check(check: &Healthcheck) -> String {
    let mut times = vec![check.interval, check.timeout, check.start_period];
    times.extend(Some(check.start_interval).filter(|interval| *interval != 0));
    let times: String = times.into_iter().map(|time| format!(" {:?}", go_duration(time))).collect();
    let retries = u8::try_from(check.retries).unwrap_or(u8::MAX);
    format!("HEALTHCHECK &{{{}{times} '\\x{retries:02x}'}}", quoted_list(&check.test))
}

fn shown(instruction: &str, pairs: &[(String, String)]) -> String {
    let pairs: String = pairs.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    format!("{instruction}{pairs}")
}

/// As Go's `%q` prints a list.
fn quoted_list(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}").replace("\\'", "'")).collect();
    format!("[{}]", words.join(" "))
}
