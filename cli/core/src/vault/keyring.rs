//! The operating system's keyring, as a seam: the real ones are the program's, since only its edge sees a desktop.

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use wharf_driver::Secret;

use crate::Result;

/// A keyring. It may be locked, or not be there at all in this session: then every call says so, soon.
pub trait Keyring: Debug + Send + Sync {
    /// What people call it, with its article: `the Secret Service`.
    fn name(&self) -> &'static str;

    /// What is kept for `account`; `None` when nothing is.
    fn get<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<Option<Secret<String>>>>;

    /// Keeps `secret`, in place of what was kept before.
    fn set<'a>(&'a self, account: &'a str, secret: &'a Secret<String>) -> BoxFuture<'a, Result<()>>;

    /// Keeps nothing any more. Keeping nothing already is success.
    fn remove<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<()>>;
}
