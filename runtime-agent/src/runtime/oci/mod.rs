//! `wharfd runtime …`: an OCI runtime with runc's command line, on libcontainer. Linux namespaces and their traps
//! need a process with one thread that ends soon; each call is one.
//!
//! Promises: an error is one JSON line in the file `--log` names, as runc writes it, with the runtime's own words.
//! Refuses: users by name, systemd's cgroups, checkpoints.

mod confine;
mod create;
mod delete;
mod devices;
mod exec;
pub(super) mod program;
mod seccomp;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use libcontainer::container::Container;
use libcontainer::notify_socket::{NOTIFY_FILE, NotifySocket};

pub(super) use self::confine::Confinement;
pub(super) use self::delete::delete;

/// An OCI runtime, for wharfd's own use.
#[derive(Debug, Parser)]
#[command(name = "wharfd runtime", no_binary_name = true)]
struct Flags {
    /// Folder of the containers' state
    #[arg(long)]
    root: PathBuf,
    /// Where errors go
    #[arg(long)]
    log: Option<PathBuf>,
    /// Only json, for those who say it
    #[arg(long, default_value = "json")]
    log_format: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a container, all but its program
    Create {
        #[arg(long)]
        bundle: PathBuf,
        #[arg(long)]
        pid_file: PathBuf,
        #[arg(long)]
        console_socket: Option<PathBuf>,
        id: String,
    },
    /// Execute its program
    Start { id: String },
    /// Run a further program in it
    Exec {
        #[arg(long)]
        process: PathBuf,
        #[arg(long)]
        pid_file: PathBuf,
        #[arg(long)]
        console_socket: Option<PathBuf>,
        #[arg(long)]
        detach: bool,
        id: String,
    },
    /// Take it away
    Delete {
        #[arg(long)]
        force: bool,
        id: String,
    },
}

/// Runs one verb. The first argument is the program's name, the second the role's.
pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let flags = match Flags::try_parse_from(arguments.into_iter().skip(2)) {
        Ok(flags) => flags,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(2);
        }
    };
    let log = Log::open(flags.log);
    match run(flags.verb, &flags.root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            log.report(&message);
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb, root: &Path) -> Result<(), String> {
    match verb {
        Verb::Create { bundle, pid_file, console_socket, id } => {
            create::create(root, &id, &bundle, pid_file, console_socket)
        }
        Verb::Start { id } => start(root, &id),
        Verb::Exec { process, pid_file, console_socket, detach: _, id } => exec::exec(&exec::Request {
            container: load(root, &id)?,
            filters: &filters(root),
            process: &process,
            pid_file: &pid_file,
            console: console_socket.as_deref(),
        }),
        Verb::Delete { force, id } => delete(root, &id, force),
    }
}

/// Lets a created container's program be executed. Needs no process of its own.
pub(super) fn start(root: &Path, id: &str) -> Result<(), String> {
    NotifySocket::new(root.join(id).join(NOTIFY_FILE)).notify_container_start().map_err(chain)
}

fn load(root: &Path, id: &str) -> Result<Container, String> {
    let folder = root.join(id);
    if !folder.is_dir() {
        return Err(format!("container does not exist: {id}"));
    }
    Container::load(folder).map_err(chain)
}

/// An error and its causes in one line: libcontainer's outermost texts say little.
fn chain(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Where translated filters are kept, for all containers below `root`.
fn filters(root: &Path) -> PathBuf {
    root.with_file_name("seccomp")
}

/// The log file, opened before anybody enters another mount namespace.
struct Log {
    path: Option<PathBuf>,
    file: Option<Arc<File>>,
}

impl Log {
    fn open(path: Option<PathBuf>) -> Self {
        let open = |path: &PathBuf| File::options().read(true).append(true).create(true).open(path).ok();
        let file = path.as_ref().and_then(open).map(Arc::new);
        if let Some(file) = &file {
            // libcontainer tells the details of a failure to its log alone.
            let subscriber = tracing_subscriber::fmt()
                .with_writer(Arc::clone(file))
                .with_max_level(tracing::Level::ERROR)
                .with_ansi(false)
                .with_target(false)
                .with_level(false)
                .without_time();
            let _ = subscriber.try_init();
        }
        Self { path, file }
    }

    /// Writes the one line that counts; the first detail goes with it unless the message is exact already.
    fn report(&self, message: &str) {
        let message = match message.find("exec: \"") {
            Some(at) => format!("unable to start container process: {}", &message[at..]),
            None => match self.first_detail() {
                Some(detail) => format!("{message} ({detail})"),
                None => message.to_owned(),
            },
        };
        let line = serde_json::json!({ "level": "error", "msg": message });
        if let Some(mut file) = self.file.as_deref() {
            // Whoever reads it sees by our exit code that something went wrong.
            let _ = writeln!(file, "{line}");
        }
    }

    fn first_detail(&self) -> Option<String> {
        let mut text = String::new();
        File::open(self.path.as_ref()?).ok()?.take(16 << 10).read_to_string(&mut text).ok()?;
        text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)
    }
}
