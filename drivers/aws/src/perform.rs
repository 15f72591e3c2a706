//! Makes one thing and converges; each kind is a file of its own.

use wharf_driver::{Context, Result};

use crate::action::{Action, What};
use crate::client::Connection;
use crate::resource::Resource;
use crate::{address, group, instance};

pub(crate) async fn perform(
    connection: &Connection,
    action: &Action,
    made: &[Resource],
    cx: &Context,
) -> Result<Resource> {
    match &action.what {
        What::Group(wish) => group::perform(connection, action, wish, cx).await,
        What::Machine(wish) => instance::perform(connection, action, wish, made, cx).await,
        What::Address => address::perform(connection, action, made, cx).await,
    }
}

/// What is there of a started action; `None` when nothing is yet.
pub(crate) async fn settle(
    connection: &Connection,
    action: &Action,
    cx: &Context,
) -> Result<Option<Resource>> {
    match &action.what {
        What::Group(wish) => group::settle(connection, action, wish, cx).await,
        What::Machine(wish) => instance::settle(connection, action, wish, cx).await,
        What::Address => address::settle(connection, action, cx).await,
    }
}
