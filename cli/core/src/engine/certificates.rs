//! New certificates, without restarting the engine or touching a container.

use wharf_driver::MachineName;

use crate::engine::keys::Keys;
use crate::engine::work::Work;
use crate::journal::Event;
use crate::{Call, Connection, Phase, Result, Wharf};

impl Wharf {
    /// Makes a new server certificate for the machine.
    ///
    /// # Errors
    /// What stopped it; the old certificate is then still good.
    pub async fn renew_server(&self, name: &MachineName, call: &Call) -> Result<Connection> {
        let work = Work::existing(self, name, call).await?;
        work.has_engine()?;
        let driver = work.driver(&work.machine()?).await?;
        work.find_address(&driver).await?;
        work.certify().await?;
        work.connection().await
    }

    /// Makes a new client certificate for the person. [`Wharf::connection`] brings it to where programs find it.
    ///
    /// # Errors
    /// What stopped it; the old certificate is then still good.
    pub async fn renew_own(&self, call: &Call) -> Result<()> {
        self.renew_client(call).await
    }
}

impl Work<'_> {
    /// Signs a certificate for what the machine is reached by now, and has the engine take it up.
    pub(crate) async fn certify(&self) -> Result<()> {
        self.phase(Phase::Certifying)?;
        let keys = Keys::of(&self.wharf.vault, &self.ledger, self.name).await?;
        let wish = self.wish(&keys).await?;
        self.record(Event::Certifying { names: wish.names.clone() }).await?;
        self.begin_revoking(&wish).await?;
        let expires = self.bounded("changing the certificate", self.wharf.bootstrap.certify(&wish)).await;
        let expires = expires.map_err(|error| self.explain(error))?;
        self.record(Event::Certified { names: wish.names.clone(), expires }).await?;
        self.end_revoking(&wish).await?;
        self.export().await
    }
}
