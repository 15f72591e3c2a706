//! What a resource says of itself: whose it is. Stands inside every creating call.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use wharf_driver::{MachineId, OwnerTag, StoreId};

/// The tag that names the store, for filters.
pub(crate) const STORE: &str = "wharf-store";
const MACHINE: &str = "wharf-machine";
const NAME: &str = "wharf-name";
const MADE: &str = "wharf-made";
const EXPIRES: &str = "wharf-expires";
const SHARED: &str = "wharf-shared";
/// What the console shows as the name.
const SHOWN: &str = "Name";

/// The tags of one thing in the creating call.
pub(crate) fn in_call(
    kind: ResourceType,
    name: &str,
    owner: &OwnerTag,
    wished: &BTreeMap<String, String>,
    shared: bool,
) -> TagSpecification {
    let all = all(name, owner, wished, shared);
    let tags = all.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    TagSpecification::builder().resource_type(kind).set_tags(Some(tags.collect())).build()
}

/// The tags of one thing that is there.
pub(crate) fn of(
    name: &str,
    owner: &OwnerTag,
    wished: &BTreeMap<String, String>,
) -> impl Iterator<Item = Tag> {
    let all = all(name, owner, wished, false);
    all.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build())
}

fn all(
    name: &str,
    owner: &OwnerTag,
    wished: &BTreeMap<String, String>,
    shared: bool,
) -> BTreeMap<String, String> {
    let mut tags = wished.clone();
    tags.entry(SHOWN.to_owned()).or_insert_with(|| name.to_owned());
    let ours = [
        (STORE, owner.store.0.clone()),
        (MACHINE, owner.machine.to_string()),
        (NAME, owner.name.to_string()),
        (MADE, owner.made.to_string()),
    ];
    tags.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    // What is shared outlives the machine that it was made for first.
    match owner.expires {
        _ if shared => tags.insert(SHARED.to_owned(), "true".to_owned()),
        Some(expires) => tags.insert(EXPIRES.to_owned(), expires.to_string()),
        None => None,
    };
    tags
}

/// Whether it says that it is this machine's.
pub(crate) fn is_own(tags: &[Tag], owner: &OwnerTag) -> bool {
    tag(tags, MACHINE) == Some(owner.machine.as_str()) && !says_shared(tags)
}

/// Whether it says that it is this store's.
pub(crate) fn is_shared(tags: &[Tag], store: &StoreId) -> bool {
    tag(tags, STORE) == Some(&store.0) && says_shared(tags)
}

/// Whether it says that machines share it.
pub(crate) fn says_shared(tags: &[Tag]) -> bool {
    tag(tags, SHARED) == Some("true")
}

/// The wished tags that it does not carry so.
pub(crate) fn lacking(tags: &[Tag], wished: &BTreeMap<String, String>) -> Vec<String> {
    let lacks = |(key, value): &(&String, &String)| tag(tags, key) != Some(value.as_str());
    wished.iter().filter(lacks).map(|(key, _)| key.clone()).collect()
}

/// What it is called.
pub(crate) fn shown(tags: &[Tag]) -> &str {
    tag(tags, SHOWN).unwrap_or_default()
}

/// Whose it says it is, and since when.
pub(crate) fn read(tags: &[Tag]) -> Option<(OwnerTag, SystemTime)> {
    let made: u64 = tag(tags, MADE)?.parse().ok()?;
    let machine: MachineId = serde_json::from_value(tag(tags, MACHINE)?.into()).ok()?;
    let owner = OwnerTag {
        store: StoreId(tag(tags, STORE)?.to_owned()),
        machine,
        name: tag(tags, NAME)?.parse().ok()?,
        made,
        expires: tag(tags, EXPIRES).and_then(|text| text.parse().ok()),
    };
    Some((owner, UNIX_EPOCH + Duration::from_secs(made)))
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> OwnerTag {
        OwnerTag {
            store: StoreId("5t0re".into()),
            machine: MachineId::from_bytes([7; 16]),
            name: "web".parse().unwrap(),
            made: 1_700_000_000,
            expires: Some(1_800_000_000),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let wished = BTreeMap::from([("team".to_owned(), "x".to_owned())]);
        let own = in_call(ResourceType::Instance, "web-1", &owner(), &wished, false);
        assert_eq!(read(own.tags()).unwrap().0, owner());
        assert!(is_own(own.tags(), &owner()) && !is_shared(own.tags(), &owner().store));
        assert_eq!(shown(own.tags()), "web-1");
        let common = in_call(ResourceType::SecurityGroup, "g", &owner(), &BTreeMap::new(), true);
        assert!(is_shared(common.tags(), &owner().store) && !is_own(common.tags(), &owner()));
        assert_eq!(read(common.tags()).unwrap().0.expires, None);
        assert!(!is_own(&[], &owner()));
    }
}
