//! Who a shared store's keys are encrypted to: they come and go, and everything is encrypted anew.
//!
//! ```text
//! add     list with them ─▶ intermediate ─▶ every key, one after the other
//! remove  list without them, who are `leaving` ─▶ intermediate, certificates ─▶ every key ─▶ nobody leaves any more
//! ```
//!
//! The list is changed first, under the authority's lock: from then on every command encrypts by the new one. Each key is
//! replaced whole, by one that everybody opens who stays, so that at no moment there is one that nobody opens. Killed
//! anywhere, the same command again ends it; what is encrypted by the newest list already is left alone. A machine's keys
//! are written under its own lock, and the authority's is not held meanwhile: commands hold the former when they ask for
//! the latter.

mod wish;

use serde::Serialize;
use wharf_driver::MachineName;
use wharf_pki::Authority;

use self::wish::{check_distinct, check_name, new, no_such_recipient, same};
use crate::engine::credentials::{AUTHORITY, CA, pki_failed};
use crate::engine::issue::Issued;
use crate::engine::keys::{HOST, SIGN_IN};
use crate::engine::ledger::milliseconds;
use crate::engine::revocations::TakenBack;
use crate::store::{Lease, Subject, Wait};
use crate::vault::{PublicKey, RECIPIENTS, Recipient, RecipientRole, Roster};
use crate::{Call, Error, Kind, Result, Wharf};

/// The recipients of a store, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipients {
    /// SHA-256 of the authority's certificate, in hex: everybody should see the same.
    pub authority: String,
    /// Those that there are, and those whose removal has not ended.
    pub recipients: Vec<Listed>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Who.
    #[serde(flatten)]
    pub recipient: Recipient,
    /// Their removal has begun, and not ended.
    pub leaving: bool,
    /// When their intermediate ends, in seconds since 1970, where they have one.
    pub ends: Option<i64>,
}

/// Somebody to be added, or to be given another intermediate.
#[derive(Debug, Clone)]
pub struct NewRecipient {
    /// Who.
    pub name: String,
    /// Absent for somebody who is there already.
    pub key: Option<PublicKey>,
    /// Absent for somebody who is there already.
    pub role: Option<RecipientRole>,
    /// For how long their intermediate is good, where somebody says.
    pub valid: Option<std::time::Duration>,
}

/// What came of a removal.
#[derive(Debug)]
pub struct RemovedRecipient {
    /// What they were; unknown where an earlier command had removed them whole.
    pub role: Option<RecipientRole>,
    /// Their certificates, and the machines to be told.
    pub taken: TakenBack,
    /// The machines whose SSH keys they could open.
    pub saw: Vec<MachineName>,
    /// What could not be encrypted anew now; the same command again does it.
    pub unfinished: Vec<Unfinished>,
}

/// A machine whose keys could not be encrypted anew, and why.
pub type Unfinished = (MachineName, Error);

impl Wharf {
    /// Who the store's keys are encrypted to; `None` in a store without recipients.
    ///
    /// # Errors
    /// When the list is not what the store's authority signed.
    pub async fn recipients(&self) -> Result<Option<Recipients>> {
        let Some(roster) = self.vault.roster().await? else { return Ok(None) };
        let Some(authority) = self.vault.believed().await? else { return Ok(None) };
        let mut recipients = Vec::new();
        let there = roster.recipients.into_iter().map(|one| (one, false));
        for (recipient, leaving) in there.chain(roster.leaving.into_iter().map(|one| (one, true))) {
            let ends = self.intermediate_ends(&recipient.name).await;
            recipients.push(Listed { recipient, leaving, ends });
        }
        Ok(Some(Recipients { authority: authority.fingerprint().to_owned(), recipients }))
    }

