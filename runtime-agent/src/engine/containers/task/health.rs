//! What the health checks find, as the container's state.

use std::sync::Arc;

use super::Task;
use crate::engine::containers::health::{Check, HealthStatus, Monitor, Probe};
use crate::engine::containers::record::Status;

impl Task {
    /// Has somebody look, if there is anything to look at.
    pub(super) fn watch_health(&mut self) {
        let Some(shim) = self.now.shim.clone().filter(|_| self.status() == Status::Running) else { return };
        self.monitor = Check::of(&self.now.record.config).map(|check| {
            let own = (self.own.clone(), self.run);
            Monitor::begin(Arc::clone(&self.world), shim, check, self.published.subscribe(), own)
        });
    }

    /// Nobody looks any more: then nobody can say that it is healthy.
    pub(super) fn unwatch_health(&mut self) {
        if self.monitor.take().is_some()
            && let Some(health) = &mut self.now.record.state.health
        {
            health.status = HealthStatus::Unhealthy;
        }
    }

    pub(super) async fn probed(&mut self, probe: Probe) {
        let started = self.now.record.state.started;
        let check = Check::of(&self.now.record.config).filter(|_| self.status() == Status::Running);
        let (Some(check), Some(health)) = (check, &mut self.now.record.state.health) else { return };
        let streak = health.failing_streak;
        let changed = health.record(probe, &check, started);
        let (status, counts) = (health.status, changed || health.failing_streak != streak);
        // The log alone is not worth waiting for the disk every few seconds.
        if !counts {
            self.publish();
        } else if let Err(error) = self.commit().await {
            tracing::error!(%error, container = self.now.record.id, "a health check is not on disk");
        }
        if changed {
            self.tell(&format!("health_status: {}", status.as_str()), []);
        }
    }
}
