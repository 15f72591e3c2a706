//! Azure Resource Manager, whichever: public Azure, a sovereign cloud, or an Azure Stack Hub in a cellar.
//!
//! Everything that differs between them is worked out from the endpoint. The order of a connection:
//!
//! 1. [`Trust`] says whose certificates are believed and by which proxy the way leads; it makes the HTTP client.
//! 2. [`discover`] asks the endpoint what it is: where people sign in, for which audience, by Entra or AD FS.
//! 3. [`SignIn`] turns a [`Credential`] into tokens and renews them before they end.
//! 4. [`Arm`] speaks to the endpoint as one subscription: it chooses an api-version for every type from what the
//!    endpoint advertises and what this release was tested with, keeps below the published rate limits before a 429
//!    comes, registers providers that are missing, and follows long-running operations to their real end.
//!
//! What goes wrong is a [`Trouble`]: what the service said (a [`Fault`] with its code, ids and details), or an error of
//! the way there. It becomes a driver's error by `?`.
//!
//! A call is one attempt, and may be made again: retries are the driver's layers. Waiting for an operation goes over
//! the clock that comes in. Nothing here reads the environment.
#![forbid(unsafe_code)]

mod client;
mod clock;
mod discovery;
mod errors;
mod http;
mod keep;
mod operations;
mod poller;
mod providers;
mod sign_in;
mod throttle;
mod trust;
mod versions;

pub use client::{Arm, Call, Reply, subscriptions};
pub use clock::{date, moment};
pub use discovery::{Cloud, Identity, discover};
pub use errors::{Detail, Fault, Trouble};
pub use http::{Http, Method};
pub use providers::Registration;
pub use sign_in::{Credential, Federation, SignIn, ask_tenant};
pub use throttle::Throttle;
pub use trust::{Proxies, Trust};
pub use versions::{Advertised, Tested, Version};

/// Downloads an address that the service handed out itself, such as a console's: without a token.
///
/// # Errors
/// When nobody answers, or not with a text.
pub async fn download(http: &Http, url: &str) -> wharf_driver::Result<String> {
    let raw = http::send("downloading", http.client.get(http::safe_url(url)?)).await?;
    if raw.is_success() {
        return Ok(raw.body);
    }
    let message = format!("downloading was refused with status {}", raw.status);
    Err(wharf_driver::Error::new(wharf_driver::Kind::Failed, message))
}

/// The result of a call.
pub type Answer<T> = Result<T, Trouble>;
