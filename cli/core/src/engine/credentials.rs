//! The certificate authority, made once with the first machine, and the person's own client certificate, renewed by any
//! command once a third of its life is used.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};
use wharf_pki::{Authority, Client, Leaf, Role, Secret};

use crate::engine::issue::{Issued, of};
use crate::store::{Lease, Subject};
use crate::vault::{Format, Key};
use crate::{Call, Error, Kind, Result, Wharf};

pub(crate) const CA: &str = "ca.pem";
/// The authority's private key.
pub(crate) const AUTHORITY: Key = Key { file: "ca-key.pem", format: Format::Pkcs8 };
pub(crate) const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";
const CLIENT_LIFE: Duration = Duration::days(365);

/// Who signs, and who signs in.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) authority: Arc<Authority>,
    pub(crate) client: Arc<Leaf>,
}

/// Who signs in, and whom to believe. Nobody can sign anything with it, so it needs no key but the person's own.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) authority_pem: String,
    pub(crate) client: Arc<Leaf>,
}

impl Wharf {
    /// What the docker client and we ourselves talk to engines with, renewed when that is due.
    pub(crate) async fn identity(&self, call: &Call) -> Result<Identity> {
        if let Some(authority) = self.vault.believed().await? {
            let client = match self.client().await? {
                Some(client) => Some(Arc::new(client)),
                None => self.limited_client(false, call).await?,
            };
            if let Some(client) = client {
                return Ok(Identity { authority_pem: authority.pem().to_owned(), client });
            }
        }
        let Credentials { authority, client } = self.credentials(call).await?;
        Ok(Identity { authority_pem: authority.certificate().pem().to_owned(), client })
    }

    /// Reads both, making or renewing what is missing or due, and brings the authority's key to where it is to be.
    pub(crate) async fn credentials(&self, call: &Call) -> Result<Credentials> {
        // Without the lock first: almost always everything is there.
        if self.vault.is_settled(&Subject::Authority, AUTHORITY).await?
            && let (Some(authority), Some(client)) = (self.authority().await?, self.client().await?)
        {
            return Ok(Credentials { authority: Arc::new(authority), client: Arc::new(client) });
        }
        let lease = self.authority_lease(call).await?;
        self.vault.settle(&lease, AUTHORITY).await?;
        let authority = match self.authority().await? {
            Some(authority) => authority,
            None => self.make_authority(&lease).await?,
        };
        let client = match self.client().await? {
            Some(client) => client,
            None => self.make_client(&lease, &authority).await?,
        };
        Ok(Credentials { authority: Arc::new(authority), client: Arc::new(client) })
    }

    /// Whether an authority that is there can sign: its key may be where this session cannot ask for it.
    pub(crate) async fn can_sign(&self) -> Result<()> {
        self.vault.can_keep().await?;
        self.authority().await.map(drop)
    }

    /// Both, made for a plan that nobody carries out: nothing is written down.
    pub(crate) fn throwaway_credentials(&self) -> Result<Credentials> {
        let authority = Authority::generate("plan", self.today()).map_err(pki_failed)?;
        let client = self.issue(&authority)?;
        Ok(Credentials { authority: Arc::new(authority), client: Arc::new(client) })
    }

    /// Makes a new client certificate now, whatever the old one is worth.
    pub(crate) async fn renew_client(&self, call: &Call) -> Result<()> {
        if self.limited_client(true, call).await?.is_some() {
            return Ok(());
        }
        let Credentials { authority, .. } = self.credentials(call).await?;
        let lease = self.authority_lease(call).await?;
        self.make_client(&lease, &authority).await.map(drop)
    }

    pub(crate) fn today(&self) -> OffsetDateTime {
        OffsetDateTime::from(self.clock.wall())
    }