    /// Gives a shared store its first recipients, who are its admins. Keys that are there are encrypted to them.
    ///
    /// # Errors
    /// Refused when it has others already.
    pub async fn begin_recipients(&self, admins: Vec<Recipient>, call: &Call) -> Result<Vec<Unfinished>> {
        admins.iter().try_for_each(|one| check_name(&one.name))?;
        check_distinct(&admins)?;
        if let Ok(me) = self.vault.identity()
            && !admins.iter().any(|one| me.is(&one.key))
        {
            let message =
                format!("the identity `{}` is none of these recipients: you would be locked out", me.name());
            return Err(
                Error::new(Kind::Refused, message).hint("add your own public key as one more --recipient")
            );
        }
        let lease = self.authority_lease(call).await?;
        if let Some(there) = self.vault.roster().await? {
            if there.recipients != admins {
                return Err(Error::new(Kind::Refused, "the store has recipients already")
                    .hint("`wharf store recipients` lists them; `wharf store add-recipient` adds one more"));
            }
        } else {
            let roster = Roster::new(admins);
            let there = self.authority().await?;
            let authority = match there {
                Some(authority) => authority,
                None => {
                    let id = self.store.id().await?;
                    let made = Authority::generate(&id.0, self.today()).map_err(pki_failed)?;
                    self.store.put(&lease, RECIPIENTS, &roster.signed(&made)?).await?;
                    let key = wharf_driver::Secret::new(made.key_pem().expose().to_owned());
                    self.vault.put_sealed(&lease, AUTHORITY, &key, &roster).await?;
                    // Last: without it there is no authority, and all of this is made again.
                    self.store.put(&lease, CA, made.certificate().pem().as_bytes()).await?;
                    made
                }
            };
            self.change_roster(&lease, &authority, &roster).await?;
        }
        self.vault.settle(&lease, AUTHORITY).await?;
        drop(lease);
        self.reseal(call).await
    }

    /// Adds somebody, or ends adding them; whoever is there already gets a new intermediate when theirs is due.
    ///
    /// # Errors
    /// Refused for whoever is no admin, and when somebody else has the name or the key.
    pub async fn add_recipient(&self, wish: &NewRecipient, call: &Call) -> Result<Vec<Unfinished>> {
        check_name(&wish.name)?;
        let valid = wish.valid.map(time::Duration::try_from).transpose().map_err(|e| {
            Error::new(Kind::Refused, format!("an intermediate is not good for so long: {e}"))
        })?;
        let lease = self.authority_lease(call).await?;
        let (mut roster, authority) = self.changeable().await?;
        let recipient = match roster.called(&wish.name) {
            Some(there) => same(there, wish)?.clone(),
            None => {
                let new = new(&roster, wish)?;
                roster.recipients.push(new.clone());
                roster.number += 1;
                self.change_roster(&lease, &authority, &roster).await?;
                new
            }
        };
        if recipient.role != RecipientRole::Admin {
            self.issue_intermediate(&lease, &authority, &recipient, valid).await?;
        }
        self.vault.settle(&lease, AUTHORITY).await?;
        drop(lease);
        self.reseal(call).await
    }

    /// Removes somebody, or ends removing them: keys are encrypted to those who are left, and their certificates are
    /// taken back. [`Wharf::heed_revocations`] tells the machines.
    ///
    /// # Errors
    /// Refused for whoever is no admin, for oneself, and for the last admin.
    pub async fn remove_recipient(&self, name: &str, call: &Call) -> Result<RemovedRecipient> {
        let lease = self.authority_lease(call).await?;
        let (mut roster, authority) = self.changeable().await?;
        let me = self.vault.who(&roster)?.name.clone();
        let at = roster.recipients.iter().position(|one| one.name == name);
        let recipient = match at {
            Some(at) => {
                if me == name {
                    return Err(Error::new(
                        Kind::Refused,
                        "you cannot remove yourself: you are to encrypt keys anew",
                    )
                    .hint("another admin removes you"));
                }
                let gone = roster.recipients.remove(at);
                roster.leaving.push(gone.clone());
                roster.number += 1;
                self.change_roster(&lease, &authority, &roster).await?;
                gone
            }
            None => match roster.leaving.iter().find(|one| one.name == name) {
                Some(leaving) => leaving.clone(),
                None => return self.removed_before(name, &roster).await,
            },
        };
        self.vault.settle(&lease, AUTHORITY).await?;
        self.drop_intermediate(&lease, name).await?;
        let certificates = self.take_back_all_of(&lease, name).await?;
        drop(lease);
        let unfinished = self.reseal(call).await?;
        if unfinished.is_empty() {
            self.nobody_leaves(name, &authority, call).await?;
        }
        let saw = self.with_keys_seen_by(&recipient).await?;
        let taken = self.to_be_told(certificates).await?;
        Ok(RemovedRecipient { role: Some(recipient.role), taken, saw, unfinished })
    }

