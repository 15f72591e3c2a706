//! Names on user-defined networks.

use super::Networks;
use super::record::Sandbox;
use crate::engine::error::Result;

impl Networks {
    /// Answers a container's questions for names.
    pub(super) async fn serve_names(&self, _sandbox: &Sandbox) -> Result<()> {
        Ok(())
    }

    pub(super) fn stop_names(&self, _container: &str) {}
}
