//! The shared store of a run: opened once, and left only when its locks are let go of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use wharf_core::OsEntropy;
use wharf_core::store::Store as _;
#[cfg(feature = "aws")]
use wharf_driver::Session;
use wharf_driver::SystemClock;
#[cfg(feature = "aws")]
use wharf_objects::AwsCredential;
use wharf_objects::{Address, ObjectStore, Objects, Place, SignIn, Times};

use crate::Build;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::world::World;

/// Opens the store at `address`. Nothing is asked yet.
pub(crate) async fn open(
    address: &Address,
    config: &Config,
    world: &World,
    build: &Build,
) -> Result<Arc<Objects>> {
    let objects = (build.objects)(address, &world.env).await.map_err(Error::from)?;
    let place = Place {
        objects,
        prefix: address.prefix.clone(),
        name: address.to_string(),
        own: config.store.clone(),
        person: world.person_here(),
        times: times(world)?,
    };
    Ok(Arc::new(Objects::new(place, Arc::new(SystemClock::new()), Arc::new(OsEntropy))))
}

/// The objects at `address`, reached as the environment says, and in a build that has the driver for AWS by its
/// sign-in: a person's laptop has profiles and single sign-on where a job has keys.
pub(crate) fn connect<'a>(
    address: &'a Address,
    environment: &'a BTreeMap<String, String>,
) -> BoxFuture<'a, wharf_core::Result<Arc<dyn ObjectStore>>> {
    Box::pin(async move {
        let sign_in = match wharf_objects::needs_sign_in(address, environment) {
            true => sign_in(environment).await?,
            false => None,
        };
        wharf_objects::connect(address, environment, sign_in)
    })
}

#[cfg(feature = "aws")]
async fn sign_in(environment: &BTreeMap<String, String>) -> wharf_core::Result<Option<Arc<dyn SignIn>>> {
    let session = Session::new(Arc::new(SystemClock::new())).with_environment(environment.clone());
    Ok(Some(Arc::new(Amazon(wharf_driver_aws::SignIn::of(&session).await?))))
}

#[cfg(not(feature = "aws"))]
async fn sign_in(_: &BTreeMap<String, String>) -> wharf_core::Result<Option<Arc<dyn SignIn>>> {
    Ok(None)
}

/// Whoever signs in where machines are made in AWS.
#[cfg(feature = "aws")]
#[derive(Debug)]
struct Amazon(wharf_driver_aws::SignIn);

#[cfg(feature = "aws")]
impl SignIn for Amazon {
    fn keys(&self) -> BoxFuture<'_, wharf_core::Result<AwsCredential>> {
        Box::pin(async {
            let keys = self.0.keys().await?;
            Ok(AwsCredential {
                key_id: keys.id,
                secret_key: keys.secret.expose().clone(),
                token: keys.token.map(|token| token.expose().clone()),
            })
        })
    }

    fn region(&self) -> Option<&str> {
        self.0.region()
    }
}

/// Waits until the locks of what is over are free for others: not for long, since they run out by themselves.
pub(crate) async fn let_go(store: &Objects) {
    if tokio::time::timeout(PATIENCE, store.settled()).await.is_err() {
        tracing::debug!("a lock was not let go of in time: it runs out by itself");
    }
}

/// How long locks last, where the environment says otherwise than usual.
fn times(world: &World) -> Result<Times> {
    let Some(text) = world.var("WHARF_LOCK_TIME") else { return Ok(Times::default()) };
    let lease = crate::config::span(text).map_err(|e| Error::usage(format!("WHARF_LOCK_TIME: {e}")))?;
    Times::of(lease).ok_or_else(|| {
        Error::usage(format!("WHARF_LOCK_TIME is {text}, which is too short for a call to the store"))
            .hint("it is how long the lock of a command that was killed stays: 30s is usual, 3s the least")
    })
}

const PATIENCE: Duration = Duration::from_secs(10);
