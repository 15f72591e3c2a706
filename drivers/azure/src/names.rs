//! Names and ids, all of them known before anything is made.

use sha2::{Digest as _, Sha256};
use wharf_driver::{MachineSpec, StoreId, resource_name};

use crate::kind::Kind;

/// The name of a thing that is the machine's own. Dots are no part of a host's name.
pub(crate) fn own(spec: &MachineSpec, kind: Kind) -> String {
    plain(&resource_name(&spec.name, &spec.id, kind.suffix(), kind.longest()))
}

/// The name of the machine's system disk.
pub(crate) fn disk(spec: &MachineSpec) -> String {
    plain(&resource_name(&spec.name, &spec.id, "disk", 80))
}

/// The name of a thing that the machines of a store share in one location.
pub(crate) fn shared(store: &StoreId, location: &str, kind: Kind) -> String {
    format!("wharf-{}-{location}-{}", store.0, kind.suffix())
}

/// The id of a group.
pub(crate) fn group_id(subscription: &str, group: &str) -> String {
    format!("/subscriptions/{subscription}/resourceGroups/{group}")
}

/// The id of something in a group.
pub(crate) fn id(subscription: &str, group: &str, kind: &str, name: &str) -> String {
    format!("{}/providers/{kind}/{name}", group_id(subscription, group))
}

/// The last part of an id.
pub(crate) fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// What names it among everything of everywhere, in short: its group, kind and name, and a digest of the whole.
pub(crate) fn everywhere(endpoint: &str, id: &str) -> String {
    let parts: Vec<&str> = id.split('/').collect();
    let short = match parts.as_slice() {
        ["", _, _, _, group, _, _, kind, name] => format!("{group}.{kind}.{name}"),
        _ => last(id).to_owned(),
    };
    let digest = hex::encode(Sha256::digest(format!("{endpoint}{}", id.to_ascii_lowercase())));
    format!("{short}.{}", digest.get(..8).unwrap_or(&digest))
}

/// What a host may be called: letters, digits and dashes.
pub(crate) fn plain(name: &str) -> String {
    let dashed: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    dashed.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_apart_again() {
        let id = id("s-1", "g", "Microsoft.Network/networkInterfaces", "web-nic");
        assert_eq!(
            id,
            "/subscriptions/s-1/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/web-nic"
        );
        assert_eq!(last(&id), "web-nic");
        let name = everywhere("https://management.azure.com", &id);
        assert!(name.starts_with("g.networkInterfaces.web-nic."), "{name}");
        assert_ne!(name, everywhere("https://management.stamp1.example", &id));
        assert_eq!(plain("web.1.example-"), "web-1-example");
        assert_eq!(
            shared(&StoreId("0123456789abcdef".into()), "westus", Kind::Network),
            "wharf-0123456789abcdef-westus-vnet"
        );
    }
}
