//! Making a container: libcontainer's work, with our own way to the program, our own device rules, and the filter of
//! system calls and the capabilities put on by us.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use oci_spec::runtime::{Process, Spec};

use super::super::INIT_WANTED;
use super::confine::{Confined, Confinement};
use super::{chain, delete, devices, filters, program};

/// Makes the container of a bundle up to the point where its program could be executed.
pub(super) fn create(
    root: &Path,
    id: &str,
    bundle: &Path,
    pid_file: PathBuf,
    console: Option<PathBuf>,
) -> Result<(), String> {
    let spec = Spec::load(bundle.join("config.json")).map_err(chain)?;
    make_working_folder(&spec);
    ContainerBuilder::new(id.to_owned(), SyscallType::Linux)
        .with_executor(Program {
            init: init(&spec)?,
            confined: Confinement::prepare(bundle, &filters(root))?,
        })
        .with_console_socket(console)
        .with_pid_file(Some(pid_file))
        .and_then(|builder| builder.with_root_path(root))
        .and_then(ContainerBuilder::validate_id)
        .and_then(|builder| builder.as_init(bundle).with_systemd(false).with_detach(true).build())
        .map_err(chain)?;
    devices::enforce(&spec).map_err(|error| {
        // A container without its device rules must not be started by anybody.
        let _ = delete(root, id, true);
        format!("attaching the device rules: {error}")
    })
}

/// As runc does: an image may name a working folder that it doesn't have. Links are followed inside the root only.
/// A read-only root, or a mount that covers it, makes this fail or not matter; entering it tells.
fn make_working_folder(spec: &Spec) {
    use std::os::unix::fs::PermissionsExt as _;
    let (Some(root), Some(process)) = (spec.root(), spec.process()) else { return };
    if let Ok(root) = pathrs::Root::open(root.path()) {
        let _ = root.mkdir_all(process.cwd(), &std::fs::Permissions::from_mode(0o755));
    }
}

/// Executes the program with exactly the environment of the spec.
#[derive(Debug, Clone)]
struct Program {
    /// What the container's first process is instead, with the program as its child.
    init: Option<Arc<OwnedFd>>,
    confined: Confined,
}

/// This executable, opened while it can be named, if the spec asks for an init.
fn init(spec: &Spec) -> Result<Option<Arc<OwnedFd>>, String> {
    if !spec.annotations().as_ref().is_some_and(|notes| notes.contains_key(INIT_WANTED)) {
        return Ok(None);
    }
    let file = std::fs::File::open("/proc/self/exe").map_err(|error| format!("opening the init: {error}"))?;
    Ok(Some(Arc::new(file.into())))
}

impl Executor for Program {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let why = match program::find(process(spec)?) {
            Ok(path) => match &self.init {
                Some(init) => program::execute_init(init, process(spec)?),
                None => program::execute(&path, process(spec)?),
            },
            Err(why) => why,
        };
        // The container counts as started; its output is the only way left to say what happened.
        let _ = writeln!(std::io::stderr(), "{why}");
        Err(ExecutorError::Other(why))
    }

    /// The last that is called before the program may be executed: namespaces, root, user and groups are the
    /// container's already. What is left of its confinement is done here, so that the program is looked for as its
    /// user may.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let invalid = ExecutorValidationError::ArgValidationError;
        let process = process(spec).map_err(|error| invalid(error.to_string()))?;
        let quiet = process.no_new_privileges().is_some();
        self.confined.give_up(None, quiet).and_then(|()| self.confined.seal(quiet)).map_err(invalid)?;
        program::find(process).map(drop).map_err(invalid)
    }

    /// Nothing: execve takes the environment, and changing ours is not safe.
    fn setup_envs(&self, _envs: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }
}

fn process(spec: &Spec) -> Result<&Process, ExecutorError> {
    spec.process().as_ref().ok_or(ExecutorError::InvalidArg)
}
