//! Published ports, with an engine that only lists containers: they open and close with what it says.

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    Vec::new()
}
