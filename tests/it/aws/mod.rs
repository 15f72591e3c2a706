//! The AWS driver end to end: the program that a person types, built with it, in a simulated account.

mod life;
pub(crate) mod scene;
mod sign_in;
mod weather;
