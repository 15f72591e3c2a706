//! The identity of the machine that this runs on, by the platform's own token service. It is on the machine's own
//! network, never behind a proxy.

use std::time::Duration;

use reqwest::Url;
use wharf_driver::{Clock, Error, Kind, Result, Secret};

use super::token::{self, Token};
use crate::discovery::Cloud;
use crate::http::send;
use crate::trust::Trust;

const OF_MACHINES: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// Where there is no such service nobody answers at all.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn token(
    cloud: &Cloud,
    client: Option<&str>,
    service: Option<&(String, Secret<String>)>,
    clock: &dyn Clock,
) -> Result<Token> {
    // Straight, whatever proxy leads to the cloud.
    let http = Trust::default().client()?.client;
    let address = service.map_or(OF_MACHINES, |(url, _)| url);
    let version = if service.is_some() { "2019-08-01" } else { "2018-02-01" };
    let mut url = address.parse::<Url>().map_err(|error| {
        Error::new(
            Kind::NotAllowed,
            format!("the platform's token service `{address}` is no address: {error}"),
        )
    })?;
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", &cloud.audience);
    if let Some(client) = client {
        url.query_pairs_mut().append_pair("client_id", client);
    }
    let request = match service {
        None => http.get(url).header("Metadata", "true"),
        Some((_, header)) => http.get(url).header("X-IDENTITY-HEADER", header.expose()),
    };
    let raw = send("asking for the managed identity", request.timeout(PATIENCE)).await.map_err(|error| {
        Error::new(
            Kind::NotAllowed,
            "this computer has no managed identity: its token service does not answer",
        )
        .hint("managed identities are of machines in Azure; sign in otherwise, as with `az login`")
        .caused_by(error)
    })?;
    token::read(&raw, "the managed identity", clock)
}
