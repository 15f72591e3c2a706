//! What a simulated cloud is made with: values only, so that two runs of one configuration are the same cloud.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::body::{Bodies, NoBodies};
use crate::cloud::Clock;
use crate::flavour::{Flavour, IdentitySystem};

/// How to make a cloud. `Config::new` gives one that runs at once; change what a test is about.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which cloud to be.
    pub flavour: Flavour,
    /// Who signs in, where it isn't the flavour's own (a connected stamp uses Entra).
    pub identity: IdentitySystem,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to listen for a CONNECT proxy that leads here whatever the name, so that a client may use real names.
    pub proxy: Option<SocketAddr>,
    /// Where to listen for the metadata service's tokens (managed identity), without TLS.
    pub metadata: Option<SocketAddr>,
    /// Where to listen for the person at the controls, without TLS.
    pub control: Option<SocketAddr>,
    /// How names are formed.
    pub names: Naming,
    /// Time, and how fast it passes.
    pub clock: Clock,
    /// Decides ids, jitter and dice.
    pub seed: u64,
    /// Who may do what.
    pub account: Account,
    /// Allowances of the subscription.
    pub quotas: Quotas,
    /// Whether requests count against the published buckets.
    pub throttled: bool,
    /// Whether those refill in the cloud's own time, as for a client whose clock runs as fast. Otherwise they refill in
    /// this computer's, whatever the scale.
    pub limits_scale: bool,
    /// How long a list may not know of a change, in the real cloud's time.
    pub list_lag: Duration,
    /// How many items a list answers at once; the rest is behind its `nextLink`.
    pub page: usize,
    /// Namespaces that the subscription is registered for; the others must be registered first.
    pub registered: Vec<String>,
    /// What stands behind a simulated machine.
    pub bodies: Arc<dyn Bodies>,
    /// Images that the operator did not syndicate to this stamp although a public cloud has them.
    pub without_images: bool,
}

/// How the cloud is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// `management.LOCATION.SUFFIX:PORT`. Below `localhost` every resolver finds it on this computer.
    Below(String),
    /// As the real cloud: `management.azure.com`, without a port. For clients that come through the proxy.
    Real,
}

/// The tenant, the subscription, and who may sign in.
#[derive(Debug, Clone)]
pub struct Account {
    /// The tenant's id.
    pub tenant: String,
    /// The subscription's id.
    pub subscription: String,
    /// The application's id.
    pub client: String,
    /// The application's object id, as errors name it.
    pub object: String,
    /// Its secret.
    pub secret: String,
    /// A secret that was valid once.
    pub expired_secret: String,
    /// Certificates (PEM files) that the application may sign with.
    pub certificates: Vec<PathBuf>,
    /// The subject of tokens from elsewhere that the application accepts.
    pub federated_subject: String,
    /// The user who signs in by device code.
    pub user: String,
    /// Actions that are refused, as `Microsoft.Network/register/action`; a trailing `*` matches the rest.
    pub denied: Vec<String>,
    /// The actions that are allowed, where not all are.
    pub granted: Option<Vec<String>>,
    /// The application has a role on no subscription: none is listed, and the one there is cannot be read.
    pub without_role: bool,
    /// How long a token is valid.
    pub token_lifetime: Duration,
}

/// What a region of the subscription may hold.
#[derive(Debug, Clone)]
pub struct Quotas {
    /// Cores of regular machines.
    pub cores: u32,
    /// Cores of spot machines.
    pub spot_cores: u32,
    /// Machines.
    pub machines: u32,
    /// Public addresses.
    pub addresses: u32,
}

impl Config {
    /// A cloud of this flavour on a free port of this computer, without bodies.
    pub fn new(flavour: Flavour, clock: Clock) -> Self {
        let everybody = [([127, 0, 0, 1], 0).into(); 2];
        Self {
            flavour,
            identity: flavour.identity(),
            listen: everybody[0],
            proxy: None,
            metadata: None,
            control: None,
            names: Naming::Below("localhost".to_owned()),
            clock,
            seed: 1,
            account: Account::default(),
            quotas: Quotas { cores: 1000, spot_cores: 300, machines: 25_000, addresses: 1000 },
            throttled: true,
            limits_scale: false,
            list_lag: Duration::ZERO,
            page: 1000,
            registered: crate::cloud::NAMESPACES.iter().map(|n| (*n).to_owned()).collect(),
            bodies: Arc::new(NoBodies),
            without_images: false,
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            tenant: "3f8e2b5a-6d1c-4e7f-9a0b-1c2d3e4f5a6b".to_owned(),
            subscription: "7c1d9e2f-3a4b-4c5d-8e6f-7a8b9c0d1e2f".to_owned(),
            client: "a1b2c3d4-e5f6-4789-8abc-def012345678".to_owned(),
            object: "0f9e8d7c-6b5a-4493-8271-605f4e3d2c1b".to_owned(),
            secret: "open~Sesame.for_the-simulator8Q".to_owned(),
            expired_secret: "stale~Sesame.for_the-simulator8".to_owned(),
            certificates: Vec::new(),
            federated_subject: "repo:example/fleet:ref:refs/heads/main".to_owned(),
            user: "ann@example.onmicrosoft.com".to_owned(),
            denied: Vec::new(),
            granted: None,
            without_role: false,
            token_lifetime: Duration::from_secs(3600),
        }
    }
}
