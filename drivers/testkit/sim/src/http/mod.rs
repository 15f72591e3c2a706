//! HTTP as the simulator sees it: a call in, an answer out.

mod answer;
mod call;
mod serve;
mod tls;

pub use answer::{Answer, Outcome};
pub use call::Call;
pub(crate) use serve::{serve_plain, serve_proxy, serve_tls};
pub(crate) use tls::Authority;
