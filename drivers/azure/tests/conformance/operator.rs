//! Whoever looks after the account: makes what the driver is to find there, and reads what it made.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wharf_arm::{Arm, Call, Credential, Method, SignIn, Tested, Trust, discover};
use wharf_driver::{Clock as _, Secret, Session, SystemClock};

use crate::world::Cloud;

pub(crate) const GROUPS: &str = "Microsoft.Resources/resourceGroups";
pub(crate) const MACHINES: &str = "Microsoft.Compute/virtualMachines";
pub(crate) const INTERFACES: &str = "Microsoft.Network/networkInterfaces";
pub(crate) const NETWORKS: &str = "Microsoft.Network/virtualNetworks";
pub(crate) const FIREWALLS: &str = "Microsoft.Network/networkSecurityGroups";
pub(crate) const ADDRESSES: &str = "Microsoft.Network/publicIPAddresses";
pub(crate) const SETS: &str = "Microsoft.Compute/availabilitySets";
pub(crate) const PROXIMITY: &str = "Microsoft.Compute/proximityPlacementGroups";

const NETWORK: &[&str] = &["2018-11-01", "2024-05-01"];
const COMPUTE: &[&str] = &["2020-06-01", "2024-07-01"];
const TESTED: Tested = Tested(&[
    (GROUPS, &["2019-10-01", "2021-04-01"]),
    (MACHINES, COMPUTE),
    (SETS, COMPUTE),
    (PROXIMITY, COMPUTE),
    (INTERFACES, NETWORK),
    (NETWORKS, NETWORK),
    (FIREWALLS, NETWORK),
    (ADDRESSES, NETWORK),
]);

pub(crate) struct Operator {
    arm: Arm,
    _cache: tempfile::TempDir,
}

impl Operator {
    pub(crate) async fn of(cloud: &Cloud) -> Self {
        let (simulator, cache) = (&cloud.simulator, tempfile::tempdir().unwrap());
        let trust = Trust { authority: Some(simulator.ca()), ..Trust::default() };
        let (http, session) = (trust.client().unwrap(), Session::new(Arc::new(SystemClock::new())));
        let there = discover(&http, simulator.endpoint(), cache.path(), &**session.clock()).await.unwrap();
        let account = &simulator.config().account;
        let credential = Credential::Secret {
            client: account.client.clone(),
            secret: Secret::new(account.secret.clone()),
        };
        let tenant = Some(account.tenant.clone());
        let sign_in = SignIn::new(http.clone(), there.clone(), tenant, credential, session.clone());
        let id = account.subscription.clone();
        let arm = Arm::connect(http, Arc::new(sign_in), there, id, TESTED, cache.path(), session);
        Self { arm: arm.await.unwrap(), _cache: cache }
    }

    /// The id of something in a group; of the group itself without a name.
    pub(crate) fn id(&self, group: &str, kind: &str, name: &str) -> String {
        let group = format!("/subscriptions/{}/resourceGroups/{group}", self.arm.subscription());
        if kind == GROUPS { group } else { format!("{group}/providers/{kind}/{name}") }
    }

    /// Makes it, and waits until it is there.
    pub(crate) async fn make(&self, group: &str, kind: &str, name: &str, body: Value) -> String {
        let id = self.id(group, kind, name);
        let body = |_: &str| body.clone();
        let call = Call::new(Method::PUT, "making what is to be found", kind, &id).with(&body);
        self.arm.carry_out(&call, SystemClock::new().now() + Duration::from_secs(60)).await.unwrap();
        id
    }

    /// Gives it these tags and no others.
    pub(crate) async fn tag(&self, kind: &str, id: &str, tags: Value) {
        let body = |_: &str| serde_json::json!({ "tags": tags.clone() });
        let call = Call::new(Method::PATCH, "changing its tags", kind, id).with(&body);
        self.arm.carry_out(&call, SystemClock::new().now() + Duration::from_secs(60)).await.unwrap();
    }

    /// What is there under this id.
    pub(crate) async fn read(&self, kind: &str, id: &str) -> Value {
        self.arm.find(&Call::get("looking", kind, id)).await.unwrap().unwrap_or_default()
    }

    /// The only one of this kind.
    pub(crate) async fn only(&self, kind: &str) -> Value {
        let path = format!("/subscriptions/{}/providers/{kind}", self.arm.subscription());
        let mut all = self.arm.list(&Call::get("listing", kind, &path)).await.unwrap();
        assert_eq!(all.len(), 1, "{kind}: {all:?}");
        all.remove(0)
    }
}
