//! Work on bodies, which takes real time and happens outside the lock.

use std::sync::Arc;
use std::time::Duration;

use super::{Cloud, Order, deeds};
use crate::body::Body;
use crate::resource::{BodyState, machine};

impl Cloud {
    /// Lives: does what is due when it is due, and works on bodies, until the task is dropped.
    pub(crate) async fn live(self: Arc<Self>) {
        let mut at_work = tokio::task::JoinSet::new();
        loop {
            let next = self.catch_up();
            let orders = std::mem::take(&mut self.state().orders);
            for order in orders {
                at_work.spawn(Arc::clone(&self).obey(order));
            }
            let wait = next.map_or(Duration::from_secs(3600), |at| at.saturating_sub(self.clock().now()));
            // A manual clock does not pass by waiting: look again soon.
            let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(250));
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
                Some(_) = at_work.join_next() => {}
            }
        }
    }

    async fn obey(self: Arc<Self>, order: Order) {
        match order {
            Order::Create(id) => self.create_body(&id).await,
            Order::Start(id) => self.with_body(&id, |body| Box::pin(async move { body.start().await })).await,
            Order::Stop(id) => self.with_body(&id, |body| Box::pin(async move { body.stop().await })).await,
            Order::Restart(id) => {
                let restart = |body: Arc<dyn Body>| -> crate::body::Doing<'static, ()> {
                    Box::pin(async move {
                        body.stop().await?;
                        body.start().await
                    })
                };
                self.with_body(&id, restart).await;
            }
            Order::Rules(id) => {
                let rules = {
                    let state = self.state();
                    state.resources.get(&id).map(|vm| machine::rules(&state, vm)).unwrap_or_default()
                };
                self.with_body(&id, |body| Box::pin(async move { body.admit(rules).await })).await;
            }
            Order::Destroy(body) => {
                // The machine is gone; nobody is left to tell.
                let _ = body.destroy().await;
            }
        }
    }

    async fn create_body(&self, id: &str) {
        let birth = {
            let state = self.state();
            let Some(vm) = state.resources.get(id) else { return };
            machine::birth(self, &state, vm)
        };
        let made = self.config.bodies.create(birth).await;
        let now = self.clock().now();
        let orphan = {
            let mut state = self.state();
            let orphan = match (state.resources.get_mut(id).and_then(|vm| vm.machine.as_mut()), made) {
                (Some(machine), Ok(body)) => {
                    machine.body = BodyState::Here(body);
                    None
                }
                (Some(machine), Err(why)) => {
                    machine.body = BodyState::Failed(why);
                    None
                }
                // Deleted while its body was made.
                (None, made) => made.ok(),
            };
            // Rules may have changed meanwhile.
            state.orders.push(Order::Rules(id.to_owned()));
            deeds::body_came(&mut state, id, now);
            orphan
        };
        if let Some(body) = orphan {
            let _ = body.destroy().await;
        }
        self.changed.notify_one();
    }

    async fn with_body(&self, id: &str, what: impl FnOnce(Arc<dyn Body>) -> crate::body::Doing<'static, ()>) {
        let body = {
            let state = self.state();
            match state.resources.get(id).and_then(|vm| vm.machine.as_ref()).map(|m| m.body.clone()) {
                Some(BodyState::Here(body)) => body,
                _ => return,
            }
        };
        // A body that will not obey shows it by itself: nothing answers, or something still does.
        let _ = what(body).await;
    }
}
