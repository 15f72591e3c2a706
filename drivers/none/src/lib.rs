//! An engine that is somewhere, looked after by somebody else: its address under a name. Nothing is made, provisioned,
//! started or removed, which is what scripts and tests want of it.
#![forbid(unsafe_code)]

mod config;
mod driver;

pub use config::Config;
pub use driver::{Elsewhere, Named};
