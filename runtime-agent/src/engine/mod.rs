//! What the engine means: containers, images, networks, volumes and events. Knows no HTTP and no system calls.

pub(crate) mod containers;
pub(crate) mod images;
pub(crate) mod networks;
pub(crate) mod volumes;
