//! `wharf ssh`: a shell on a machine, or one command there.
//!
//! The system's own ssh does it, with the machine's key and with no other host key than the accepted ones; it is told to
//! read no configuration, so that nothing on this computer weakens that. The command goes there as it was typed, parted
//! by single spaces, and its exit status comes back. ssh ends with 255 for everything that is its own fault: then the
//! host is asked once more from here, to tell a swapped host key from a host that does not answer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use wharf_core::{Connection, MachineName, Person, SshAccess, Wharf};
use wharf_ssh::{Agent, KeyPair};

use super::Cx;
use crate::child;
use crate::error::{Error, Result};
use crate::ui::Board;

/// Opens a shell on a machine, or runs a command there
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine; `default`, or the only one, when nothing is given
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// What to run there; a shell when nothing is given
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// What ssh ends with when the fault is its own.
const ITS_OWN_FAULT: i32 = 255;

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let name = cx.one(args.name.as_deref(), &wharf).await?;
    run_on(&name, &args.command, cx, &wharf).await
}

/// A shell on the machine, or the command, which goes there as these words parted by single spaces.
pub(super) async fn run_on(name: &MachineName, command: &[OsString], cx: &Cx, wharf: &Wharf) -> Result<()> {
    let call = cx.call("ssh", Duration::from_secs(60), &Board::new(&cx.ui));
    let connection = wharf.meet(name, &call).await?;
    let Some(program) = cx.world.on_path("ssh") else {
        return without_ssh(command, &connection, cx, wharf).await;
    };
    let mut ssh = tokio::process::Command::new(&program);
    let person = cx.world.person();
    let agent = Held::of(&connection, wharf).await?;
    if let Some(held) = &agent {
        // As an option and no environment: the hops on the way are asked with the person's own agent.
        ssh.arg("-o").arg(format!("IdentityAgent=\"{}\"", held.agent.socket().display()));
    }
    ssh.args(arguments(&program, &connection.ssh, &person, command)).stdin(Stdio::inherit());
    match child::code(child::run(&mut ssh).await?) {
        0 => Ok(()),
        ITS_OWN_FAULT => Err(diagnose(&connection, cx, wharf).await),
        code => Err(Error::remote(code)),
    }
}

/// A key that no file holds, offered to ssh by an agent of our own for as long as it runs.
pub(super) struct Held {
    pub(super) agent: Agent,
    /// Its socket is in there.
    _folder: tempfile::TempDir,
}

impl Held {
    pub(super) async fn of(connection: &Connection, wharf: &Wharf) -> Result<Option<Self>> {
        if connection.ssh.held.is_none() {
            return Ok(None);
        }
        let Some(key) = wharf.held_key(&connection.name).await? else { return Ok(None) };
        let unusable =
            |e: &dyn std::error::Error| Error::failed("the machine's key cannot be used").caused_by(e);
        let pair = KeyPair::load(key.expose()).map_err(|e| unusable(&e))?;
        let folder = private_folder()?;
        let agent = Agent::start(&pair, folder.path()).map_err(|e| unusable(&e))?;
        Ok(Some(Self { agent, _folder: folder }))
    }
}

/// A folder that only its owner looks into.
pub(super) fn private_folder() -> Result<tempfile::TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("wharf-ssh-");
    #[cfg(unix)]
    folder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    Ok(folder.tempdir()?)
}

/// One command, over a session of our own. A shell needs the system's ssh.
async fn without_ssh(command: &[OsString], connection: &Connection, cx: &Cx, wharf: &Wharf) -> Result<()> {
    if command.is_empty() {
        return Err(Error::failed("there is no `ssh` on PATH, which a shell needs")
            .hint("install the OpenSSH client"));
    }
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    let call = cx.call("ssh", Duration::from_secs(3600), &Board::new(&cx.ui));
    let ran = wharf.run_over_ssh(&connection.name, &words.join(" "), &[], &call).await?;
    cx.ui.raw(&String::from_utf8_lossy(&ran.stdout))?;
    cx.ui.log(&String::from_utf8_lossy(&ran.stderr));
    if ran.status == 0 { Ok(()) } else { Err(Error::remote(ran.status)) }
}

/// Why ssh could not do it, as far as asking again tells.
pub(super) async fn diagnose(connection: &Connection, cx: &Cx, wharf: &Wharf) -> Error {
    let call = cx.call("ssh", Duration::from_secs(15), &Board::new(&cx.ui));
    match wharf.check_ssh(&connection.name, &call).await {
        Err(error) => error.into(),
        // It answers: what ended with 255 was the command itself.
        Ok(()) => Error::remote(ITS_OWN_FAULT),
    }
}

/// ssh's arguments; none of them is a secret.
fn arguments(program: &Path, access: &SshAccess, person: &Person, command: &[OsString]) -> Vec<OsString> {
    // A public key names the one of the agent's.
    let identity = access.identity.as_ref().or(access.held.as_ref());
    let mut arguments = options(identity, std::slice::from_ref(&access.known_hosts));
    if let Some(proxy) = proxy(program, access, person) {
        arguments.extend(["-o".into(), format!("ProxyCommand={proxy}").into()]);
    }
    arguments.extend(["-p".into(), access.port.to_string().into(), "-l".into(), access.user.as_str().into()]);
    arguments.extend(["--".into(), access.host.as_str().into()]);
    arguments.extend(command.iter().cloned());
    arguments
}

