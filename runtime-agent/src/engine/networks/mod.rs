//! Networks: what a container is connected to, and under which names and addresses.

mod attach;

use std::sync::Arc;

use crate::config::Config;
use crate::engine::error::Result;
use crate::engine::events::Events;

pub(crate) use attach::{Attach, Attached};

/// The networks of this engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Networks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    events: Events,
}

impl Networks {
    /// Opens the networks under the data root.
    pub(crate) async fn open(config: Arc<Config>, events: Events) -> Result<Self> {
        Ok(Self { shared: Arc::new(Shared { config, events }) })
    }
}
