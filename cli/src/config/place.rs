//! Where machines are remembered: a folder, or a shared store with a folder for what stays on this computer.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wharf_objects::Address;

use crate::world::World;

/// The folder, and the shared store that it belongs to, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) shared: Option<Address>,
    /// Where the folders of all shared stores are, where there is a home for them.
    pub(super) home: Option<PathBuf>,
}

/// What of these says where; `folder` is where machines are when nothing does.
pub(super) fn decide(
    flag: Option<&String>,
    file: Option<&String>,
    folder: Option<PathBuf>,
    world: &World,
) -> Result<Place, String> {
    let home = world.var("WHARF_HOME").map(|text| world.absolute(text));
    let named = flag.map(String::as_str).or_else(|| world.var("WHARF_STORE"));
    let named = named.or(file.filter(|_| home.is_none()).map(String::as_str));
    let none =
        || "there is no home folder to keep machines in: name one with --store or WHARF_HOME".to_owned();
    let home = home.or(folder);
    let usual = || home.clone().ok_or_else(none);
    match named {
        None => Ok(Place { folder: usual()?, shared: None, home }),
        Some(text) if Address::is_meant(text) => {
            let address: Address = text.parse().map_err(|e: wharf_core::Error| e.message().to_owned())?;
            Ok(Place { folder: own(&usual()?, &address), shared: Some(address), home })
        }
        Some(text) => Ok(Place { folder: world.absolute(text), shared: None, home }),
    }
}

/// Every store has a folder of its own here.
pub(super) fn own(home: &Path, address: &Address) -> PathBuf {
    let digits = hex::encode(Sha256::digest(address.to_string()));
    home.join("shared").join(format!("{}-{}", address.bucket, &digits[..12]))
}
