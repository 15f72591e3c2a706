//! What stands behind an instance: made with its user data, and started, stopped and taken away as the instance is. An
//! instance is on its way for as long as this takes.

use std::sync::Arc;

use wharf_sim::body::Birth;

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
    if !inner.bodies.real() {
        return;
    }
    {
        let mut state = inner.state();
        let Some(life) = state.instances.get_mut(id) else { return };
        life.asked += 1;
    }
    let (inner, id) = (Arc::clone(inner), id.to_owned());
    let mut turn = inner.turns.next(&id);
    tokio::spawn(async move {
        turn.comes().await;
        let body = inner.state().instances.get(&id).and_then(|life| life.body.clone());
        let done = match (body, phase) {
            (None, _) => Ok(()),
            (Some(body), Phase::Running) => body.start().await,
            (Some(body), Phase::Stopped) => body.stop().await,
            (Some(body), Phase::Terminated) => body.destroy().await,
        };
        if let Some(life) = inner.state().instances.get_mut(&id) {
            life.asked = life.asked.saturating_sub(1);
            if let (Err(why), Phase::Running) = (done, phase) {
                life.early = Some(format!("Server.InternalError: {why}"));
            }
        }
    });
}
