//! The Azure driver end to end: the program that a person types, a simulated cloud behind TLS, and machines that are real
//! hosts. What differs from cloud to cloud stands in the environment alone.

mod clients;
mod flavours;
mod gc;
mod kills;
mod private;
mod proxy;
pub(crate) mod scene;
mod weather;
