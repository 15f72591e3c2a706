//! Completion of the command line in a shell: what the grammar takes, and the names of machines and clouds there are.
//!
//! A shell runs the program with [`VARIABLE`] naming it and the words typed so far behind `--`; the answer is what may
//! come next. `wharf completions SHELL` prints the script that makes a shell do so.

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;

use crate::args;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::settings::Entry;
use crate::world::World;

/// Set by shells that ask.
const VARIABLE: &str = "WHARF_COMPLETE";

/// The shells that are known.
pub(crate) const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

/// What a shell asks for, if one does.
pub(crate) fn answer(args: &[OsString], world: &World, drivers: &[Entry]) -> Option<Result<String>> {
    let shell = world.var(VARIABLE)?;
    let words = args.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    Some(complete(shell, words, world, drivers))
}

fn complete(shell: &str, words: Vec<OsString>, world: &World, drivers: &[Entry]) -> Result<String> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell).ok_or_else(|| unknown(shell))?;
    let mut command = named(args::command(drivers), world);
    let mut said = Vec::new();
    completer.write_complete(&mut command, words, Some(&world.cwd), &mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The script that makes `shell` ask.
pub(crate) fn script(shell: &str, program: &Path) -> Result<String> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell).ok_or_else(|| unknown(shell))?;
    let mut said = Vec::new();
    completer.write_registration(VARIABLE, "wharf", "wharf", &program.to_string_lossy(), &mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn unknown(shell: &str) -> Error {
    Error::usage(format!("no completion is known for `{shell}`"))
        .hint(format!("the shells that are known: {}", SHELLS.join(", ")))
}

/// The grammar, with what there is behind its names.
fn named(command: Command, world: &World) -> Command {
    let Ok(config) = Config::resolve(&args::Global::default(), world) else { return command };
    let machines = entries(&config.store.join("machines"), "");
    let clouds = entries(&config.clouds, ".yaml");
    command.mut_subcommands(|verb| {
        if verb.get_name() == "cloud" {
            let clouds = clouds.clone();
            return verb.mut_subcommand("rm", |rm| rm.mut_arg("names", |arg| offering(arg, clouds)));
        }
        // What is made has no name yet.
        let machines =
            if matches!(verb.get_name(), "create" | "adopt") { Vec::new() } else { machines.clone() };
        let clouds = clouds.clone();
        verb.mut_args(move |arg| match arg.get_id().as_str() {
            "name" | "names" => offering(arg, machines.clone()),
            "cloud" => offering(arg, clouds.clone()),
            _ => arg,
        })
    })
}

fn offering(arg: Arg, names: Vec<String>) -> Arg {
    arg.add(ArgValueCandidates::new(move || names.iter().map(CompletionCandidate::new).collect()))
}

/// What is in a folder, without the ending that it has there.
fn entries(folder: &Path, ending: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| !name.starts_with('.'))
        .filter_map(|name| Some(name.strip_suffix(ending)?.to_owned()))
        .collect();
    names.sort();
    names
}