    /// The authority; `None` before it is made. Its certificate is written last, so without one there is none.
    pub(crate) async fn authority(&self) -> Result<Option<Authority>> {
        self.vault.believed().await?;
        let Some(certificate) = self.text(CA).await? else { return Ok(None) };
        let key = self.vault.read(&Subject::Authority, AUTHORITY).await?;
        let key = key.ok_or_else(|| damaged("its key is not there"))?;
        Authority::load(&certificate, &Secret::new(key.expose().clone()))
            .map(Some)
            .map_err(|e| damaged(&e.to_string()).caused_by(e))
    }

    /// The client certificate; `None` when a new one is due. What is damaged is due: the authority can replace it.
    async fn client(&self) -> Result<Option<Leaf>> {
        Ok(self.leaf().await?.filter(|leaf| !leaf.certificate.needs_renewal(self.today())))
    }

    /// The client certificate, whether a new one is due or not.
    pub(crate) async fn leaf(&self) -> Result<Option<Leaf>> {
        let (Some(certificate), Some(key)) = (self.text(CERT).await?, self.text(KEY).await?) else {
            return Ok(None);
        };
        Ok(Leaf::load(&certificate, &Secret::new(key)).ok())
    }

    async fn make_authority(&self, lease: &Lease) -> Result<Authority> {
        let id = self.store.id().await?;
        let made = Authority::generate(&id.0, self.today()).map_err(pki_failed)?;
        let key = wharf_driver::Secret::new(made.key_pem().expose().to_owned());
        self.vault.put(lease, AUTHORITY, &key).await?;
        self.store.put(lease, CA, made.certificate().pem().as_bytes()).await?;
        Ok(made)
    }

    async fn make_client(&self, lease: &Lease, authority: &Authority) -> Result<Leaf> {
        let leaf = self.issue(authority)?;
        if let Some(roster) = self.vault.roster().await? {
            // Whoever removes them must know what to take back.
            let me = self.vault.who(&roster)?.name.clone();
            let own = of("client", &identity(&self.person), &leaf.certificate);
            let own = Issued { role: Some(Role::Admin), recipient: Some(me), ..own };
            self.change_issued_under(lease, |all| {
                all.push(own);
                Ok(())
            })
            .await?;
            self.vault.remember(lease, authority.certificate(), &roster).await?;
        }
        self.keep_client(lease, &leaf).await?;
        Ok(leaf)
    }

    pub(crate) async fn keep_client(&self, lease: &Lease, leaf: &Leaf) -> Result<()> {
        self.store.put_own(lease, KEY, leaf.key_pem.expose().as_bytes()).await?;
        self.store.put_own(lease, CERT, leaf.certificate.pem().as_bytes()).await
    }

    fn issue(&self, authority: &Authority) -> Result<Leaf> {
        let wish =
            Client { name: identity(&self.person), role: Role::Admin, machine: None, valid: CLIENT_LIFE };
        authority.issue_client(&wish, self.today()).map_err(pki_failed)
    }

    pub(crate) async fn text(&self, file: &str) -> Result<Option<String>> {
        let bytes = match file {
            CERT | KEY => self.store.own(&Subject::Authority, file).await?,
            _ => self.store.get(&Subject::Authority, file).await?,
        };
        bytes.map(String::from_utf8).transpose().map_err(|e| damaged(&format!("`{file}` is not text: {e}")))
    }
}

fn damaged(because: &str) -> Error {
    Error::new(Kind::Failed, format!("the certificate authority is damaged: {because}"))
        .hint("bring the folder `authority` of the store back from a backup: every machine trusts this authority alone")
}

pub(crate) fn pki_failed(error: wharf_pki::Error) -> Error {
    Error::new(Kind::Failed, format!("cannot make a certificate: {error}")).caused_by(error)
}

/// A name that a certificate takes: `user@computer` becomes `user-computer`.
pub(crate) fn identity(person: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = person.chars().take(64).map(|c| if fits(c) { c } else { '-' }).collect();
    if name.is_empty() { "person".to_owned() } else { name }
}
