//! What docker-machine looks at before it does anything, with its words for what is wrong.

use std::time::Duration;

use wharf_core::{Look, State, Wharf};

use super::Typed;
use super::arguments::{OF_A_MACHINE, machine_of};
use super::words::{ALREADY_EXISTS, EXTRA, INVALID, NO_DEFAULT, NOT_RUNNING, missing};
use crate::commands::Cx;
use crate::error::{Error, Result};
use crate::ui::Board;

/// Commands that take one machine at most.
const OF_ONE: &[&str] = &["config", "env", "inspect", "status", "url"];
/// Commands that need the machine's address, which a stopped one has not.
const OF_RUNNING: &[&str] = &["config", "env", "ip", "url"];

impl Typed {
    /// Refuses what docker-machine refuses, in its words.
    pub(crate) async fn check(&self, cx: &Cx) -> Result<()> {
        if self.has(&["--help", "-h"]) {
            return Ok(());
        }
        let wharf = cx.wharf();
        match self.command.as_str() {
            "create" => self.check_create(&wharf).await,
            "rm" => {
                let known = wharf.list().await?;
                let gone =
                    self.names.iter().find(|name| !known.iter().any(|(known, _)| known.as_str() == *name));
                gone.map_or(Ok(()), |name| {
                    Err(Error::failed(format!("Error removing host {name:?}: {}", missing(name))))
                })
            }
            "env" if self.has(&["--unset", "-u"]) => Ok(()),
            // What is left of a machine that is gone can be taken away, too.
            "mount" if self.has(&["--unmount", "-u"]) => Ok(()),
            "mount" => {
                let machine = self.names.first().and_then(|place| machine_of(place));
                self.check_known(&machine.map(str::to_owned).into_iter().collect::<Vec<_>>(), &wharf).await
            }
            command if OF_ONE.contains(&command) && self.names.len() > 1 => {
                Err(Error::failed("Error: Expected one machine name as an argument"))
            }
            command if OF_A_MACHINE.contains(&command) => self.check_machines(&wharf, cx).await,
            _ => Ok(()),
        }
    }

    async fn check_create(&self, wharf: &Wharf) -> Result<()> {
        let Some((name, extra)) = self.names.split_first() else { return Ok(()) };
        if !extra.is_empty() {
            return Err(Error::failed(format!("{EXTRA} [{}]", extra.join(" "))));
        }
        if name.parse::<wharf_core::MachineName>().is_err() {
            return Err(Error::failed(format!("Error creating machine: {INVALID}")));
        }
        let there = wharf.list().await?.into_iter().any(|(known, summary)| {
            // One that is not finished is gone on with.
            known.as_str() == name && summary.is_ok_and(|summary| summary.life != wharf_core::Life::Creating)
        });
        if there { Err(Error::failed(format!("Docker machine {name:?} {ALREADY_EXISTS}"))) } else { Ok(()) }
    }

    async fn check_known(&self, names: &[String], wharf: &Wharf) -> Result<()> {
        let known = wharf.list().await?;
        let is_there = |name: &String| known.iter().any(|(known, _)| known.as_str() == name);
        let Some(name) = names.iter().find(|name| !is_there(name)) else { return Ok(()) };
        Err(Error::failed(if self.means_default { NO_DEFAULT.to_owned() } else { missing(name) }))
    }

    async fn check_machines(&self, wharf: &Wharf, cx: &Cx) -> Result<()> {
        self.check_known(&self.names, wharf).await?;
        if !OF_RUNNING.contains(&self.command.as_str()) {
            return Ok(());
        }
        let names = crate::commands::machine_names(&self.names)?;
        let call = cx.call(&self.command, Duration::from_secs(10), &Board::new(&cx.ui));
        let seen = wharf.observe(&names, Look::States, &call).await?;
        let stopped = seen.iter().any(|machine| matches!(machine.state, Some(State::Stopped)));
        if stopped { Err(Error::failed(NOT_RUNNING)) } else { Ok(()) }
    }
}
