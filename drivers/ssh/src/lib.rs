//! A machine that exists already and answers SSH: a rack server, a VM that somebody made, a board under the desk.
//!
//! Taking it over changes nothing: no rename, no package update, and an engine that is there stays as it is. Removing
//! it leaves it as it is. Bringing the agent there and taking it away again is the engine's work, not the driver's.
#![forbid(unsafe_code)]

mod action;
mod config;
mod driver;
mod resource;

pub use action::Action;
pub use config::Config;
pub use driver::Ssh;
pub use resource::Resource;
