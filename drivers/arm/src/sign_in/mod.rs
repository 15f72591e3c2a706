//! From a credential to a token, renewed before it ends. Entra and AD FS are asked differently, and nobody but the login
//! endpoint that the cloud itself named is ever asked: disconnected stamps reach no other.
//!
//! Everything that works for one machine of a command works for all: a [`SignIn`] is shared, and while one call fetches
//! a token the others wait for it.

mod assertion;
mod az;
mod device;
mod federated;
mod managed;
mod token;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use wharf_driver::{Clock, Error, Kind, Result, Secret, Session};

pub use federated::Federation;
pub(crate) use token::Token;

use crate::discovery::{Cloud, Identity};
use crate::http::{Http, send};

/// How somebody proves who they are.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A service principal with a secret.
    Secret {
        /// The application's id.
        client: String,
        /// Its secret.
        secret: Secret<String>,
    },
    /// A service principal with a certificate.
    Certificate {
        /// The application's id.
        client: String,
        /// Certificate and private key in one file: both in PEM, or PKCS#12.
        file: PathBuf,
        /// What a PKCS#12 file is protected with.
        password: Option<Secret<String>>,
    },
    /// A service principal that trusts tokens of somebody else: a CI job, a Kubernetes service account.
    Federated {
        /// The application's id.
        client: String,
        /// Where that token comes from.
        from: Federation,
    },
    /// The identity of the machine that this runs on.
    Managed {
        /// Which one, where it has several.
        client: Option<String>,
        /// The address and the header of the platform's own token service; `None` is the one of virtual machines.
        service: Option<(String, Secret<String>)>,
    },
    /// Whoever `az login` signed in, by asking the program.
    AzureCli {
        /// The program.
        program: PathBuf,
    },
    /// A person at a terminal, who types a code into a browser somewhere.
    Device {
        /// The application in whose name they sign in.
        client: String,
    },
}

impl Credential {
    /// In a few words, for messages.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "the service principal's secret",
            Self::Certificate { .. } => "the service principal's certificate",
            Self::Federated { .. } => "the federated token",
            Self::Managed { .. } => "the managed identity",
            Self::AzureCli { .. } => "`az login`",
            Self::Device { .. } => "the device code",
        }
    }
}

/// Tokens for one cloud, tenant and credential.
#[derive(Debug)]
pub struct SignIn {
    cloud: Cloud,
    tenant: Option<String>,
    credential: Credential,
    http: Http,
    session: Session,
    token: Mutex<Option<Arc<Token>>>,
}

/// A token that ends sooner than this is renewed first.
const SPARE: Duration = Duration::from_secs(300);

impl SignIn {
    /// Nobody is asked yet. `tenant` is who signs in; AD FS has none.
    #[must_use]
    pub fn new(
        http: Http,
        cloud: Cloud,
        tenant: Option<String>,
        credential: Credential,
        session: Session,
    ) -> Self {
        Self { cloud, tenant, credential, http, session, token: Mutex::default() }
    }

    /// A token that is good for the next minutes.
    ///
    /// # Errors
    /// Not allowed, with what the login endpoint says and what can be done about it.
    pub(crate) async fn token(&self) -> Result<Arc<Token>> {
        let mut kept = self.token.lock().await;
        let now = self.session.clock().now();
        if let Some(token) = kept.as_ref().filter(|token| token.until > now + SPARE) {
            return Ok(Arc::clone(token));
        }
        match self.fetch().await {
            Ok(token) => Ok(Arc::clone(kept.insert(Arc::new(token)))),
            // Better one that ends soon than none.
            Err(error) if error.kind().retryable() => match kept.as_ref().filter(|token| token.until > now) {
                Some(token) => Ok(Arc::clone(token)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Forgets a token that was refused, unless it was renewed meanwhile.
    pub(crate) async fn forget(&self, refused: &Arc<Token>) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
            *kept = None;
        }
    }

    async fn fetch(&self) -> Result<Token> {
        match &self.credential {
            Credential::Secret { client, secret } => {
                self.ask_for(client, &[("client_secret", secret.expose())]).await
            }
            Credential::Certificate { client, file, password } => {
                let endpoint = self.endpoint("token")?;
                let signed = assertion::sign(file, password.as_ref(), client, &endpoint, self.clock())?;
                self.ask_with_assertion(client, &signed).await
            }
            Credential::Federated { client, from } => {
                let assertion = from.token(&self.http).await?;
                self.ask_with_assertion(client, &assertion).await
            }
            Credential::Managed { client, service } => {
                managed::token(&self.cloud, client.as_deref(), service.as_ref(), self.clock()).await
            }
            Credential::AzureCli { program } => {
                az::token(program, &self.cloud, self.tenant.as_deref(), self.clock()).await
            }
            Credential::Device { client } => device::token(self, client).await,
        }
    }

    async fn ask_with_assertion(&self, client: &str, assertion: &Secret<String>) -> Result<Token> {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let proof = [("client_assertion_type", kind), ("client_assertion", assertion.expose().as_str())];
        self.ask_for(client, &proof).await
    }

    async fn ask_for(&self, client: &str, proof: &[(&str, &str)]) -> Result<Token> {
        let (name, audience) = self.audience();
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", client), (name, &audience)];
        form.extend_from_slice(proof);
        let request = self.http.client.post(self.endpoint("token")?).form(&form);
        let raw = send("signing in", request).await?;
        token::read(&raw, self.credential.describe(), self.clock())
    }

    /// Where `what` (`token`, `devicecode`) is asked for.
    fn endpoint(&self, what: &str) -> Result<String> {
        let login = &self.cloud.login;
        match (self.cloud.identity, &self.tenant) {
            // A tenant in the path is a 404 there.
            (Identity::AdFs, _) => Ok(format!("{login}/oauth2/{what}")),
            (Identity::Entra, Some(tenant)) => Ok(format!("{login}/{tenant}/oauth2/v2.0/{what}")),
            (Identity::Entra, None) => {
                Err(Error::new(Kind::NotAllowed, "the tenant to sign in to is not known")
                    .hint("name it with --azure-tenant-id or AZURE_TENANT_ID"))
            }
        }
    }

    /// How the audience is asked for: AD FS does not know scopes.
    fn audience(&self) -> (&'static str, String) {
        match self.cloud.identity {
            Identity::AdFs => ("resource", self.cloud.audience.clone()),
            Identity::Entra => ("scope", format!("{}/.default", self.cloud.audience)),
        }
    }

    fn clock(&self) -> &dyn Clock {
        &**self.session.clock()
    }
}

/// The tenant that a subscription belongs to: ARM names it when it refuses a call without a token.
///
/// # Errors
/// When nobody answers; not allowed when the endpoint names none, as for a subscription that is not there.
pub async fn ask_tenant(http: &Http, cloud: &Cloud, subscription: &str) -> Result<String> {
    let url = format!("{}/subscriptions/{subscription}?api-version=2016-06-01", cloud.endpoint);
    let raw = send("asking for the subscription's tenant", http.client.get(url)).await?;
    let named = raw.header("www-authenticate").and_then(|header| {
        let uri = header.split("authorization_uri=").nth(1)?;
        let uri = uri.trim_start_matches('"').split(['"', ',', ' ']).next()?;
        uri.trim_end_matches('/').rsplit('/').next().map(str::to_owned)
    });
    named.filter(|tenant| !tenant.is_empty()).ok_or_else(|| {
        Error::new(Kind::NotAllowed, format!("{} knows no subscription `{subscription}`", cloud.endpoint))
            .hint("check the subscription's id and the endpoint, or name the tenant with --azure-tenant-id")
    })
}
