//! Work on bodies, which takes real time and happens outside the lock.

use std::sync::Arc;
use std::time::Duration;

use super::{Cloud, Order, deeds};
use crate::body::{Body, Turns};
use crate::resource::{BodyState, machine};

impl Cloud {
    /// Lives: does what is due when it is due, and works on bodies, until the task is dropped.
    pub(crate) async fn live(self: Arc<Self>) {
        let mut at_work = tokio::task::JoinSet::new();
        let turns = Turns::default();
        loop {
            let next = self.catch_up();
            let orders = std::mem::take(&mut self.state().orders);
            for order in orders {
                let (cloud, mut turn) = (Arc::clone(&self), turns.next(order.machine()));
                at_work.spawn(async move {
                    turn.comes().await;
                    cloud.obey(order).await;
                    drop(turn);
                });
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
            Order::Start(id) => {
                let done = self.with_body(&id, |body| Box::pin(async move { body.start().await })).await;
                self.obeyed(&id, done);
            }
            Order::Stop(id) => {
                let done = self.with_body(&id, |body| Box::pin(async move { body.stop().await })).await;
                self.obeyed(&id, done);
            }
            Order::Restart(id) => {
                let restart = |body: Arc<dyn Body>| -> crate::body::Doing<'static, ()> {
                    Box::pin(async move {
                        body.stop().await?;
                        body.start().await
                    })
                };
                let done = self.with_body(&id, restart).await;
                self.obeyed(&id, done);
            }
            Order::Rules(id) => {
                let rules = {
                    let state = self.state();
                    state.resources.get(&id).map(|vm| machine::rules(&state, vm)).unwrap_or_default()
                };
                // Rules that do not hold show by themselves: something answers, or nothing does.
                let _ = self.with_body(&id, |body| Box::pin(async move { body.admit(rules).await })).await;
            }
            Order::Destroy(_, body) => {
                // The machine is gone; nobody is left to tell.
                let _ = body.destroy().await;
            }
        }
    }

    /// The operation that a change of power belongs to can end.
    fn obeyed(&self, id: &str, how: Result<(), String>) {
        let now = self.clock().now();
        let mut state = self.state();
        if let Some(machine) = state.resources.get_mut(id).and_then(|vm| vm.machine.as_mut()) {
            machine.obeys.over(how);
        }
        deeds::body_obeyed(&mut state, id, now);
        drop(state);
        self.changed.notify_one();
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
            deeds::body_obeyed(&mut state, id, now);
            orphan
        };
        if let Some(body) = orphan {
            let _ = body.destroy().await;
        }
        self.changed.notify_one();
    }

    async fn with_body(
        &self,
        id: &str,
        what: impl FnOnce(Arc<dyn Body>) -> crate::body::Doing<'static, ()>,
    ) -> Result<(), String> {
        let body = {
            let state = self.state();
            match state.resources.get(id).and_then(|vm| vm.machine.as_ref()).map(|m| m.body.clone()) {
                Some(BodyState::Here(body)) => body,
                _ => return Ok(()),
            }
        };
        what(body).await
    }
}
