//! Every test that needs more than one crate.

mod architecture;
mod lab;
