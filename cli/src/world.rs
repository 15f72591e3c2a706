//! Everything outside the process that the program may look at or write to, as one value.
//!
//! Only [`World::real`] reads the environment, the home folder and the terminal; the rest of the program gets them from
//! here, so that a test runs a whole command in a world of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wharf_core::Person;

use crate::ui::Streams;

/// What surrounds one run.
pub struct World {
    /// The environment. Variables that are not UTF-8 are left out: none that is looked at may be.
    pub env: BTreeMap<String, String>,
    /// The person's home folder.
    pub home: Option<PathBuf>,
    /// The current folder.
    pub cwd: PathBuf,
    /// The program's own file.
    pub program: PathBuf,
    /// What this computer calls itself.
    pub host: String,
    /// What the person types.
    pub stdin: Box<dyn Read + Send>,
    /// Where results go.
    pub stdout: Box<dyn Write + Send>,
    /// Where progress, hints and errors go.
    pub stderr: Box<dyn Write + Send>,
    /// Which of the three are a terminal.
    pub terminal: Terminal,
    /// The time.
    pub clock: fn() -> SystemTime,
}

/// Which of the standard streams a person sits at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Questions can be answered.
    pub stdin: bool,
    /// Results are read by eyes.
    pub stdout: bool,
    /// Progress can be drawn over itself.
    pub stderr: bool,
    /// How wide the terminal is, the results' first; 0 where there is none, or it does not say.
    pub columns: u16,
}

impl World {
    /// Who runs this, and where: `user@computer`.
    pub(crate) fn person_here(&self) -> String {
        let user = self.var("USER").or_else(|| self.var("LOGNAME")).unwrap_or("somebody");
        format!("{user}@{}", self.host)
    }

    /// The world this process runs in.
    #[must_use]
    pub fn real() -> Self {
        let text = |(k, v): (std::ffi::OsString, std::ffi::OsString)| {
            Some((k.into_string().ok()?, v.into_string().ok()?))
        };
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        Self {
            env: std::env::vars_os().filter_map(text).collect(),
            home: std::env::home_dir().filter(|home| home.is_absolute()),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("wharf")),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            terminal: Terminal {
                stdin: stdin.is_terminal(),
                stdout: stdout.is_terminal(),
                stderr: stderr.is_terminal(),
                columns: rustix::termios::tcgetwinsize(&stdout)
                    .or_else(|_| rustix::termios::tcgetwinsize(&stderr))
                    .map_or(0, |size| size.ws_col),
            },
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            clock: SystemTime::now,
        }
    }

    /// What the person signs in with over SSH: the files that OpenSSH looks at by itself.
    pub(crate) fn person(&self) -> Person {
        let own = |names: &[&str]| {
            let files = |home: &PathBuf| names.iter().map(|name| home.join(".ssh").join(name)).collect();
            self.home.as_ref().map(files).unwrap_or_default()
        };
        let mut known_hosts: Vec<PathBuf> = own(&["known_hosts", "known_hosts2"]);
        known_hosts.push(PathBuf::from("/etc/ssh/ssh_known_hosts"));
        Person {
            known_hosts,
            identities: own(&["id_ed25519", "id_ecdsa", "id_rsa"]),
            agent: self.var("SSH_AUTH_SOCK").map(PathBuf::from),
        }
    }

    /// Takes the three streams out, for the one place that prints.
    pub(crate) fn streams(&mut self) -> Streams {
        Streams {
            stdin: std::mem::replace(&mut self.stdin, Box::new(std::io::empty())),
            stdout: std::mem::replace(&mut self.stdout, Box::new(std::io::sink())),
            stderr: std::mem::replace(&mut self.stderr, Box::new(std::io::sink())),
        }
    }

    /// The same world seen from another folder, where nobody sits: what comes of a file that is read there depends on
    /// neither terminal nor current folder.
    pub(crate) fn seen_from(&self, folder: PathBuf) -> Self {
        Self {
            env: self.env.clone(),
            home: self.home.clone(),
            cwd: folder,
            program: self.program.clone(),
            host: self.host.clone(),
            stdin: Box::new(std::io::empty()),
            stdout: Box::new(std::io::sink()),
            stderr: Box::new(std::io::sink()),
            terminal: Terminal::default(),
            clock: self.clock,
        }
    }

    /// The variable `name`; an empty one counts as unset.
    pub(crate) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `path` as a person wrote it, made absolute: `~` is the home folder, the rest hangs on the current one.
    pub(crate) fn absolute(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), &self.home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
            _ => self.cwd.join(path),
        }
    }

    /// The first executable file called `name` on `PATH`.
    pub(crate) fn on_path(&self, name: &str) -> Option<PathBuf> {
        let folders = std::env::split_paths(self.var("PATH")?);
        folders.map(|folder| folder.join(name)).find(|file| is_executable(file))
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}
