//! The journal of a machine: what was intended, before it is done, and what came of it. It is the truth; everything
//! else about a machine is rebuilt from it by a pure [`fold`].

mod event;
mod file;
mod fold;
mod live;

pub use event::{Entry, Event};
pub use file::{Damage, Lines, parse, write_line};
pub use fold::{Illegal, Machine, Provisioned, Removal, Status, fold};

#[cfg(test)]
mod tests;
