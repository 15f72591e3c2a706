//! Running what a fleet wants run once a machine has joined it. That it begins stands in the machine's journal before it
//! does, and how it ended after it: one that nobody saw the end of, or that failed, is run again by the next `apply`.
//!
//! The values of variables are in no journal, no event, no log and no command line; on the machine they arrive on standard
//! input before the facts do. In what is shown of a hook's output they are struck out.

use std::fmt::Write as _;
use std::time::Duration;

use wharf_driver::{MachineName, Secret};

use crate::bootstrap::Ran;
use crate::engine::connection::summary;
use crate::engine::tunnel::reach_of;
use crate::engine::work::{Work, interrupted, lost};
use crate::hook::HookSsh;
use crate::journal::{Event, Machine};
use crate::{Call, Error, Hook, HookEnd, HookFacts, HookGiven, HookPlace, Kind, Life, Result, Wharf, What};

impl Wharf {
    /// Runs a hook for a machine, unless it has succeeded already. `here` runs it where that is on this computer.
    ///
    /// # Errors
    /// Of kind hook when it failed or took too long; refused for a machine of another store, unless that is wanted; else
    /// what kept it from being run.
    pub async fn run_hook<F: Future<Output = Result<Ran>>>(
        &self,
        name: &MachineName,
        hook: &Hook,
        given: &HookGiven,
        here: impl FnOnce(Vec<u8>) -> F,
        call: &Call,
    ) -> Result<()> {
        let call = &Call { deadline: hook.patience + SLACK, ..call.clone() };
        let work = Work::existing(self, name, call).await?;
        work.finished()?;
        let machine = work.machine()?;
        if machine.hooks.get(&hook.name) == Some(&HookEnd::Code(0)) {
            return Ok(());
        }
        if machine.owner.store != self.store.id().await? && !given.for_others {
            return Err(not_for_others(name, &hook.name));
        }
        let facts = work.facts(hook, &machine).await?;
        let facts = serde_json::to_vec(&facts).map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
        if hook.on == HookPlace::Machine {
            self.is_more_than_an_engine(&machine)?;
        }
        work.record(Event::Hooking { hook: hook.name.clone() }).await?;
        work.say(What::Doing(format!("running the hook `{}`", hook.name)));
        let ran = match hook.on {
            HookPlace::Here => work.in_time(hook, here(facts)).await,
            HookPlace::Machine => work.on_machine(hook, &machine, given, &facts).await,
        }?;
        let end = ran.as_ref().map_or(HookEnd::TooLong, |ran| HookEnd::Code(ran.status));
        work.record(Event::Hooked { hook: hook.name.clone(), end }).await?;
        match ran {
            Some(ran) if ran.status == 0 => Ok(()),
            ran => Err(failed(hook, ran.as_ref(), given)),
        }
    }
}

impl Work<'_> {
    async fn facts(&self, hook: &Hook, machine: &Machine) -> Result<HookFacts> {
        let summary = summary(machine);
        let reach = reach_of(machine)?;
        let engine = machine.life() == Life::Ready;
        if engine {
            // What the hook finds there must be what opens the engine now.
            self.export().await?;
        }
        let folder = self.wharf.connection_of(machine).await?.certificates;
        let labels = machine.options.labels.iter().filter_map(|label| label.split_once('='));
        Ok(HookFacts {
            version: 1,
            hook: hook.name.clone(),
            again: machine.hooks.contains_key(&hook.name),
            fleet: machine.fleet.clone(),
            name: machine.name.clone(),
            id: machine.id.clone(),
            driver: machine.driver.clone(),
            address: reach.engine_host.clone(),
            url: summary.url.filter(|_| engine),
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            certificates: (engine && hook.on == HookPlace::Here).then_some(folder),
            ssh: HookSsh { host: reach.ssh_host, port: reach.ssh_port, user: reach.ssh_user },
        })
    }

    async fn on_machine(
        &self,
        hook: &Hook,
        machine: &Machine,
        given: &HookGiven,
        facts: &[u8],
    ) -> Result<Option<Ran>> {
        let host = self.wharf.visited(machine, self.call, self.until).await?;
        let (line, input) = (line(hook), input(&given.variables, facts));
        let begun = self.wharf.clock.now();
        let ran = self.in_time(hook, self.wharf.bootstrap.run(&host, Some(&line), &input)).await;
        let ran = ran.map_err(|error| self.explain(error))?;
        // There it was ended by `timeout`.
        let took = self.wharf.clock.now().saturating_duration_since(begun);
        Ok(ran.filter(|ran| took < hook.patience || !matches!(ran.status, 124 | 128 | 137)))
    }

    /// `None` once it takes longer than it may.
    async fn in_time(&self, hook: &Hook, run: impl Future<Output = Result<Ran>>) -> Result<Option<Ran>> {
        // On a machine it is ended there first.
        let grace = if hook.on == HookPlace::Machine { SLACK / 2 } else { Duration::ZERO };
        tokio::select! {
            biased;
            () = self.call.cancel.cancelled() => Err(interrupted()),
            () = self.ledger.lease().ended.cancelled() => Err(lost()),
            ran = run => ran.map(Some),
            () = self.wharf.clock.sleep(hook.patience + grace) => Ok(None),
        }
    }
}

/// The hooks that are still to be run for a machine, and why.
pub(super) fn pending(machine: &Machine, hooks: &[Hook]) -> Vec<(String, String)> {
    let why = |hook: &Hook| {
        let name = &hook.name;
        let why = match machine.hooks.get(name) {
            None => format!("the hook `{name}` has not run"),
            Some(HookEnd::Begun) => format!("the hook `{name}` was cut off"),
            Some(HookEnd::TooLong) => format!("the hook `{name}` took too long"),
            Some(HookEnd::Code(0)) => return None,
            Some(HookEnd::Code(code)) => format!("the hook `{name}` ended with exit code {code}"),
        };
        Some((name.clone(), why))
    };
    hooks.iter().filter_map(why).collect()
}

