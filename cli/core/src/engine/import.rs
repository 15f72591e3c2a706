//! Machines that another program made: their journals are begun here as if they had been taken over, from what that
//! program remembered. Nobody is connected to.

use std::path::PathBuf;

use wharf_driver::MachineName;

use crate::engine::keys::Keys;
use crate::engine::work::Work;
use crate::journal::{Event, Machine};
use crate::store::Subject;
use crate::{Call, Error, ImportRequest, Kind, Life, Phase, Result, Wharf};

/// The private key that came with a machine. It is no key of ours, so it stays the file that it was.
const SIGN_IN: &str = "keys/imported";

impl Wharf {
    /// Where the private key of an imported machine is kept.
    #[must_use]
    pub fn imported_key(&self, name: &MachineName) -> PathBuf {
        self.store.path(&Subject::Machine(name.clone())).join(SIGN_IN)
    }

    /// Takes a machine of another program into the store, whole or not at all. The machine is not touched.
    ///
    /// # Errors
    /// Refused when the name is taken, or the driver makes machines instead of taking them over.
    pub async fn import(&self, request: &ImportRequest, call: &Call) -> Result<()> {
        let about = self.driver(&request.machine.driver)?.about();
        if !about.capabilities.adopts {
            let message = format!("driver `{}` makes machines and takes over none", about.name);
            return Err(Error::new(Kind::Refused, message));
        }
        let name = &request.machine.name;
        let mut work = Work::lock(self, name, call).await?;
        if let Some(machine) = work.ledger.read().await? {
            if !machine.forgettable() && !is_cut_off(&machine, request) {
                return Err(Error::new(Kind::Refused, format!("there is a machine `{name}` already"))
                    .hint(format!("rename the one that is here, or remove it with `wharf rm {name}`")));
            }
            work.ledger.forget().await?;
            drop(work);
            work = Work::lock(self, name, call).await?;
            if work.ledger.read().await?.is_some() {
                return Err(Error::new(Kind::Refused, format!("there is a machine `{name}` already")));
            }
        }
        let Err(error) = work.import(request).await else { return Ok(()) };
        // Nothing is anywhere but in this folder.
        match work.ledger.forget().await {
            Ok(()) => Err(error),
            Err(_) => Err(error.fact("left", self.places(name).machine.display().to_string())),
        }
    }
}

impl Work<'_> {
    async fn import(&self, request: &ImportRequest) -> Result<()> {
        if let Some(key) = &request.sign_in {
            self.ledger.put_own(SIGN_IN, key.expose().as_bytes()).await?;
        }
        if let Some(certificates) = &request.certificates {
            self.ledger.put_own("ca.pem", certificates.authority.as_bytes()).await?;
            self.ledger.put_own("key.pem", certificates.key.expose().as_bytes()).await?;
            self.ledger.put_own("cert.pem", certificates.client.as_bytes()).await?;
        }
        self.begin(&request.machine).await?;
        let driver = self.driver(&self.machine()?).await?;
        self.phase(Phase::Making)?;
        self.perform_all(&driver, &Keys::unkept()?.seed(self.name)).await?;
        self.record(Event::Seen { reach: request.reach.clone() }).await?;
        // An address alone, without anything that opens an engine there, has none.
        if request.certificates.is_some() || !self.machine()?.bare {
            self.record(Event::Imported { from: request.from.clone() }).await?;
        }
        self.export().await
    }
}

/// Whether this is what an import of the same machine left that was killed: nobody but it has seen the host.
fn is_cut_off(machine: &Machine, request: &ImportRequest) -> bool {
    machine.life() == Life::Creating
        && machine.adopts
        && !machine.touched
        && machine.config == request.machine.config
}
