//! Certificates that are taken back before their time. First it is written down, for whichever machine is told next;
//! then each machine that they open is told, and its journal says which list it heeds.

use time::OffsetDateTime;
use wharf_driver::MachineName;
use wharf_pki::{Revocations, Revoked};

use crate::bootstrap::Provision;
use crate::engine::issue::Issued;
use crate::engine::keys::Keys;
use crate::engine::ledger::milliseconds;
use crate::engine::work::Work;
use crate::journal::{Event, Machine};
use crate::{Call, Connection, Error, Kind, Phase, Result, Wharf, What};

/// So many digits of a serial number tell certificates apart.
const SHORTEST_SERIAL: usize = 8;

/// What was taken back.
#[derive(Debug, Clone)]
pub struct TakenBack {
    /// The certificates.
    pub certificates: Vec<Issued>,
    /// The machines that they opened, which are to be told.
    pub machines: Vec<MachineName>,
}

impl Wharf {
    /// Writes down that certificates are no longer good: all that somebody got, or the one whose serial number begins
    /// like this. What was taken back before is so again, so that machines which have not been told are.
    ///
    /// # Errors
    /// Refused when nothing of the kind was issued.
    pub async fn take_back(&self, whom: &str, call: &Call) -> Result<TakenBack> {
        let now = milliseconds(&*self.clock);
        let certificates = self
            .change_issued(call, |all| {
                let newest = all.iter().filter_map(|issued| issued.revoked).max().unwrap_or_default();
                let list = now.max(newest + 1);
                let meant: Vec<usize> = meant(all, whom)?;
                let mut taken = Vec::new();
                for at in meant {
                    all[at].revoked.get_or_insert(list);
                    taken.push(all[at].clone());
                }
                Ok(taken)
            })
            .await?;
        let machines = self.with_engines().await?;
        let opened =
            machines.into_iter().filter(|machine| certificates.iter().any(|one| opens(one, machine)));
        Ok(TakenBack { machines: opened.map(|machine| machine.name).collect(), certificates })
    }

    /// Has the machine's engine refuse what was taken back, also over connections that are open.
    ///
    /// # Errors
    /// What stopped it.
    pub async fn heed_revocations(&self, name: &MachineName, call: &Call) -> Result<Connection> {
        let work = Work::existing(self, name, call).await?;
        work.has_engine()?;
        let driver = work.driver(&work.machine()?).await?;
        work.find_address(&driver).await?;
        work.heed_revocations().await?;
        work.connection().await
    }

    /// Everything that was taken back and has not ended.
    pub(super) async fn revocations(&self) -> Result<Revocations> {
        let mut list = Revocations::default();
        let now = self.today().unix_timestamp();
        for issued in self.issued().await? {
            let (Some(at), Some(serial)) = (issued.revoked, issued.serial) else { continue };
            if issued.ends > now {
                list.number = list.number.max(at);
                let since = i64::try_from(at / 1000).unwrap_or_default();
                let since = OffsetDateTime::from_unix_timestamp(since).unwrap_or(OffsetDateTime::UNIX_EPOCH);
                list.revoked.push(Revoked { serial, since });
            }
        }
        Ok(list)
    }

    /// The machines whose engines believe this store's authority.
    pub(super) async fn with_engines(&self) -> Result<Vec<Machine>> {
        let mut machines = Vec::new();
        for name in self.store.machines().await? {
            // A journal that cannot be read is reported by whoever asks about its machine.
            let Ok(machine) = self.machine(&name).await else { continue };
            if machine.provisioned.is_some() {
                machines.push(machine);
            }
        }
        Ok(machines)
    }
}

impl Work<'_> {
    async fn heed_revocations(&self) -> Result<()> {
        let keys = Keys::of(&self.wharf.vault, &self.ledger, self.name).await?;
        let wish = self.wish(&keys).await?;
        if wish.revoked.number == 0 {
            return Ok(());
        }
        self.phase(Phase::Revoking)?;
        self.begin_revoking(&wish).await?;
        let doing = self.bounded("taking certificates back", self.wharf.bootstrap.revoke(&wish)).await;
        doing.map_err(|error| self.explain(error))?;
        self.end_revoking(&wish).await
    }

    /// A machine that was off when something was taken back is told as soon as it answers.
    pub(super) async fn catch_up_with_revocations(&self) {
        let caught_up = async {
            let machine = self.machine()?;
            let behind = self.wharf.revocations().await?.number > machine.revocations;
            if behind && machine.provisioned.is_some() { self.heed_revocations().await } else { Ok(()) }
        };
        if let Err(error) = caught_up.await {
            self.say(What::Warning(format!(
                "it has not been told of certificates that were taken back: {error}; `wharf provision {}` does",
                self.name
            )));
        }
    }

    pub(super) async fn begin_revoking(&self, wish: &Provision) -> Result<()> {
        if wish.revoked.number == 0 {
            return Ok(());
        }
        self.record(Event::Revoking { list: wish.revoked.number }).await
    }

    pub(super) async fn end_revoking(&self, wish: &Provision) -> Result<()> {
        if wish.revoked.number == 0 {
            return Ok(());
        }
        self.record(Event::Revoked { list: wish.revoked.number }).await
    }
}

/// The machines that a certificate opens although it was taken back.
pub(super) fn open(issued: &Issued, machines: &[Machine]) -> Vec<MachineName> {
    let Some(list) = issued.revoked else { return Vec::new() };
    let behind = machines.iter().filter(|machine| machine.revocations < list && opens(issued, machine));
    behind.map(|machine| machine.name.clone()).collect()
}

fn opens(issued: &Issued, machine: &Machine) -> bool {
    issued.machine.as_ref().is_none_or(|name| *name == machine.name)
}

/// Which of the certificates somebody means.
fn meant(all: &[Issued], whom: &str) -> Result<Vec<usize>> {
    let at = |is_meant: &dyn Fn(&Issued) -> bool| -> Vec<usize> {
        all.iter().enumerate().filter(|(_, issued)| is_meant(issued)).map(|(at, _)| at).collect()
    };
    let named = at(&|issued| issued.name == whom);
    let serial = whom.to_ascii_lowercase();
    let begins = |issued: &Issued| issued.serial.as_ref().is_some_and(|whole| whole.starts_with(&serial));
    let meant = match named.as_slice() {
        [] if whom.len() >= SHORTEST_SERIAL => at(&begins),
        _ => named,
    };
    if meant.is_empty() {
        let message =
            format!("no certificate that is still good was issued to `{whom}` or has that serial number");
        return Err(Error::new(Kind::Refused, message).hint(
            "`wharf certs ls` shows what was issued; your own is replaced by `wharf certs renew --client`",
        ));
    }
    if let Some(unknown) = meant.iter().find(|at| all[**at].serial.is_none()) {
        let message = format!(
            "the certificate of `{}` was issued before serial numbers were written down",
            all[*unknown].name
        );
        return Err(Error::new(Kind::Refused, message).hint("it ends by itself, as `wharf certs ls` says"));
    }
    Ok(meant)
}
