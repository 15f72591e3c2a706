//! The bodies of creating calls, each for the version that is in use: a field that a version does not have is never in
//! its body, and nothing is ever null. Checked against the official descriptions by what the tests simulate.

mod machine;
mod network;

pub(crate) use network::rule;

use serde_json::{Value, json};
use wharf_driver::OwnerTag;

use crate::action::{Action, What};
use crate::admission;
use crate::seed::Birth;
use crate::tags;

/// The body of the call that makes what `action` says.
pub(crate) fn of(action: &Action, owner: &OwnerTag, birth: Option<&Birth>, version: &str) -> Value {
    let tags = if action.shared { tags::shared(owner) } else { tags::own(owner, &action.tags) };
    let mut body = json!({ "location": action.location, "tags": tags });
    match &action.what {
        What::Group => {}
        What::Network { subnet, prefix } => body["properties"] = network::network(subnet, prefix, version),
        What::Firewall { allowed, engine_port, open, client } => {
            let first = client.as_deref().map(admission::first_rule);
            body["properties"] = network::firewall(&network::rules(allowed, *engine_port, open), first);
        }
        What::Address { standard, label, zone } => {
            if *standard {
                body["sku"] = json!({ "name": "Standard" });
            }
            if let Some(zone) = zone {
                body["zones"] = json!([zone]);
            }
            body["properties"] = network::address(label.as_deref());
        }
        What::Interface { subnet, firewall, address, private, accelerated } => {
            body["properties"] =
                network::interface(subnet, firewall, address.as_deref(), *private, *accelerated);
        }
        What::Machine(wish) => machine::fill(&mut body, wish, birth, version),
    }
    body
}
