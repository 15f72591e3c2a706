//! Registration of resource providers: a subscription that never used one must register it before the first write.
//! Reads never register anything.

use std::time::{Duration, Instant};

use wharf_driver::{Error, Kind};

use crate::client::{Arm, Call};
use crate::versions::namespace;
use crate::{Answer, Method, Trouble};

/// What became of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It was registered already.
    There,
    /// It is registered now.
    Made,
}

/// The version that every cloud and stamp has for this.
pub(crate) const PROVIDERS: &str = "2016-09-01";
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Arm {
    /// Makes sure that the namespace of `kind` is registered.
    ///
    /// # Errors
    /// Not allowed where the account may not do it, with what to ask for.
    pub(crate) async fn register(&self, kind: &str, until: Instant) -> Answer<Registration> {
        let name = namespace(kind);
        let registered =
            |state: Option<&str>| state.is_none_or(|state| state.eq_ignore_ascii_case("Registered"));
        if registered(self.advertised().state(name)) {
            return Ok(Registration::There);
        }
        self.register_anyway(kind, until).await
    }

    /// Registers the namespace of `kind`, whatever the list says.
    pub(crate) async fn register_anyway(&self, kind: &str, until: Instant) -> Answer<Registration> {
        let name = namespace(kind);
        // Machines that are made at once wait for one of them to do it.
        let _alone = self.registering.lock().await;
        let path = format!("/subscriptions/{}/providers/{name}", self.subscription());
        let doing = format!("registering the provider {name}");
        let mut state = self.state_of(&doing, &path).await?;
        let mut found = Registration::There;
        if !state.eq_ignore_ascii_case("Registered") {
            found = Registration::Made;
            let register = format!("{path}/register");
            let call = Call::new(Method::POST, &doing, "Microsoft.Resources/providers", &register);
            let reply = self.once(&call, PROVIDERS).await.map_err(|trouble| not_allowed(trouble, name))?;
            reply.body["registrationState"].as_str().unwrap_or("Registering").clone_into(&mut state);
        }
        while !state.eq_ignore_ascii_case("Registered") {
            if self.clock().now() + LOOK_AGAIN >= until {
                let message = format!("the provider {name} is still `{state}`");
                return Err(Error::new(Kind::TimedOut, message).hint("try again in some minutes").into());
            }
            self.clock().sleep(LOOK_AGAIN).await;
            state = self.state_of(&doing, &path).await?;
        }
        self.set_state(name, "Registered");
        Ok(found)
    }

    async fn state_of(&self, doing: &str, path: &str) -> Answer<String> {
        let call = Call::new(Method::GET, doing, "Microsoft.Resources/providers", path);
        let reply = self.once(&call, PROVIDERS).await?;
        Ok(reply.body["registrationState"].as_str().unwrap_or("NotRegistered").to_owned())
    }
}

fn not_allowed(trouble: Trouble, name: &str) -> Trouble {
    match trouble {
        Trouble::Said(fault) if fault.status == Some(403) => {
            let error = fault.into_error();
            let ours = Error::new(Kind::NotAllowed, error.to_string())
                .hint(format!(
                    "ask an owner of the subscription to run `az provider register --namespace {name}`"
                ))
                .caused_by(error);
            ours.into()
        }
        other => other,
    }
}
