//! Containers on the wire: what clients ask for, and what they are told.
//!
//! Lists and maps that dockerd may send as `null` are `Option`s, so that what a client sent comes back as it was;
//! everything else has dockerd's zero value. Unknown fields are accepted everywhere, and `null` means the zero value.

mod config;
mod create;
mod host;
mod inspect;
mod operations;
mod stats;
mod summary;

pub use config::{ContainerConfig, HealthConfig};
pub use create::{CreateRequest, CreateResponse, NetworkingConfig};
pub use host::{
    BindOptions, DeviceMapping, DeviceRequest, HostConfig, LogConfig, MountRequest, PortBindings,
    RestartPolicy, ThrottleDevice, TmpfsOptions, Ulimit, VolumeDriverConfig, VolumeOptions, WeightDevice,
};
pub use inspect::{
    ContainerInspect, ContainerNetworks, ContainerState, GraphDriver, Health, HealthResult, MountPoint,
};
pub use operations::{
    FilesystemChange, PruneResponse, TopResponse, UpdateRequest, UpdateResponse, WaitError, WaitResponse,
};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, ThrottlingData,
};
pub use summary::{ContainerSummary, PortSummary, SummaryHealth, SummaryHost, SummaryNetworks};

use serde::{Deserialize, Deserializer};

/// The time that means "never" on the wire.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// `null` is the zero value, as in Go.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// One string or a list of them: old clients send commands either way.
pub(crate) fn words<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<Words>::deserialize(input)?.map(|words| match words {
        Words::One(word) => vec![word],
        Words::Many(words) => words,
    }))
}

#[cfg(test)]
mod tests;
