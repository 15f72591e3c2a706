//! The grammar of the command line. What one verb takes stands in the verb's own file.
//!
//! Where docker-machine had a command or flag that still makes sense, ours has the same name and meaning.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::commands::{
    active, adopt, allow, apply, certs, cloud, completions, config, context, create, destroy, doctor, env,
    export, gc, import, inspect, ip, kill, logs, ls, man_pages, mount, plan, provision, regenerate_certs,
    restart, rm, schema, scp, ssh, start, status, stop, store, supervise, tunnel, unlock, upgrade, url,
    version,
};
use crate::settings::{Entry, add_flags};
use crate::ui::Output;

const AFTER: &str = "\
Exit codes:
   0 done               4 no such machine                     8 quota or capacity
   1 failed             5 unreachable                         9 locked by another command
   2 usage              6 host key mismatch                  10 some of several failed
   3 refused before     7 not signed in or not allowed       11 changes are pending
     anything was made                                       12 a hook failed

Start here:  wharf create demo  &&  docker --context demo run --rm hello-world";

const ABOUT: &str = "Makes machines that the docker client on this computer can use, over mutual TLS";

/// A command line.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, about = ABOUT, after_help = AFTER, disable_help_subcommand = true, max_term_width = 110)]
struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Verb,
}

/// What every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Global {
    /// Say on stderr what is done at every step; never a secret [env: WHARF_DEBUG]
    #[arg(short = 'D', long, global = true, help_heading = "Global options")]
    pub(crate) debug: bool,
    /// What results look like: text for eyes, json for programs
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub(crate) output: Option<OutputName>,
    /// What stderr says, for programs: one JSON object a line
    #[arg(
        long,
        global = true,
        value_name = "json",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub(crate) events: Option<EventsName>,
    /// Where machines are kept: a folder [env: WHARF_HOME], or s3://… or azblob://… for a team [env: WHARF_STORE]
    #[arg(
        short,
        long,
        alias = "storage-path",
        global = true,
        value_name = "PLACE",
        help_heading = "Global options"
    )]
    pub(crate) store: Option<String>,
    /// The configuration file [env: WHARF_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<String>,
    /// The agent's executable, instead of the one beside the program [env: WHARF_AGENT]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) agent: Option<String>,
    /// Where private keys are kept: auto is the system's keyring where there is one, off is files [env: WHARF_KEYRING]
    #[arg(long, global = true, value_name = "auto|off", help_heading = "Global options")]
    pub(crate) keyring: Option<String>,
    /// Who you are to a shared store with recipients: an age identity or an SSH private key [env: WHARF_IDENTITY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) identity: Option<String>,
    /// How long the command may take: 90, 90s, 1m30s [env: WHARF_TIMEOUT]
    #[arg(long, global = true, value_name = "TIME", help_heading = "Global options")]
    pub(crate) timeout: Option<String>,
}

/// The formats that `-o` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputName {
    /// For eyes
    Text,
    /// For programs
    Json,
}

/// The formats that `--events` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventsName {
    /// One object a line
    Json,
}

impl From<OutputName> for Output {
    fn from(name: OutputName) -> Self {
        match name {
            OutputName::Text => Self::Text,
            OutputName::Json => Self::Json,
        }
    }
}

/// One verb, one variant; the doc comments are the list that `--help` shows.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Create(Box<create::Args>),
    Adopt(Box<adopt::Args>),
    Ls(ls::Args),
    Env(env::Args),
    Context(context::Args),
    Ssh(ssh::Args),
    Scp(scp::Args),
    Mount(mount::Args),
    Tunnel(tunnel::Args),
    Start(start::Args),
    Stop(stop::Args),
    Restart(restart::Args),
    Kill(kill::Args),
    Rm(rm::Args),
    Gc(Box<gc::Args>),
    Plan(plan::Args),
    Apply(apply::Args),
    Destroy(destroy::Args),
    Store(store::Args),
    Unlock(unlock::Args),
    Status(status::Args),
    Ip(ip::Args),
    Url(url::Args),
    Config(config::Args),
    Inspect(inspect::Args),
    Active(active::Args),
    Logs(logs::Args),
    Allow(allow::Args),
    Certs(certs::Args),
    Cloud(cloud::Args),
    Doctor(doctor::Args),
    Import(import::Args),
    Export(export::Args),
    Provision(provision::Args),
    Upgrade(upgrade::Args),
    RegenerateCerts(regenerate_certs::Args),
    Version(version::Args),
    Completions(completions::Args),
    Schema(schema::Args),
    #[command(hide = true)]
    ManPages(man_pages::Args),
    #[command(hide = true)]
    Supervise(supervise::Args),
}

/// A command line that was understood.
pub(crate) struct Parsed {
    pub(crate) global: Global,
    pub(crate) verb: Verb,
    /// What the drivers' flags were set to, where the verb takes them.
    pub(crate) driver_flags: Option<clap::ArgMatches>,
}

/// Parses, or says what to print instead and whether that is an answer (`--help`) or a mistake.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString>,
    drivers: &[Entry],
) -> Result<Parsed, clap::Error> {
    let mut matches = command(drivers).try_get_matches_from(args)?;
    let cloud = matches.subcommand_matches("cloud").and_then(|cloud| cloud.subcommand_matches("add"));
    let made = matches.subcommand_matches("create").or_else(|| matches.subcommand_matches("adopt"));
    let looked = matches.subcommand_matches("gc");
    let driver_flags = made.or(cloud).or(looked).cloned();
    let Args { global, command: verb } = Args::from_arg_matches_mut(&mut matches)?;
    Ok(Parsed { global, verb, driver_flags })
}

/// The whole grammar: whatever names a place takes the flags of the drivers.
pub(crate) fn command(drivers: &[Entry]) -> clap::Command {
    let places: Vec<Entry> = drivers.iter().filter(|entry| entry.place().is_some()).cloned().collect();
    let adopts = |entry: &&Entry| entry.about().capabilities.adopts && entry.about().capabilities.provisions;
    let hosts: Vec<Entry> = drivers.iter().filter(adopts).cloned().collect();
    let makes = |entry: &&Entry| !entry.about().capabilities.adopts;
    let makers: Vec<Entry> = drivers.iter().filter(makes).cloned().collect();
    Args::command()
        .mut_subcommand("create", |create| add_flags(drivers, create))
        .mut_subcommand("adopt", |adopt| {
            let made = |arg: clap::Arg| arg.hide(true);
            add_flags(&hosts, adopt).mut_arg("cloud", made).mut_arg("no_bootstrap", made)
        })
        .mut_subcommand("gc", |gc| add_flags(&makers, gc))
        .mut_subcommand("cloud", |cloud| cloud.mut_subcommand("add", |add| add_flags(&places, add)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        command(&crate::drivers::all()).debug_assert();
    }
}
