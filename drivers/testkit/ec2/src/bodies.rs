//! What stands behind an instance: made with its user data, and started, stopped and taken away as the instance is. An
//! instance is on its way for as long as this takes.

use std::sync::Arc;

use wharf_sim::body::{Birth, Body, Doing};

use crate::rules::rules;
use crate::simulator::Inner;
use crate::state::Phase;

/// Makes what stands behind the instance `id`.
pub(crate) fn make(
    inner: &Arc<Inner>,
    id: &str,
    user_data: Vec<u8>,
    private: String,
    public: Option<String>,
) {
    if !inner.bodies.real() {
        return;
    }
    let birth = Birth {
        id: id.to_owned(),
        name: id.to_owned(),
        host_name: format!("ip-{}", private.replace('.', "-")),
        user: "ubuntu".to_owned(),
        keys: Vec::new(),
        custom_data: Some(user_data),
        user_data: None,
        cloud_init: true,
        image: "amazon:ubuntu:24.04:latest".to_owned(),
        cores: 2,
        memory: 2048,
        private_address: Some(private),
        public_address: public,
        rules: Vec::new(),
    };
    let (inner, id) = (Arc::clone(inner), id.to_owned());
    let mut turn = inner.turns.next(&id);
    tokio::spawn(async move {
        turn.comes().await;
        let groups = inner.state().instances.get(&id).map(|life| life.groups.clone()).unwrap_or_default();
        let birth = Birth { rules: rules(&inner, &groups).await, ..birth };
        let made = inner.bodies.create(birth).await;
        let mut state = inner.state();
        let Some(life) = state.instances.get_mut(&id) else { return };
        life.asked = life.asked.saturating_sub(1);
        match made {
            Ok(body) => life.body = Some(body),
            Err(why) => life.early = Some(format!("Client.InstanceInitiatedShutdown: {why}")),
        }
    });
}

/// Has what stands behind the instance follow its new phase.
pub(crate) fn follow(inner: &Arc<Inner>, id: &str, phase: Phase) {
    let doing = move |body: Arc<dyn Body>, public: Option<String>| -> Doing<'static, ()> {
        Box::pin(async move {
            match phase {
                Phase::Running => {
                    body.move_to(public).await?;
                    body.start().await
                }
                Phase::Stopped => body.stop().await,
                Phase::Terminated => body.destroy().await,
            }
        })
    };
    ask(inner, id, true, doing);
}

/// Has what stands behind the instance be reached where the instance is now.
pub(crate) fn move_there(inner: &Arc<Inner>, id: &str) {
    ask(inner, id, false, |body, public| Box::pin(async move { body.move_to(public).await }));
}

/// Has what stands behind every instance of this group heed its rules, which have changed.
pub(crate) fn heed(inner: &Arc<Inner>, group: &str) {
    let state = inner.state();
    let of_group = state.instances.iter().filter(|(_, life)| life.groups.iter().any(|one| one == group));
    let of_group: Vec<(String, Vec<String>)> =
        of_group.map(|(id, life)| (id.clone(), life.groups.clone())).collect();
    drop(state);
    for (id, groups) in of_group {
        let cloud = Arc::clone(inner);
        ask(inner, &id, false, move |body, _| {
            Box::pin(async move { body.admit(rules(&cloud, &groups).await).await })
        });
    }
}

/// Asks something of what stands behind the instance, once it has done everything before. A new `phase` is there when
/// this is done, and never when it fails.
fn ask(
    inner: &Arc<Inner>,
    id: &str,
    phase: bool,
    what: impl FnOnce(Arc<dyn Body>, Option<String>) -> Doing<'static, ()> + Send + 'static,
) {
    if !inner.bodies.real() {
        return;
    }
    {
        let mut state = inner.state();
        let Some(life) = state.instances.get_mut(id) else { return };
        life.asked += usize::from(phase);
    }
    let (inner, id) = (Arc::clone(inner), id.to_owned());
    let mut turn = inner.turns.next(&id);
    tokio::spawn(async move {
        turn.comes().await;
        let there = {
            let state = inner.state();
            let life = state.instances.get(&id);
            life.and_then(|life| Some((life.body.clone()?, state.address(life))))
        };
        let done = match there {
            Some((body, public)) => what(body, public).await,
            None => Ok(()),
        };
        if let Some(life) = inner.state().instances.get_mut(&id).filter(|_| phase) {
            life.asked = life.asked.saturating_sub(1);
            life.early = done.err().map(|why| format!("Server.InternalError: {why}")).or(life.early.take());
        }
    });
}
