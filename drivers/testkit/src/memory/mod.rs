//! A driver whose cloud is a value in this process, with the habits of real ones: effects that come late and also
//! without whoever asked for them, and lists that lag.

mod cloud;
mod config;
mod driver;

pub use cloud::{Cloud, Habits, Thing};
pub use config::Config;
pub use driver::{Action, Memory, Resource};
