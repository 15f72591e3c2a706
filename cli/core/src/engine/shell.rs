//! Commands on a machine over SSH, with its accepted host keys. Changes nothing that wharf knows of, so takes no lock.

use std::time::Instant;

use wharf_driver::{HostKeyTrust, MachineName, Progress, Secret};

use crate::bootstrap::{Accept, Changes, Host, Ran};
use crate::engine::keys::identity_file;
use crate::engine::work::bounded;
use crate::store::Subject;
use crate::journal::Machine;
use crate::{Call, Error, Kind, Result, Wharf};

impl Wharf {
    /// Signs in and out again: tells a wrong host key from a wrong key from nobody there.
    ///
    /// # Errors
    /// Which of them it is.
    pub async fn check_ssh(&self, name: &MachineName, call: &Call) -> Result<()> {
        self.over_ssh(name, None, &[], call).await.map(drop)
    }

    /// Runs a command on the machine, fed with `input`.
    ///
    /// # Errors
    /// When it cannot be run; a command that fails is no error, look at its status.
    pub async fn run_over_ssh(
        &self,
        name: &MachineName,
        command: &str,
        input: &[u8],
        call: &Call,
    ) -> Result<Ran> {
        self.over_ssh(name, Some(command), input, call).await
    }

    async fn over_ssh(
        &self,
        name: &MachineName,
        command: Option<&str>,
        input: &[u8],
        call: &Call,
    ) -> Result<Ran> {
        let machine = self.machine(name).await?;
        let until = self.clock.now() + call.deadline;
        let reach = machine.reach.clone().ok_or_else(|| {
            Error::new(Kind::Refused, format!("machine `{name}` has no address yet"))
                .hint(format!("`wharf create {name}` continues an unfinished machine"))
        })?;
        let subject = Subject::Machine(name.clone());
        let mut host_keys = machine.host_keys.clone();
        if host_keys.is_empty() && reach.access.host_key == HostKeyTrust::Seeded {
            host_keys.push(text("keys/host_ed25519.pub").await?.trim().to_owned());
        }
        let host = Host {
            machine: machine.id.clone(),
            name: name.clone(),
            reach,
            key: key.unwrap_or_else(|| Secret::new(String::new())),
            host_keys,
            deadline: until,
            cancel: call.cancel.clone(),
            confirm: None,
            progress: Progress::silent(),
            accept: Accept::nothing(),
            changes: Changes::default(),
        };
        bounded(self, call, until, "the command", self.bootstrap.run(&host, command, input)).await
    }
}