    /// Nothing is left to do but to tell the machines, which a command that was killed did not.
    async fn removed_before(&self, name: &str, roster: &Roster) -> Result<RemovedRecipient> {
        let taken = |one: &Issued| one.recipient.as_deref() == Some(name) && one.revoked.is_some();
        let certificates: Vec<Issued> = self.issued().await?.into_iter().filter(taken).collect();
        if certificates.is_empty() {
            return Err(no_such_recipient(name, roster));
        }
        let taken = self.to_be_told(certificates).await?;
        Ok(RemovedRecipient { role: None, taken, saw: Vec::new(), unfinished: Vec::new() })
    }

    async fn to_be_told(&self, certificates: Vec<Issued>) -> Result<TakenBack> {
        let machines = if certificates.is_empty() { Vec::new() } else { self.with_engines().await? };
        Ok(TakenBack { certificates, machines: machines.into_iter().map(|machine| machine.name).collect() })
    }

    /// Encrypts every machine's keys by the newest list, where they are not.
    async fn reseal(&self, call: &Call) -> Result<Vec<Unfinished>> {
        let mut unfinished = Vec::new();
        for name in self.store.machines().await? {
            if let Err(error) = self.reseal_machine(&name, call).await {
                if error.kind() == Kind::Cancelled {
                    return Err(error);
                }
                unfinished.push((name, error));
            }
        }
        Ok(unfinished)
    }

    async fn reseal_machine(&self, name: &MachineName, call: &Call) -> Result<()> {
        let subject = Subject::Machine(name.clone());
        let mut behind = false;
        for key in [SIGN_IN, HOST] {
            behind |= !self.vault.is_settled(&subject, key).await?;
        }
        if !behind {
            return Ok(());
        }
        let until = self.clock.now() + call.lock_wait;
        let wait = Wait { until, cancel: &call.cancel, holder: &call.command, held: &|_| {} };
        let lease = self.store.lock(&subject, &wait).await?;
        for key in [SIGN_IN, HOST] {
            self.vault.settle(&lease, key).await?;
        }
        Ok(())
    }

    async fn nobody_leaves(&self, name: &str, authority: &Authority, call: &Call) -> Result<()> {
        let lease = self.authority_lease(call).await?;
        let Some(mut roster) = self.vault.roster().await? else { return Ok(()) };
        roster.leaving.retain(|one| one.name != name);
        roster.number += 1;
        self.change_roster(&lease, authority, &roster).await
    }

    /// The list and the authority's key, for whoever may change the list.
    async fn changeable(&self) -> Result<(Roster, Authority)> {
        let roster = self.vault.roster().await?.ok_or_else(|| {
            Error::new(Kind::Refused, "the store has no recipients")
                .hint("`wharf store init URL --recipient KEY` gives a shared store its first ones")
        })?;
        self.vault.who(&roster)?;
        let authority = self.authority().await?;
        let authority =
            authority.ok_or_else(|| Error::new(Kind::Failed, "the store has no authority yet"))?;
        Ok((roster, authority))
    }

    async fn change_roster(&self, lease: &Lease, authority: &Authority, roster: &Roster) -> Result<()> {
        self.store.put(lease, RECIPIENTS, &roster.signed(authority)?).await?;
        self.vault.remember(lease, authority.certificate(), roster).await
    }

    /// All that somebody got is good no longer.
    async fn take_back_all_of(&self, lease: &Lease, name: &str) -> Result<Vec<Issued>> {
        let now = milliseconds(&*self.clock);
        self.change_issued_under(lease, |all| {
            let newest = all.iter().filter_map(|issued| issued.revoked).max().unwrap_or_default();
            let list = now.max(newest + 1);
            let theirs = |one: &&mut Issued| {
                one.serial.is_some() && (one.recipient.as_deref() == Some(name) || one.name == name)
            };
            Ok(all
                .iter_mut()
                .filter(theirs)
                .map(|one| {
                    one.revoked.get_or_insert(list);
                    one.clone()
                })
                .collect())
        })
        .await
    }

    async fn with_keys_seen_by(&self, recipient: &Recipient) -> Result<Vec<MachineName>> {
        let mut saw = Vec::new();
        for name in self.store.machines().await? {
            let subject = Subject::Machine(name.clone());
            if recipient.role.opens(&subject) && self.store.get(&subject, SIGN_IN.file).await?.is_some() {
                saw.push(name);
            }
        }
        Ok(saw)
    }

    pub(crate) async fn authority_lease(&self, call: &Call) -> Result<Lease> {
        let until = self.clock.now() + call.lock_wait;
        let wait = Wait { until, cancel: &call.cancel, holder: &call.command, held: &|_| {} };
        self.store.lock(&Subject::Authority, &wait).await
    }
}
