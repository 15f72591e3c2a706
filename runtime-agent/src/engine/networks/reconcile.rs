//! After a restart of the daemon: what living containers hold stays, everything else is taken back.

use super::Networks;
use crate::engine::error::{Error, Result};

impl Networks {
    /// Call it once, knowing which containers live, before the first request.
    pub(crate) async fn reconcile(&self, live: &[String]) -> Result<()> {
        let held: Vec<String> = self.state().sandboxes.keys().cloned().collect();
        for container in held.iter().filter(|container| !live.contains(container)) {
            self.detach(container).await?;
        }
        for container in self.stray_namespaces()?.iter().filter(|container| !live.contains(container)) {
            self.detach(container).await?;
        }
        let sandboxes: Vec<_> = self.state().sandboxes.values().cloned().collect();
        for sandbox in &sandboxes {
            for endpoint in &sandbox.endpoints {
                let network = self.find(&endpoint.network)?;
                self.raise(&network).await?;
            }
            self.serve_ipv6(sandbox);
            if self.has_names(sandbox) {
                self.serve_names(sandbox).await?;
            }
        }
        self.state().changes += 1;
        self.apply().await
    }

    fn stray_namespaces(&self) -> Result<Vec<String>> {
        let folder = self.shared.config.exec_root.join("netns");
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| Error::internal(&format!("listing {}", folder.display()), e))?,
        };
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}
