//! What a resource says of itself: whose it is. Stands inside every creating call.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use wharf_driver::{MachineId, OwnerTag, StoreId};

pub(crate) const STORE: &str = "wharf-store";
const MACHINE: &str = "wharf-machine";
const NAME: &str = "wharf-name";
const MADE: &str = "wharf-made";
const EXPIRES: &str = "wharf-expires";
const SHARED: &str = "wharf-shared";

/// The tags of a machine's own things.
pub(crate) fn own(owner: &OwnerTag, wished: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut tags = wished.clone();
    let ours = [
        (STORE, owner.store.0.clone()),
        (MACHINE, owner.machine.to_string()),
        (NAME, owner.name.to_string()),
        (MADE, owner.made.to_string()),
    ];
    tags.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    if let Some(expires) = owner.expires {
        tags.insert(EXPIRES.to_owned(), expires.to_string());
    }
    tags
}

/// The tags of what the machines of a store share: of the machine that it was made for first, and for ever.
pub(crate) fn shared(owner: &OwnerTag) -> BTreeMap<String, String> {
    let owner = OwnerTag { expires: None, ..owner.clone() };
    let mut tags = own(&owner, &BTreeMap::new());
    tags.insert(SHARED.to_owned(), "true".to_owned());
    tags
}

/// Whether it says that it is this machine's.
pub(crate) fn is_own(body: &Value, owner: &OwnerTag) -> bool {
    tag(body, MACHINE) == Some(owner.machine.as_str()) && !says_shared(body)
}

/// Whether it says that it is this store's.
pub(crate) fn is_shared(body: &Value, store: &StoreId) -> bool {
    tag(body, STORE) == Some(&store.0) && says_shared(body)
}

/// Whether it says that machines share it.
pub(crate) fn says_shared(body: &Value) -> bool {
    tag(body, SHARED) == Some("true")
}

/// The wished tags that it does not carry so.
pub(crate) fn lacking(body: &Value, wished: &BTreeMap<String, String>) -> Vec<String> {
    let lacks = |(key, value): &(&String, &String)| tag(body, key) != Some(value.as_str());
    wished.iter().filter(lacks).map(|(key, _)| key.clone()).collect()
}

/// Whose it says it is.
pub(crate) fn read(body: &Value) -> Option<(OwnerTag, SystemTime)> {
    let made: u64 = tag(body, MADE)?.parse().ok()?;
    let machine: MachineId = serde_json::from_value(Value::from(tag(body, MACHINE)?)).ok()?;
    let owner = OwnerTag {
        store: StoreId(tag(body, STORE)?.to_owned()),
        machine,
        name: tag(body, NAME)?.parse().ok()?,
        made,
        expires: tag(body, EXPIRES).and_then(|text| text.parse().ok()),
    };
    Some((owner, UNIX_EPOCH + Duration::from_secs(made)))
}

fn tag<'a>(body: &'a Value, key: &str) -> Option<&'a str> {
    body.get("tags")?.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let body = json!({ "tags": own(&owner(), &BTreeMap::from([("team".to_owned(), "x".to_owned())])) });
        assert_eq!(read(&body).unwrap().0, owner());
        assert!(is_own(&body, &owner()) && !is_shared(&body, &owner().store));
        let common = json!({ "tags": shared(&owner()) });
        assert!(is_shared(&common, &owner().store) && !is_own(&common, &owner()));
        assert_eq!(read(&common).unwrap().0.expires, None);
        assert!(!is_own(&json!({}), &owner()));
    }
}