/// Whoever sends somebody machines must not thereby have something run on their computer.
fn not_for_others(name: &MachineName, hook: &str) -> Error {
    let message =
        format!("machine `{name}` was imported from another store, and the hook `{hook}` would run for it");
    Error::new(Kind::Refused, message).hint("look at what the hook does; --allow-hooks runs it")
}

fn failed(hook: &Hook, ran: Option<&Ran>, given: &HookGiven) -> Error {
    let name = &hook.name;
    let error = match ran {
        Some(ran) => Error::new(Kind::Hook, format!("the hook `{name}` ended with exit code {}", ran.status)),
        None => {
            let seconds = hook.patience.as_secs();
            Error::new(Kind::Hook, format!("the hook `{name}` took longer than {seconds} s, and was ended"))
        }
    };
    let said = ran.map(|ran| tail(ran, &given.variables)).unwrap_or_default();
    let error = if said.is_empty() { error } else { error.fact("the end of its output", said) };
    error.hint("the machine stands; once the hook is mended, `wharf apply` runs it again")
}

/// The end of what it said, without the values that it got.
fn tail(ran: &Ran, variables: &[(String, Secret<String>)]) -> String {
    let mut said = [&ran.stdout, &ran.stderr].map(|out| String::from_utf8_lossy(out).into_owned()).concat();
    // The longest first: one may hold another. Of one with several lines, each line that says anything is a secret, too.
    let whole = variables.iter().map(|(_, value)| value.expose().trim());
    let lines = variables.iter().flat_map(|(_, value)| value.expose().lines()).map(str::trim);
    let mut values: Vec<&str> = whole.chain(lines.filter(|line| line.len() > 3)).collect();
    values.retain(|value| !value.is_empty());
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    for value in values {
        said = said.replace(value, "***");
    }
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Reads the variables from standard input up to an empty line, and leaves the rest to the hook. `timeout` ends it where
/// there is one, since a connection that breaks off ends nothing.
fn line(hook: &Hook) -> String {
    let seconds = hook.patience.as_secs().max(1);
    let script = format!(
        "while IFS= read -r wharf_line && [ -n \"$wharf_line\" ]; do wharf_value=$(printf \"%bx\" \"${{wharf_line#*=}}\"); \
         export \"${{wharf_line%%=*}}=${{wharf_value%x}}\"; done; unset wharf_line wharf_value; \
         if command -v timeout >/dev/null 2>&1; then exec timeout -s KILL {seconds} sh -c \"$0\"; fi; exec sh -c \"$0\""
    );
    format!("sh -c {} {}", quote(&script), quote(&hook.run))
}

/// Each variable on a line of its own, so written that no value ends it.
fn input(variables: &[(String, Secret<String>)], facts: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for (name, value) in variables {
        let _ = write!(text, "{name}=");
        for byte in value.expose().bytes() {
            let _ = write!(text, "\\0{byte:03o}");
        }
        text.push('\n');
    }
    text.push('\n');
    [text.as_bytes(), facts].concat()
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Lines of a hook's output that are shown.
const LINES: usize = 20;
/// What there is beside the hook itself: the lock, signing in, the journal.
const SLACK: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn hook(run: &str) -> Hook {
        Hook {
            name: "register".to_owned(),
            run: run.to_owned(),
            on: HookPlace::Machine,
            env: Vec::new(),
            patience: Duration::from_secs(20),
        }
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, Secret<String>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect()
    }

    /// As sshd has the person's shell run it.
    fn ran(run: &str, given: &[(&str, &str)]) -> Ran {
        let mut shell = Command::new("sh");
        shell.args(["-c", &line(&hook(run))]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.stderr(Stdio::piped()).spawn().unwrap();
        let input = input(&variables(given), b"{\"facts\": 1}");
        shell.stdin.take().unwrap().write_all(&input).unwrap();
        let output = shell.wait_with_output().unwrap();
        Ran { status: output.status.code().unwrap(), stdout: output.stdout, stderr: output.stderr }
    }

    #[test]
    fn variables_arrive_as_they_are_and_stand_on_no_command_line() {
        let secret = "it's \\0101 \"$HOME\" ü\nand more\n";
        let said = ran("printf '%s|%s|' \"$TOKEN\" \"$NONE\"; cat", &[("TOKEN", secret), ("NONE", "")]);
        assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("{secret}||{{\"facts\": 1}}"));
        assert!(!line(&hook("x")).contains("it's"));
        let said = ran("cat; exit 7", &[]);
        assert_eq!((said.status, said.stdout.as_slice()), (7, b"{\"facts\": 1}".as_slice()));
        assert_eq!(ran("echo 'a'\\''b' \"$0\"", &[]).stdout, b"a'b sh\n");
    }

    #[test]
    fn what_it_says_is_cut_and_loses_what_it_was_given() {
        let said = (0..30).map(|line| format!("line {line} hunter2\n\n")).collect::<String>();
        let ran =
            Ran { status: 1, stdout: said.into_bytes(), stderr: b"hunter22 at the end of a line".to_vec() };
        let given = HookGiven {
            variables: variables(&[("A", "hunter2"), ("B", "hunter22\na line\n"), ("C", "")]),
            for_others: false,
        };
        let error = failed(&hook("x"), Some(&ran), &given);
        assert_eq!(error.kind(), Kind::Hook);
        let (_, shown) = &error.facts()[0];
        assert_eq!(shown.lines().count(), LINES);
        assert!(shown.starts_with("line 11 ***") && shown.ends_with("*** at the end of ***"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
