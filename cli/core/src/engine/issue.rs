//! Certificates for others, and all that there are: who signs, who signs in, and what each engine shows. Asks nobody.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use wharf_driver::{MachineName, Secret};
use wharf_pki::{Certificate, Client, Role};

use crate::engine::credentials::{CA, CERT, Credentials, pki_failed};
use crate::engine::revocations::open;
use crate::store::{Lease, Subject};
use crate::{Call, Certificates, Error, Kind, Result, Wharf};

/// What was issued to others, and has not ended.
const ISSUED: &str = "issued.json";
/// Whoever needs one for longer gets a new one: what is lost ends by itself.
const LONGEST: Duration = Duration::days(366);

/// A client certificate that somebody else is to get.
#[derive(Debug, Clone)]
pub struct Issue {
    /// Who: a colleague, or a job. Letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one machine that it opens; every machine of the store without it.
    pub machine: Option<MachineName>,
    /// For how long; a year at most.
    pub valid: std::time::Duration,
}

/// A certificate that is in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// What it is for: `authority`, `own`, `client`, `intermediate` or `server`.
    pub kind: String,
    /// Whose: a machine's name, or who it was issued to.
    pub name: String,
    /// What a client may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The one machine that a client's opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineName>,
    /// When it ends, in seconds since 1970.
    pub ends: i64,
    /// The serial number, in hex, where it is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// When it was taken back, in milliseconds since 1970. That is also the number of the first list that names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
    /// The machines that it opens although it was taken back, since they have not been told yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<MachineName>,
    /// SHA-256 of the certificate, in hex, where it is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Which recipient of the store has it: whoever removes them takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
}

impl Wharf {
    /// Every certificate there is: the authority's, the person's own, the engines', and what others got.
    ///
    /// # Errors
    /// When one that is here cannot be read.
    pub async fn certificates(&self) -> Result<Vec<Issued>> {
        let mut all = Vec::new();
        for (file, kind) in [(CA, "authority"), (CERT, "own")] {
            if let Some(pem) = self.text(file).await? {
                let parsed = Certificate::parse(&pem).map_err(pki_failed)?;
                all.push(Issued { role: parsed.role(), ..of(kind, parsed.subject(), &parsed) });
            }
        }
        let machines = self.with_engines().await?;
        for machine in &machines {
            let Some(engine) = &machine.provisioned else { continue };
            let ends = i64::try_from(engine.expires).unwrap_or(i64::MAX);
            all.push(Issued { ends, ..named("server", machine.name.as_str()) });
        }
        let now = self.today().unix_timestamp();
        let shown = |issued: &Issued| all.iter().any(|one| one.kind == "own" && one.serial == issued.serial);
        let others: Vec<Issued> = self.issued().await?.into_iter().filter(|issued| !shown(issued)).collect();
        for issued in others {
            // What has ended opens nothing, whoever was told.
            let open = if issued.ends > now { open(&issued, &machines) } else { Vec::new() };
            all.push(Issued { open, ..issued });
        }
        Ok(all)
    }

    /// Makes a client certificate for somebody else. Its key is nowhere but in the answer.
    ///
    /// # Errors
    /// Refused when the time or the name is none that a certificate takes, or there is no such machine.
    pub async fn issue_to(&self, wish: &Issue, call: &Call) -> Result<Certificates> {
        let machine = match &wish.machine {
            Some(name) => Some(self.machine(name).await?.id.to_string()),
            None => None,
        };
        let valid =
            Duration::try_from(wish.valid).ok().filter(|valid| *valid <= LONGEST && valid.is_positive());
        let valid = valid.ok_or_else(|| {
            Error::new(Kind::Refused, "a certificate for somebody else is good for an hour to a year")
                .hint("issue another one when it ends")
        })?;
        let Credentials { authority, .. } = self.credentials(call).await?;
        let client = Client { name: wish.name.clone(), role: wish.role, machine, valid };
        let leaf = authority.issue_client(&client, self.today()).map_err(|e| {
            Error::new(Kind::Refused, e.to_string()).hint("choose another name for whom it is").caused_by(e)
        })?;
        let issued = Issued {
            role: Some(wish.role),
            machine: wish.machine.clone(),
            ..of("client", &wish.name, &leaf.certificate)
        };
        // Written down before anybody has it.
        self.write_down_issued(issued, call).await?;
        Ok(Certificates {
            authority: authority.certificate().pem().to_owned(),
            client: leaf.certificate.pem().to_owned(),
            key: Secret::new(leaf.key_pem.expose().to_owned()),
        })
    }

    async fn write_down_issued(&self, issued: Issued, call: &Call) -> Result<()> {
        self.change_issued(call, |all| {
            all.push(issued);
            Ok(())
        })
        .await
    }

    /// Changes the list of what was issued, which loses what has ended.
    pub(super) async fn change_issued<T>(
        &self,
        call: &Call,
        change: impl FnOnce(&mut Vec<Issued>) -> Result<T>,
    ) -> Result<T> {
        let lease = self.authority_lease(call).await?;
        self.change_issued_under(&lease, change).await
    }

    /// The same, for whoever holds the authority's lock.
    pub(super) async fn change_issued_under<T>(
        &self,
        lease: &Lease,
        change: impl FnOnce(&mut Vec<Issued>) -> Result<T>,
    ) -> Result<T> {
        let now = self.today().unix_timestamp();
        let mut all = self.issued().await?;
        all.retain(|issued| issued.ends > now);
        let changed = change(&mut all)?;
        let text = serde_json::to_vec_pretty(&all).map_err(|e| Error::new(Kind::Failed, e.to_string()))?;
        self.store.put(lease, ISSUED, &text).await?;
        Ok(changed)
    }

    pub(super) async fn issued(&self) -> Result<Vec<Issued>> {
        let Some(text) = self.text(ISSUED).await? else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|e| {
            Error::new(Kind::Failed, format!("the list of issued certificates is damaged: {e}"))
                .fact("file", self.store.path(&Subject::Authority).join(ISSUED).display().to_string())
                .hint("bring the file back from a backup")
        })
    }
}

pub(super) fn of(kind: &str, name: &str, certificate: &Certificate) -> Issued {
    Issued {
        ends: OffsetDateTime::unix_timestamp(certificate.not_after()),
        serial: Some(certificate.serial().to_owned()),
        fingerprint: Some(certificate.fingerprint().to_owned()),
        ..named(kind, name)
    }
}

fn named(kind: &str, name: &str) -> Issued {
    Issued {
        kind: kind.to_owned(),
        name: name.to_owned(),
        role: None,
        machine: None,
        ends: 0,
        serial: None,
        revoked: None,
        open: Vec::new(),
        fingerprint: None,
        recipient: None,
    }
}
