//! Hooks of a fleet file: what they come to, what they may have, and running those of this computer.
//!
//! A hook here gets the few variables that programs need to find their way, and those that it names: not the rest of the
//! environment, where credentials of clouds are. Its group of processes ends with it, with its time, and with us.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use wharf_core::bootstrap::Ran;
use wharf_core::{Hook, HookGiven, HookPlace, Secret};
use wharf_fleet::{Hook as Declared, On};

use super::{Carry, Loaded, Seen};
use crate::child;
use crate::config::span;
use crate::error::{Error, Kind, Result};
use crate::world::World;

/// What every hook gets, where it is set.
const USUAL: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR", "WHARF_HOME", "DOCKER_CONFIG"];
/// How long a hook may take that does not say.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of each stream that are kept, the last ones.
const KEPT: usize = 64 * 1024;

/// A hook as the engine takes it; what is wrong is its time.
pub(super) fn hook(declared: &Declared) -> Result<Hook, String> {
    let timeout = declared.timeout.as_ref().map(|timeout| span(&timeout.value)).transpose()?;
    Ok(Hook {
        name: declared.name.value.clone(),
        run: declared.run.value.clone(),
        on: match declared.on {
            On::Here => HookPlace::Here,
            On::Machine => HookPlace::Machine,
        },
        env: declared.env.iter().map(|name| name.value.clone()).collect(),
        patience: timeout.unwrap_or(PATIENCE),
    })
}

/// Refuses what would be found out only once machines are made: hooks that may not run, or lack a variable.
pub(crate) fn check(seen: &Seen, loaded: &Loaded, allowed: bool, world: &World) -> Result<()> {
    let others = seen.changes.iter().filter(|change| change.for_others);
    let others: Vec<&str> = others.map(|change| change.name.as_str()).collect();
    if !others.is_empty() && !allowed {
        let message = format!("hooks would run for {}, imported from another store", others.join(", "));
        return Err(Error::new(Kind::Refused, message).hint(
            "look at what `join` runs in the file; --allow-hooks lets it, --target leaves machines out",
        ));
    }
    let mut missing: Vec<String> = Vec::new();
    for change in &seen.changes {
        let hooks = loaded.group(&change.name).map_or(&[][..], |group| &group.requests.hooks);
        for hook in hooks.iter().filter(|hook| change.hooks.contains(&hook.name)) {
            for name in hook.env.iter().filter(|name| value(name, world).is_none()) {
                let line = format!("the hook `{}` wants the variable {name}, which is not set", hook.name);
                if !missing.contains(&line) {
                    missing.push(line);
                }
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::usage(missing.join("\n  ")).hint("nothing was done; set it in the environment of `apply`"))
}

/// An empty variable counts as unset, as in the file.
fn value(name: &str, world: &World) -> Option<String> {
    world.env.get(name).filter(|value| !value.is_empty()).cloned()
}

impl Carry<'_> {
    /// Runs the hooks of a machine that did not succeed yet, one after the other.
    pub(super) async fn join(&self, name: &wharf_core::MachineName) -> Result<()> {
        let (group, world) = (self.group(name)?, &self.cx.world);
        for hook in &group.requests.hooks {
            let mut given = HookGiven { variables: Vec::new(), for_others: self.allow_hooks };
            for variable in &hook.env {
                let value = value(variable, world).ok_or_else(|| {
                    Error::usage(format!("the hook `{}` wants {variable}, which is not set", hook.name))
                })?;
                given.variables.push((variable.clone(), Secret::new(value)));
            }
            let folder = self.loaded.map(|loaded| loaded.folder.clone()).unwrap_or_default();
            let here = |facts| here(hook, &given, facts, folder, world);
            self.wharf.run_hook(name, hook, &given, here, self.call).await?;
        }
        Ok(())
    }
}

/// Runs a hook on this computer, beside the fleet file.
async fn here(
    hook: &Hook,
    given: &HookGiven,
    facts: Vec<u8>,
    folder: PathBuf,
    world: &World,
) -> wharf_core::Result<Ran> {
    let failed = |e: std::io::Error| {
        let message = format!("the hook `{}` cannot be run: {e}", hook.name);
        wharf_core::Error::new(Kind::Hook, message).caused_by(e)
    };
    let mut shell = shell(hook, given, &folder, world);
    let mut child = shell.spawn().map_err(failed)?;
    let mut group = Group { leader: child.id(), ended: false };
    let (input, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut input) = input {
            // One that reads nothing is none the worse for it.
            let _ = input.write_all(&facts).await;
        }
    };
    let ended = async { tokio::join!(feed, end_of(stdout), end_of(stderr), child.wait()) };
    let ((), stdout, stderr, status) = ended.await;
    group.ended = true;
    Ok(Ran { status: child::code(status.map_err(failed)?), stdout, stderr })
}

fn shell(hook: &Hook, given: &HookGiven, folder: &Path, world: &World) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &hook.run]).current_dir(folder).env_clear();
    shell.envs(USUAL.iter().filter_map(|name| Some((name, world.env.get(*name)?))));
    shell.envs(given.variables.iter().map(|(name, value)| (name, value.expose())));
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    shell.process_group(0);
    shell
}

/// The end of what a stream says.
async fn end_of(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut stream) = stream else { return Vec::new() };
    let (mut kept, mut piece) = (VecDeque::new(), vec![0; 8192]);
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        kept.extend(&piece[..read]);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
    kept.into()
}

/// All that a hook started. What is still there when nobody waits for it any more is ended.
struct Group {
    leader: Option<u32>,
    /// It ended by itself, and nobody speaks for it any more: its number may be somebody else's by now.
    ended: bool,
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.leader.filter(|_| !self.ended);
        let leader = leader.and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?));
        if let Some(id) = leader {
            // It may have ended just now.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}