/// What every connection is told: believe these host keys alone, and ask nobody for a password.
pub(super) fn settings(known_hosts: &[PathBuf]) -> [String; 8] {
    let files: Vec<String> = known_hosts.iter().map(|file| format!("\"{}\"", file.display())).collect();
    let known_hosts = format!("UserKnownHostsFile={}", files.join(" "));
    [
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        &known_hosts,
        "UpdateHostKeys=no",
        "PasswordAuthentication=no",
        "ControlPath=none",
        "ConnectTimeout=10",
        // What ssh would say of its own faults is said by us, without its advice to forget a host key.
        "LogLevel=QUIET",
    ]
    .map(str::to_owned)
}

fn options(identity: Option<&PathBuf>, known_hosts: &[PathBuf]) -> Vec<OsString> {
    let mut options: Vec<OsString> = vec!["-F".into(), "/dev/null".into()];
    // Without a key of its own a host takes the person's: those that ssh tries by itself.
    if let Some(identity) = identity {
        options.extend([
            "-i".into(),
            identity.as_os_str().to_owned(),
            "-o".into(),
            "IdentitiesOnly=yes".into(),
        ]);
    }
    for setting in settings(known_hosts) {
        options.extend(["-o".into(), setting.into()]);
    }
    options
}

/// The command that reaches the machine through the jump hosts, every one verified too: by the machine's accepted keys
/// or by those that the person knows (`-J` would leave them to the person's own configuration).
pub(super) fn proxy(program: &Path, access: &SshAccess, person: &Person) -> Option<String> {
    let either: Vec<PathBuf> =
        std::iter::once(&access.known_hosts).chain(&person.known_hosts).cloned().collect();
    let own = person.identities.iter().filter(|file| access.jump_identity.is_none() && file.is_file());
    let own: Vec<String> = own.map(|file| format!("-i {}", quoted(&file.to_string_lossy()))).collect();
    let mut through: Option<String> = None;
    for jump in &access.jumps {
        let mut words = vec![quoted(&program.to_string_lossy())];
        // What was accepted once is all that is good.
        let accepted = access.jump_keys.iter().any(|keys| keys.host == jump.host && keys.port == jump.port);
        let known = if accepted { &either[..1] } else { &either };
        words.extend(
            options(access.jump_identity.as_ref(), known).iter().map(|word| quoted(&word.to_string_lossy())),
        );
        words.extend(own.iter().cloned());
        if let Some(outer) = &through {
            words.extend(["-o".into(), quoted(&format!("ProxyCommand={outer}"))]);
        }
        let user = jump.user.as_deref().unwrap_or(&access.user);
        words.extend(["-p".into(), jump.port.to_string(), "-l".into(), quoted(user)]);
        words.extend(["-W".into(), "%h:%p".into(), "--".into(), quoted(&jump.host)]);
        through = Some(words.join(" "));
    }
    through
}

/// `word` for the shell that runs a proxy command, with `%` doubled for ssh, which looks at it first.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''").replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_driver::Jump;

    fn access() -> SshAccess {
        SshAccess {
            host: "10.0.0.7".into(),
            port: 2222,
            user: "admin".into(),
            identity: Some("/s/id".into()),
            held: None,
            known_hosts: "/s/a b/known".into(),
            host_keys: Vec::new(),
            jumps: Vec::new(),
            jump_identity: None,
            jump_keys: Vec::new(),
        }
    }

    fn text(arguments: &[OsString]) -> Vec<&str> {
        arguments.iter().filter_map(|a| a.to_str()).collect()
    }

    #[test]
    fn the_command_goes_as_typed_and_no_configuration_is_read() {
        let command = ["sh".into(), "-c".into(), "echo 'a  b'; -v".into()];
        let arguments = arguments(Path::new("/usr/bin/ssh"), &access(), &Person::default(), &command);
        let words = text(&arguments);
        assert_eq!(words[..4], ["-F", "/dev/null", "-i", "/s/id"]);
        assert!(words.contains(&"UserKnownHostsFile=\"/s/a b/known\""));
        assert!(words.contains(&"StrictHostKeyChecking=yes"));
        assert_eq!(
            words[words.len() - 9..],
            ["-p", "2222", "-l", "admin", "--", "10.0.0.7", "sh", "-c", "echo 'a  b'; -v"]
        );
    }

    #[test]
    fn every_jump_is_verified_too() {
        let jump =
            |host: &str, user: Option<&str>| Jump { user: user.map(Into::into), host: host.into(), port: 22 };
        let access = SshAccess { jumps: vec![jump("outer", Some("o")), jump("inner", None)], ..access() };
        let own = tempfile::NamedTempFile::new().unwrap();
        let person = Person {
            known_hosts: vec!["/h/known".into()],
            identities: vec![own.path().to_owned(), "/h/missing".into()],
            ..Person::default()
        };
        let proxy = proxy(Path::new("ssh"), &access, &person).unwrap();
        assert_eq!(proxy.matches("StrictHostKeyChecking=yes").count(), 2);
        assert!(proxy.contains("/h/known"), "{proxy}");
        assert!(proxy.ends_with("-p 22 -l 'admin' -W %h:%p -- 'inner'"), "{proxy}");
        assert!(proxy.contains("-W %%h:%%p -- "), "{proxy}");
        assert_eq!(proxy.matches(own.path().to_str().unwrap()).count(), 2, "{proxy}");
        assert!(!proxy.contains("/h/missing"), "{proxy}");
        assert!(!proxy.contains("/s/id"), "the machine's own key opens nothing on the way: {proxy}");
        let named = SshAccess { jump_identity: Some("/h/key".into()), ..access };
        let proxy = super::proxy(Path::new("ssh"), &named, &person).unwrap();
        assert_eq!(proxy.matches("-i").count(), 2, "{proxy}");
        assert_eq!(proxy.matches("/h/key").count(), 2, "{proxy}");
    }
}
