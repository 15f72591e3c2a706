//! What every container's task shares.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::index::Index;
use super::seams::Ground;
use super::spec::Facts;
use crate::engine::events::Events;
use crate::runtime::Runtime;
use crate::shares::Shares;

/// The surroundings of all containers. One a daemon.
#[derive(Debug)]
pub(crate) struct World {
    /// A folder a container.
    pub(crate) folder: PathBuf,
    pub(crate) index: Index,
    pub(crate) events: Events,
    pub(crate) ground: Ground,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) facts: Facts,
    /// Names this boot of the host.
    pub(crate) boot: String,
    /// Name servers that the daemon was told to hand out.
    pub(crate) dns: Vec<String>,
    /// Folders of the computer that this host is a virtual machine of, where there may be such.
    pub(crate) shares: Option<Shares>,
    pub(crate) pace: Pace,
}

/// How long the restart policy waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Before the first restart; doubled each time.
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    /// A run as long as this starts the count again.
    pub(crate) good_run: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(60),
            good_run: Duration::from_secs(10),
        }
    }
}

impl Pace {
    /// The wait after `failures` short runs in a row, the first being 0.
    pub(crate) fn delay(&self, failures: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(failures)).min(self.longest)
    }
}

impl World {
    pub(crate) fn folder_of(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let pace = Pace::default();
        assert_eq!(pace.delay(0), Duration::from_millis(100));
        assert_eq!(pace.delay(3), Duration::from_millis(800));
        assert_eq!(pace.delay(40), Duration::from_secs(60));
    }
}
