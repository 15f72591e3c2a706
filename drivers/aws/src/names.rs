//! Names, all of them known before anything is made.

use sha2::{Digest as _, Sha256};
use wharf_driver::{MachineSpec, StoreId, resource_name};

/// A security group's name has no more, and a tag's value one more.
const LONGEST: usize = 255;

/// The name of a thing that is the machine's own.
pub(crate) fn own(spec: &MachineSpec, kind: &str) -> String {
    resource_name(&spec.name, &spec.id, kind, LONGEST)
}

/// The name of a group that the machines of a store share, in one VPC and with one wish.
pub(crate) fn shared(store: &StoreId, digest: &str) -> String {
    format!("wharf-{}-{digest}", store.0)
}

/// The first digits of the SHA-256 of `text`.
pub(crate) fn digest(text: impl AsRef<[u8]>, digits: usize) -> String {
    let whole = hex::encode(Sha256::digest(text));
    whole.get(..digits).unwrap_or(&whole).to_owned()
}
