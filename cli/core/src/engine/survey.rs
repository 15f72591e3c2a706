//! What a place is and offers, before there is a machine in it.

use serde_json::Value;
use wharf_driver::{
    Account, ActionKey, Context, MachineId, MachineName, OwnerTag, Places, Progress, StoreId, Survey,
};

use crate::engine::work::bounded;
use crate::{Call, Result, Wharf};

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
        let owner = OwnerTag {
            store: StoreId(String::new()),
            machine: nobody,
            name: name.clone(),
            made: 0,
            expires: None,
        };
        let (events, about) = (call.events.clone(), owner.name.clone());
        let cx = Context {
            key: ActionKey::derive(&owner.machine, "", 0),
            owner,
            seed: None,
            deadline: until,
            cancel: call.cancel.clone(),
            progress: Progress::new(move |what| events.say(&about, crate::What::Doing(what.to_owned()))),
            places: Places {
                machine: self.cache.clone(),
                cache: self.cache.clone(),
                program: self.program.clone(),
            },
            session: self.session.clone(),
        };
        self.make_places(&cx.places)?;
        let asking = async {
            let driver = factory.connect(config.clone(), &cx).await?;
            Ok((driver.survey(&cx).await?, driver.account()))
        };
        bounded(self, call, until, "signing in", asking).await
    }
}
