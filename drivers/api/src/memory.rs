//! What one run of the program remembers for the next: what a person signed in with, so that they do it once.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::Secret;

/// Remembers secrets by name. Nobody depends on it: what was forgotten, or could not be kept, is asked for anew.
pub trait Memory: Debug + Send + Sync {
    /// What is remembered under `name`.
    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Secret<String>>>;

    /// Remembers `secret` in place of what was; `None` forgets it.
    fn keep<'a>(&'a self, name: &'a str, secret: Option<&'a Secret<String>>) -> BoxFuture<'a, ()>;
}

/// Remembers nothing.
#[derive(Debug)]
pub(crate) struct Forgetful;

impl Memory for Forgetful {
    fn recall<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Option<Secret<String>>> {
        Box::pin(async { None })
    }

    fn keep<'a>(&'a self, _: &'a str, _: Option<&'a Secret<String>>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
