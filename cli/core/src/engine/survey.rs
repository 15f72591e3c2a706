//! What a place is and offers, before there is a machine in it.

use std::time::Instant;

use serde_json::Value;
use wharf_driver::{
    Account, ActionKey, Context, MachineId, MachineName, OwnerTag, Progress, StoreId, Survey,
};

use crate::engine::work::bounded;
use crate::{Call, Result, Wharf, What};

impl Wharf {
    /// Signs in to the place that is to be called `name`, and asks what it is and offers, and whose account that is.
    /// Makes nothing.
    ///
    /// # Errors
    /// As the driver's connecting: not allowed, unreachable, or refused when it is no such place.
    pub async fn survey(
        &self,
        name: &MachineName,
        driver: &str,
        config: &Value,
        call: &Call,
    ) -> Result<(Survey, Option<Account>)> {
        let factory = self.driver(driver)?;
        let until = self.clock.now() + call.deadline;
        let nobody = MachineId::from_bytes([0; 16]);
        let store = StoreId(String::new());
        let owner = OwnerTag { store, machine: nobody, name: name.clone(), made: 0, expires: None };
        let mut cx = self.at_large(owner, call, until);
        cx.places.machine.clone_from(&cx.places.cache);
        self.make_places(&cx.places)?;
        let asking = async {
            let driver = factory.connect(config.clone(), &cx).await?;
            Ok((driver.survey(&cx).await?, driver.account()))
        };
        bounded(self, call, until, "signing in", asking).await
    }

    /// The context of a driver's call that is about no machine of this store.
    pub(super) fn at_large(&self, owner: OwnerTag, call: &Call, until: Instant) -> Context {
        let (events, about) = (call.events.clone(), owner.name.clone());
        Context {
            key: ActionKey::derive(&owner.machine, "", 0),
            places: self.places(&owner.name),
            owner,
            seed: None,
            deadline: until,
            cancel: call.cancel.clone(),
            progress: Progress::new(move |what| events.say(&about, What::Doing(what.to_owned()))),
            session: self.session.clone(),
        }
    }
}
