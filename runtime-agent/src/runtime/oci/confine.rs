//! The last steps into a container's confinement, which a container's first process and every exec take alike: the
//! filter of system calls, and the capabilities.
//!
//! libcontainer could do both. It would translate the profile anew in every process, which takes ten milliseconds of
//! processor time; so a bundle for the runtime built in here leaves both out of `config.json`, and has them in a file
//! of their own. A bundle without that file is refused: nothing runs unconfined because a file is missing.

use std::fs::File;
use std::io;
use std::path::Path;

use libcontainer::capabilities;
use libcontainer::syscall::linux::LinuxSyscall;
use oci_spec::runtime::{LinuxCapabilities, LinuxSeccomp, Spec};
use serde::{Deserialize, Serialize};

use super::chain;
use super::seccomp::Filter;

/// Beside `config.json`.
const FILE: &str = "confinement.json";

/// What a spec says of both.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::runtime) struct Confinement {
    seccomp: Option<LinuxSeccomp>,
    capabilities: Option<LinuxCapabilities>,
}

impl Confinement {
    /// Takes it out of a spec.
    pub(in crate::runtime) fn take(spec: &mut Spec) -> Self {
        let seccomp = spec.linux().as_ref().and_then(|linux| linux.seccomp().clone());
        let capabilities = spec.process().as_ref().and_then(|process| process.capabilities().clone());
        if let Some(linux) = spec.linux_mut() {
            linux.set_seccomp(None);
        }
        if let Some(process) = spec.process_mut() {
            process.set_capabilities(None);
        }
        Self { seccomp, capabilities }
    }

    /// Puts it into a bundle.
    pub(in crate::runtime) fn save(&self, bundle: &Path) -> io::Result<()> {
        let file = File::create_new(bundle.join(FILE))?;
        let mut file = io::BufWriter::new(file);
        serde_json::to_writer(&mut file, self)?;
        io::Write::flush(&mut file)
    }

    /// That of a bundle. Filters that were translated already are found in `cache`.
    pub(super) fn prepare(bundle: &Path, cache: &Path) -> Result<Confined, String> {
        let path = bundle.join(FILE);
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let Self { seccomp, capabilities } = serde_json::from_slice(&text).map_err(chain)?;
        let filter = seccomp.map(|profile| Filter::prepare(&profile, cache)).transpose();
        Ok(Confined {
            filter: filter.map_err(|error| format!("translating the seccomp profile: {error}"))?,
            capabilities,
        })
    }
}

/// Ready to be entered.
#[derive(Debug, Clone)]
pub(super) struct Confined {
    filter: Option<Filter>,
    capabilities: Option<LinuxCapabilities>,
}

impl Confined {
    /// Takes from the calling process, which is about to become the program, all capabilities but those of the first
    /// process, or those `granted` to another one. `quiet` says that it has no-new-privileges; without them loading
    /// the filter is a privilege that goes here, so the filter comes first.
    pub(super) fn give_up(&self, granted: Option<&LinuxCapabilities>, quiet: bool) -> Result<(), String> {
        if !quiet {
            self.filter()?;
        }
        let Some(granted) = granted.or(self.capabilities.as_ref()) else { return Ok(()) };
        capabilities::drop_privileges(granted, &LinuxSyscall)
            .map_err(|error| format!("dropping capabilities: {}", chain(error)))
    }

    /// With no-new-privileges the filter comes last, as close to the program as can be.
    pub(super) fn seal(&self, quiet: bool) -> Result<(), String> {
        if quiet { self.filter() } else { Ok(()) }
    }

    fn filter(&self) -> Result<(), String> {
        let Some(filter) = &self.filter else { return Ok(()) };
        filter.load().map_err(|error| format!("loading the seccomp filter: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::fake;
    use oci_spec::runtime::{Capabilities, Capability, LinuxSeccompAction};

    #[test]
    fn nothing_is_left_in_the_spec_and_nothing_runs_without_the_file() {
        let mut spec = fake::bundle("a", "/nowhere".into()).spec;
        let mut profile = LinuxSeccomp::default();
        profile.set_default_action(LinuxSeccompAction::ScmpActAllow);
        spec.linux_mut().as_mut().unwrap().set_seccomp(Some(profile));
        let mut sets = LinuxCapabilities::default();
        sets.set_bounding(Some(Capabilities::from([Capability::Chown])));
        spec.process_mut().as_mut().unwrap().set_capabilities(Some(sets.clone()));

        let taken = Confinement::take(&mut spec);
        assert_eq!(*spec.linux().as_ref().unwrap().seccomp(), None);
        assert_eq!(*spec.process().as_ref().unwrap().capabilities(), None);

        let (bundle, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let missing = Confinement::prepare(bundle.path(), cache.path()).unwrap_err();
        assert!(missing.contains(FILE), "{missing}");
        taken.save(bundle.path()).unwrap();
        let confined = Confinement::prepare(bundle.path(), cache.path()).unwrap();
        assert_eq!(confined.capabilities, Some(sets));
        assert!(confined.filter.is_some());
    }
}
