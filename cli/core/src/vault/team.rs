//! Keys in a store with recipients: each is encrypted to those whose role opens it.

use wharf_driver::Secret;
use wharf_pki::Certificate;

use super::recipient::{Recipient, openers};
use super::roster::{Known, Roster, other_authority};
use super::{Identity, Key, Vault, describe, sealed};
use crate::store::{Lease, Subject};
use crate::{Error, Kind, Result};

/// The list, under the authority's folder.
pub(crate) const RECIPIENTS: &str = "recipients.json";
/// What this computer has seen, in its own folder of the authority.
const KNOWN: &str = "known.json";
const CA: &str = "ca.pem";
const TRIES: usize = 3;

impl Vault {
    /// Who opens the keys of the store; `None` where they are encrypted with a passphrase, or not at all.
    pub(crate) async fn roster(&self) -> Result<Option<Roster>> {
        if !self.store.is_shared() {
            return Ok(None);
        }
        let Some(authority) = self.believed().await? else { return Ok(None) };
        let list = self.store.get(&Subject::Authority, RECIPIENTS).await?;
        let list = list.map(|bytes| Roster::read(&bytes, &authority)).transpose()?;
        if let Some(known) = self.known().await? {
            known.check(&authority, list.as_ref())?;
        }
        Ok(list)
    }

    /// The authority's certificate, unless it is another one than this computer knows. `None` before it is made.
    pub(crate) async fn believed(&self) -> Result<Option<Certificate>> {
        let pem = self.store.get(&Subject::Authority, CA).await?;
        let Some(pem) = pem else {
            return match self.known().await? {
                Some(known) => Err(other_authority(&known.authority, "none")),
                None => Ok(None),
            };
        };
        let certificate = Certificate::parse(&String::from_utf8_lossy(&pem)).map_err(|e| {
            Error::new(Kind::Failed, format!("the certificate authority is damaged: {e}"))
                .hint("bring the folder `authority` of the store back from a backup")
                .caused_by(e)
        })?;
        if let Some(told) = &self.keeping.authority
            && told != certificate.fingerprint()
        {
            return Err(other_authority(told, certificate.fingerprint()));
        }
        if let Some(known) = self.known().await?
            && known.authority != certificate.fingerprint()
        {
            return Err(other_authority(&known.authority, certificate.fingerprint()));
        }
        Ok(Some(certificate))
    }

    /// Remembers on this computer which authority and list it has seen. Those that it has seen may only be followed.
    pub(crate) async fn remember(&self, lease: &Lease, authority: &Certificate, list: &Roster) -> Result<()> {
        let now = Known { authority: authority.fingerprint().to_owned(), list: list.number };
        if self.known().await?.as_ref() == Some(&now) {
            return Ok(());
        }
        let text = serde_json::to_vec(&now).map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
        self.store.put_own(lease, KNOWN, &text).await
    }

    /// Which recipient the person here is.
    pub(crate) fn who<'a>(&self, roster: &'a Roster) -> Result<&'a Recipient> {
        let identity = self.identity()?;
        roster.recipients.iter().find(|one| identity.is(&one.key)).ok_or_else(|| stranger(identity, roster))
    }

    /// Writes a key so that those on this list open it who may.
    pub(crate) async fn put_sealed(
        &self,
        lease: &Lease,
        key: Key,
        secret: &Secret<String>,
        roster: &Roster,
    ) -> Result<()> {
        let text = sealed::seal(secret, &roster.openers(&lease.subject))?;
        self.store.put(lease, key.file, text.as_bytes()).await
    }

    /// Writes a key by the newest list. One that was changed while we wrote may have lost somebody: then again.
    pub(super) async fn write_sealed(
        &self,
        lease: &Lease,
        key: Key,
        secret: &Secret<String>,
        mut roster: Roster,
    ) -> Result<()> {
        for _ in 0..TRIES {
            self.put_sealed(lease, key, secret, &roster).await?;
            let Some(now) = self.roster().await? else { break };
            if now.mark(&lease.subject) == roster.mark(&lease.subject) {
                return Ok(());
            }
            roster = now;
        }
        Err(Error::new(Kind::Failed, "the store's list of recipients keeps changing")
            .hint("run the command again when nobody adds or removes recipients"))
    }

    /// Opens what stands in a key's file.
    pub(super) async fn open_sealed(
        &self,
        subject: &Subject,
        key: Key,
        text: &str,
    ) -> Result<Secret<String>> {
        let what = describe(subject, key);
        let identity = self.identity().map_err(|error| error.during(&format!("{what} cannot be read")))?;
        let opened = identity.open(self.keeping.passphrase.as_ref());
        let found = opened.and_then(|opened| sealed::open(text, opened));
        if let Some(secret) = found.map_err(|error| error.during(&format!("{what} cannot be read")))? {
            return Ok(secret);
        }
        let Some(roster) = self.roster().await? else { return Err(not_for(&what, identity)) };
        let me = self.who(&roster).map_err(|error| error.during(&format!("{what} cannot be read")))?;
        if me.role.opens(subject) {
            return Err(not_for(&what, identity));
        }
        let message =
            format!("{what} is for {}, and `{}` is {}", openers(subject), me.name, with_article(me));
        Err(Error::new(Kind::NotAllowed, message)
            .hint(format!("ask an admin: {}", roster.admins().join(", "))))
    }

    /// Opens a text that is encrypted to the person here alone.
    pub(crate) fn open_own(&self, what: &str, text: &str) -> Result<Secret<String>> {
        let identity = self.identity()?;
        let opened = identity.open(self.keeping.passphrase.as_ref())?;
        let found = sealed::open(text, opened).map_err(|error| error.during(what))?;
        found.ok_or_else(|| not_for(what, identity))
    }

    pub(crate) fn identity(&self) -> Result<&Identity> {
        self.keeping.identity.as_ref().ok_or_else(|| {
            Error::new(
                Kind::NotAllowed,
                "keys in this store are encrypted to its recipients, and no identity is named",
            )
            .hint("name your age identity or SSH private key with --identity FILE or WHARF_IDENTITY")
        })
    }

    async fn known(&self) -> Result<Option<Known>> {
        let Some(bytes) = self.store.own(&Subject::Authority, KNOWN).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            let file = self.store.path(&Subject::Authority).join(KNOWN);
            Error::new(Kind::Failed, format!("what this computer knows of the store is damaged: {e}"))
                .fact("file", file.display().to_string())
                .hint(
                    "delete the file once an admin has confirmed the fingerprint of `wharf store recipients`",
                )
        })
    }
}

fn with_article(who: &Recipient) -> String {
    let role = who.role.to_string();
    let article = if role.starts_with(['a', 'o']) { "an" } else { "a" };
    format!("{article} {role}")
}

fn not_for(what: &str, identity: &Identity) -> Error {
    let message = format!("{what} is not encrypted to the identity `{}`", identity.name());
    Error::new(Kind::NotAllowed, message)
        .hint("an admin's `wharf store add-recipient` or `remove-recipient` may not have ended: it is to be repeated")
}

fn stranger(identity: &Identity, roster: &Roster) -> Error {
    let message = format!("the identity `{}` is none of the store's recipients", identity.name());
    Error::new(Kind::NotAllowed, message).hint(format!(
        "`wharf store add-recipient` by an admin ({}) lets you in; --identity or WHARF_IDENTITY names another identity",
        roster.admins().join(", ")
    ))
}
