//! Whether a certificate that somebody has is what is wanted for them, and good for long enough. Asks nobody.

use time::{Duration, OffsetDateTime};
use wharf_pki::Certificate;

use crate::engine::issue::{Issue, Issued};
use crate::{Error, Kind, Result, Wharf};

impl Wharf {
    /// Why a new certificate is due for somebody who has this one, as PEM; nothing where it is not. One is due once a
    /// third of its time is left.
    ///
    /// # Errors
    /// Refused when what they have was taken back: whoever did that did not mean them to get another one unasked.
    pub async fn due(&self, wish: &Issue, has: Option<&str>) -> Result<Option<String>> {
        let Some(pem) = has else { return Ok(Some("it is not there".to_owned())) };
        let Ok(certificate) = Certificate::parse(pem) else {
            return Ok(Some("what is there cannot be read".to_owned()));
        };
        let issued = self.issued().await?;
        // What ended is forgotten, and what another store issued was never known.
        let known = issued.iter().find(|one| one.serial.as_deref() == Some(certificate.serial()));
        let Some(known) = known else {
            return Ok(Some("what is there has ended, or is not this store's".to_owned()));
        };
        if known.revoked.is_some() {
            let message = format!("the certificate of `{}` was taken back", wish.name);
            return Err(Error::new(Kind::Refused, message)
                .hint("take them out of the fleet file; or delete their folder, to have a new one issued"));
        }
        Ok(differs(wish, known).or_else(|| ends(wish, &certificate, self.today())))
    }
}

fn differs(wish: &Issue, known: &Issued) -> Option<String> {
    let machine = |name: Option<&wharf_driver::MachineName>| {
        name.map_or("every machine", |name| name.as_str()).to_owned()
    };
    if known.name != wish.name {
        return Some(format!("it is {}'s", known.name));
    }
    if known.role != Some(wish.role) {
        let was = known.role.map(|role| role.to_string()).unwrap_or_default();
        return Some(format!("role: {was} → {}", wish.role));
    }
    (known.machine != wish.machine).then(|| {
        format!("it opens: {} → {}", machine(known.machine.as_ref()), machine(wish.machine.as_ref()))
    })
}

fn ends(wish: &Issue, certificate: &Certificate, now: OffsetDateTime) -> Option<String> {
    let third = Duration::try_from(wish.valid / 3).unwrap_or(Duration::MAX);
    let end = certificate.not_after();
    (end - now < third).then(|| format!("it ends on {}", end.date()))
}
