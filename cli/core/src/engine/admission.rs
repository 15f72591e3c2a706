//! Who may reach a machine. Where the place keeps rules about single clients, this one is let in from the address that
//! the machine itself sees, since nobody knows the address that they have outside their own network.
//!
//! ```text
//! unknown ─ SSH opens to everybody ─ sign in, and be told where one comes from ─ SSH and engine open to that alone
//! ```
//! SSH takes keys alone and shows a key that is known, so what is open meanwhile lets nobody else in.

use std::sync::Arc;

use wharf_driver::{Admission, AnyDriver, Door, MachineName};

use crate::bootstrap::Host;
use crate::engine::keys::Keys;
use crate::engine::work::Work;
use crate::journal::{Event, Machine};
use crate::{Call, Error, Kind, Phase, Result, Wharf};

/// What a shell on the machine says of where a connection comes from: address and port there, address and port here.
const COMES_FROM: &str = "printf %s \"$SSH_CONNECTION\"";

impl Wharf {
    /// Lets this client in to the machine, from `from` or else from where it is now; that is the answer.
    ///
    /// # Errors
    /// Refused where the machine has no rules about single clients, or it is not finished.
    pub async fn allow(&self, name: &MachineName, from: Option<&str>, call: &Call) -> Result<String> {
        let work = Work::existing(self, name, call).await?;
        work.finished()?;
        let machine = work.machine()?;
        let driver = work.driver(&machine).await?;
        let before = work.guarded(&machine, &driver).await?;
        if let Some(from) = from {
            work.let_in(&machine, &driver, from).await?;
            return Ok(from.to_owned());
        }
        work.phase(Phase::Addressing)?;
        work.find_address(&driver).await?;
        let keys = Keys::of(&self.vault, &work.ledger, name).await?;
        work.door(&machine, &driver, Door::Anywhere).await?;
        let let_in = async {
            let seen = work.seen_from(&keys).await?;
            work.let_in(&machine, &driver, &seen).await?;
            Ok(seen)
        };
        match let_in.await {
            Ok(seen) => Ok(seen),
            Err(error) => Err(work.shut_again(&machine, &driver, &before, error).await),
        }
    }

    /// Takes back what the machine's rules say of this client.
    ///
    /// # Errors
    /// As [`Wharf::allow`].
    pub async fn revoke(&self, name: &MachineName, call: &Call) -> Result<()> {
        let work = Work::existing(self, name, call).await?;
        work.finished()?;
        let machine = work.machine()?;
        let driver = work.driver(&machine).await?;
        work.guarded(&machine, &driver).await?;
        work.door(&machine, &driver, Door::Shut).await?;
        work.record(Event::Admitted { client: self.session.client().to_owned(), from: None }).await
    }
}

impl Work<'_> {
    /// Sees to it that this client is let in from where it is, before its engine is asked for.
    pub(crate) async fn be_admitted(&self, driver: &Arc<dyn AnyDriver>, keys: &Keys) -> Result<()> {
        let machine = self.machine()?;
        let admission = driver.admission(&machine.resources(), &self.context(&machine.owner)).await?;
        match admission {
            Admission::Unguarded => return Ok(()),
            Admission::Unknown => self.door(&machine, driver, Door::Anywhere).await?,
            Admission::Anywhere => {}
            // Whoever comes from elsewhere is told how to mend it; rules are not widened by themselves.
            Admission::From(_) => return Ok(()),
        }
        match self.seen_from(keys).await {
            Ok(seen) => self.let_in(&machine, driver, &seen).await,
            Err(error) => Err(self.shut_again(&machine, driver, &admission, error).await),
        }
    }

    /// After something that did not work the rules are what they were before: SSH is not left open for it. What a machine
    /// is born with stays for the next try.
    async fn shut_again(
        &self,
        machine: &Machine,
        driver: &Arc<dyn AnyDriver>,
        before: &Admission,
        error: Error,
    ) -> Error {
        let door = match before {
            Admission::From(old) => Door::From(old),
            Admission::Unknown => Door::Shut,
            Admission::Unguarded | Admission::Anywhere => return error,
        };
        match self.door(machine, driver, door).await {
            Ok(()) => error,
            Err(why) => {
                let hint = format!(
                    "SSH is still open to everybody: `wharf allow {0}` or `wharf allow {0} --revoke` narrows it",
                    self.name
                );
                error.fact("not shut again", why.message().to_owned()).advise(hint)
            }
        }
    }

    async fn guarded(&self, machine: &Machine, driver: &Arc<dyn AnyDriver>) -> Result<Admission> {
        match driver.admission(&machine.resources(), &self.context(&machine.owner)).await? {
            Admission::Unguarded => {
                let message =
                    format!("machine `{}` has no rules about who may reach it from where", self.name);
                Err(Error::new(Kind::Refused, message)
                    .hint("such rules are made with the machine, where its driver has an option like --azure-allow-from me"))
            }
            admission => Ok(admission),
        }
    }

    async fn let_in(&self, machine: &Machine, driver: &Arc<dyn AnyDriver>, from: &str) -> Result<()> {
        self.door(machine, driver, Door::From(from)).await?;
        let client = self.wharf.session.client().to_owned();
        self.record(Event::Admitted { client, from: Some(from.to_owned()) }).await
    }

    async fn door(&self, machine: &Machine, driver: &Arc<dyn AnyDriver>, door: Door<'_>) -> Result<()> {
        self.progress().say(match door {
            Door::Anywhere => "opening SSH, to find out where this computer comes from",
            Door::From(_) => "letting this computer in, and nobody else",
            Door::Shut => "taking this computer's rules back",
        });
        Ok(driver.admit(&machine.resources(), door, &self.context(&machine.owner)).await?)
    }

    /// The address that the machine sees this computer at.
    async fn seen_from(&self, keys: &Keys) -> Result<String> {
        let machine = self.machine()?;
        let reach = machine.reach.clone().ok_or_else(|| self.no_address())?;
        let host: Host = self.host(&machine, reach, keys);
        let asking = self.wharf.bootstrap.run(&host, Some(COMES_FROM), &[]);
        let said = self.bounded("asking where this computer comes from", asking).await?.stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        let address = said.split_whitespace().next().and_then(|word| word.parse::<std::net::IpAddr>().ok());
        address.map(|address| address.to_canonical().to_string()).ok_or_else(|| {
            Error::new(Kind::Failed, "the machine does not say where this computer comes from")
                .fact("it says", said)
                .hint(format!("`wharf allow {} --from ADDRESS` lets in an address that you know", self.name))
        })
    }
}

impl Machine {
    /// What may be wrong when a machine that lets single clients in does not answer this one.
    pub(crate) fn may_be_shut_out(&self, client: &str) -> Option<String> {
        if self.admitted.is_empty() {
            return None;
        }
        let name = &self.name;
        Some(match self.admitted.get(client) {
            Some(from) => format!(
                "it lets this computer in from {from}: if its address is another one now, `wharf allow {name}` mends that"
            ),
            None => format!("it lets this computer in only after `wharf allow {name}`"),
        })
    }

    /// With that said, where it may be the reason.
    pub(crate) fn explain(&self, error: Error, client: &str) -> Error {
        match self.may_be_shut_out(client) {
            Some(hint) if error.kind() == Kind::Unreachable => error.advise(hint),
            _ => error,
        }
    }
}
