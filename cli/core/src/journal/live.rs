//! The events of a machine that is made: what reaches it, what its engine is and should be, and who may.

use wharf_driver::Power;

use super::Event;
use super::fold::{Machine, Provisioned};
use crate::HookEnd;

impl Machine {
    /// Adds an event that only a machine can have whose every step is made.
    ///
    /// # Errors
    /// Why it cannot stand there.
    pub(super) fn live(&mut self, event: &Event) -> Result<(), String> {
        // A key may be accepted while the agent is taken off, too.
        if !matches!(event, Event::HostKeys { .. } | Event::JumpKeys { .. }) {
            self.wanted()?;
        }
        if !self.complete() && self.removal.is_none() {
            return Err("it is not made yet".to_owned());
        }
        match event {
            Event::Joined { fleet } => self.fleet.clone_from(fleet),
            Event::Configured { options } => {
                (self.options, self.configuring) = (options.as_ref().clone(), true);
            }
            Event::Seen { reach } => self.reach = Some(reach.clone()),
            Event::HostKeys { keys } => self.host_keys.clone_from(keys),
            Event::JumpKeys { jumps } => self.jump_keys.clone_from(jumps),
            Event::Admitted { client, from: Some(from) } => {
                self.admitted.insert(client.clone(), from.clone());
            }
            Event::Admitted { client, from: None } => drop(self.admitted.remove(client)),
            Event::Imported { .. } | Event::Provisioning { .. } if self.reach.is_none() => {
                return Err("it has no address".to_owned());
            }
            Event::Imported { .. } if !self.adopts || self.touched => {
                return Err("its engine is wharf's own".to_owned());
            }
            Event::Imported { from } => self.imported = Some(from.clone()),
            Event::Provisioning { .. } => self.touched = true,
            Event::Provisioned { .. } if !self.touched => return Err("nothing was on its way".to_owned()),
            Event::Provisioned { engine, names, expires, agent, facts } => {
                (self.imported, self.upgrading, self.configuring) = (None, false, false);
                self.provisioned = Some(Provisioned {
                    engine: engine.clone(),
                    names: names.clone(),
                    expires: *expires,
                    agent: agent.clone(),
                    facts: facts.clone(),
                });
            }
            Event::Powering { to } => self.powering = Some(*to),
            Event::Powered { to } if self.powering == Some(*to) => {
                (self.powering, self.off) = (None, matches!(to, Power::Off | Power::Kill));
            }
            Event::Powered { .. } => return Err("that was not being done".to_owned()),
            Event::Certifying { .. } if self.provisioned.is_none() => {
                return Err("it has no engine".to_owned());
            }
            Event::Certifying { .. } => self.certifying = true,
            Event::Certified { names, expires } => self.certified(names, *expires)?,
            Event::Hooking { hook } => drop(self.hooks.insert(hook.clone(), HookEnd::Begun)),
            Event::Hooked { hook, end } => match self.hooks.get_mut(hook) {
                Some(begun @ HookEnd::Begun) => *begun = *end,
                _ => return Err(format!("the hook `{hook}` was not begun")),
            },
            Event::Upgrading { .. } if self.provisioned.is_none() => {
                return Err("it has no engine".to_owned());
            }
            Event::Upgrading { .. } => self.upgrading = true,
            Event::RolledBack { .. } if !self.upgrading => return Err("nothing was on its way".to_owned()),
            Event::RolledBack { .. } => self.upgrading = false,
            Event::Revoking { .. } if !self.touched => return Err("it has no engine".to_owned()),
            Event::Revoking { list } => self.revoking = Some(*list),
            Event::Revoked { list } if self.revoking == Some(*list) => {
                (self.revoking, self.revocations) = (None, *list);
            }
            Event::Revoked { .. } => return Err("that was not being done".to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn certified(&mut self, names: &[String], expires: u64) -> Result<(), String> {
        let engine =
            self.provisioned.as_mut().filter(|_| self.certifying).ok_or("that was not being done")?;
        names.clone_into(&mut engine.names);
        engine.expires = expires;
        self.certifying = false;
        Ok(())
    }
}
