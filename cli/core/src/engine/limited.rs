//! Who is no admin of a store with recipients has no authority's key: an intermediate instead, limited in role and time,
//! encrypted to them alone. It signs the client certificate of each of their computers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::Duration;
use wharf_driver::Secret;
use wharf_pki::{Authority, Certificate, Client, Intermediate, Leaf};

use crate::engine::credentials::{identity, pki_failed};
use crate::engine::issue::{Issued, of};
use crate::store::{Lease, Subject};
use crate::vault::{Recipient, RecipientRole, seal};
use crate::{Call, Error, Kind, Result, Wharf};

/// What stands in the store for one recipient.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    /// In the open: whoever looks sees when it ends.
    certificate: String,
    /// Encrypted to the recipient.
    key: String,
}

impl Wharf {
    /// The client certificate of somebody who is no admin, made if it is due or wanted anew; `None` for admins, and in
    /// stores without recipients.
    pub(crate) async fn limited_client(&self, anew: bool, call: &Call) -> Result<Option<Arc<Leaf>>> {
        let Some(roster) = self.vault.roster().await? else { return Ok(None) };
        let me = self.vault.who(&roster)?;
        if me.role == RecipientRole::Admin {
            return Ok(None);
        }
        let authority = self.vault.believed().await?.ok_or_else(|| gone(me))?;
        let above = self.own_intermediate(me, &authority).await?;
        if let Some(leaf) = self.leaf().await?
            && !anew
            && !self.is_due(&leaf, &above)
        {
            return Ok(Some(Arc::new(leaf)));
        }
        let lease = self.authority_lease(call).await?;
        let life = if me.role == RecipientRole::Job { JOB } else { PERSON };
        let leaf =
            above.issue_client(&identity(&self.person), life, self.today()).map_err(|e| over(me, &e))?;
        self.keep_client(&lease, &leaf).await?;
        self.vault.remember(&lease, &authority, &roster).await?;
        Ok(Some(Arc::new(leaf)))
    }

    /// Whether a client's certificate is to be replaced. One that ends with its intermediate gains nothing.
    fn is_due(&self, leaf: &Leaf, above: &Intermediate) -> bool {
        let (now, own) = (self.today(), &leaf.certificate);
        let last = own.not_after() >= above.certificate().not_after() && !own.is_expired(now);
        !own.is_signed_by(above.certificate()) || own.needs_renewal(now) && !last
    }

    async fn own_intermediate(&self, me: &Recipient, authority: &Certificate) -> Result<Intermediate> {
        let held = self.held_by(&me.name).await?.ok_or_else(|| gone(me))?;
        let key = self.vault.open_own("your intermediate", &held.key)?;
        let key = wharf_pki::Secret::new(key.expose().clone());
        let made = Intermediate::load(&held.certificate, &key).map_err(pki_failed)?;
        if !made.certificate().is_signed_by(authority) {
            return Err(Error::new(
                Kind::Refused,
                "your intermediate was not signed by the store's authority",
            )
            .hint("somebody who can write to the store changed it: tell an admin"));
        }
        if made.certificate().is_expired(self.today()) {
            let not_after = made.certificate().not_after();
            return Err(over(me, &wharf_pki::Error::Expired { not_after }));
        }
        Ok(made)
    }

    /// When the intermediate of a recipient ends, in seconds since 1970.
    pub(crate) async fn intermediate_ends(&self, name: &str) -> Option<i64> {
        let held = self.held_by(name).await.ok()??;
        Some(Certificate::parse(&held.certificate).ok()?.not_after().unix_timestamp())
    }

    /// Makes an intermediate for somebody, unless one that is good for long is there; it is written down before they
    /// have it.
    pub(crate) async fn issue_intermediate(
        &self,
        lease: &Lease,
        authority: &Authority,
        to: &Recipient,
        wish: Option<Duration>,
    ) -> Result<()> {
        let role = to.role.in_certificates();
        if wish.is_none()
            && let Some(held) = self.held_by(&to.name).await.ok().flatten()
            && let Ok(there) = Certificate::parse(&held.certificate)
            && there.is_signed_by(authority.certificate())
            && there.role() == Some(role)
            && !there.needs_renewal(self.today())
            && self.is_in_force(&there).await?
        {
            return Ok(());
        }

        let valid = wish.unwrap_or(USUAL);
        let client = Client { name: to.name.clone(), role, machine: None, valid };
        let made = authority.issue_intermediate(&client, self.today()).map_err(pki_failed)?;
        let issued = Issued {
            role: Some(role),
            recipient: Some(to.name.clone()),
            ..of("intermediate", &to.name, made.certificate())
        };
        self.change_issued_under(lease, |all| {
            all.push(issued);
            Ok(())
        })
        .await?;
        let key = seal(&Secret::new(made.key_pem().expose().to_owned()), &[&to.key])?;
        let held = Held { certificate: made.certificate().pem().to_owned(), key };
        let text = serde_json::to_vec_pretty(&held).map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
        self.store.put(lease, &file(&to.name), &text).await
    }

    /// Takes somebody's intermediate out of the store.
    pub(crate) async fn drop_intermediate(&self, lease: &Lease, name: &str) -> Result<()> {
        self.store.delete(lease, &file(name)).await
    }

    async fn is_in_force(&self, certificate: &Certificate) -> Result<bool> {
        let issued = self.issued().await?;
        let this = issued.iter().find(|one| one.serial.as_deref() == Some(certificate.serial()));
        Ok(this.is_some_and(|one| one.revoked.is_none()))
    }

    async fn held_by(&self, name: &str) -> Result<Option<Held>> {
        let Some(bytes) = self.store.get(&Subject::Authority, &file(name)).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::new(Kind::Failed, format!("the intermediate of `{name}` is damaged: {e}"))
                .hint(format!("`wharf store add-recipient {name}` by an admin makes a new one"))
        })
    }
}

fn file(name: &str) -> String {
    format!("intermediates/{name}.json")
}

fn gone(me: &Recipient) -> Error {
    let name = &me.name;
    Error::new(Kind::NotAllowed, format!("there is no intermediate for `{name}` in the store"))
        .hint(format!("`wharf store add-recipient {name}` by an admin makes one"))
}

fn over(me: &Recipient, error: &wharf_pki::Error) -> Error {
    let name = &me.name;
    Error::new(Kind::NotAllowed, format!("the intermediate of `{name}` signs nothing any more: {error}"))
        .hint(format!("`wharf store add-recipient {name}` by an admin makes a new one"))
}

/// How long an intermediate is good, where nobody says.
const USUAL: Duration = Duration::days(90);

/// How long a client certificate is good that an intermediate signs. A job's key goes with the job.
const PERSON: Duration = Duration::days(30);
const JOB: Duration = Duration::days(3);
