//! A server's certificate, signed for a key that never left the machine.

use rcgen::{CertificateSigningRequestParams, ExtendedKeyUsagePurpose, SanType};
use time::{Duration, OffsetDateTime};

use crate::authority::identity;
use crate::{Authority, Certificate, Error, Name};

/// Who a server's certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The stable identity of the machine, whatever its address is today.
    pub machine: String,
    /// The addresses and names it is reached by.
    pub names: Vec<Name>,
}

impl Authority {
    /// Signs a machine's request. Only the key is taken from it, and that the sender holds it is verified; names and
    /// usages are decided here.
    pub fn sign_server(
        &self,
        request_pem: &str,
        server: &Server,
        now: OffsetDateTime,
    ) -> Result<Certificate, Error> {
        let damaged = |error: rcgen::Error| Error::Damaged { what: "request", reason: error.to_string() };
        let mut request = CertificateSigningRequestParams::from_pem(request_pem).map_err(damaged)?;
        let machine = identity(&server.machine)?;
        let mut params = self.leaf(&format!("wharf machine {machine}"), now, VALID)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let names = server.names.iter().map(Name::to_san).collect::<Result<Vec<_>, _>>()?;
        params.subject_alt_names = names;
        params.subject_alt_names.push(SanType::URI(format!("wharf:machine:{machine}").try_into()?));
        request.params = params;
        Certificate::parse(&request.signed_by(self.issuer())?.pem())
    }
}

const VALID: Duration = Duration::days(365);
