//! What the creating call carries for a machine's birth.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use wharf_driver::{Context, Error, Kind, Result, joined_user_data, user_data};

/// What EC2 takes, before base64.
const LONGEST: usize = 16 * 1024;
/// What is set aside for our part where only the person's is known.
const OURS: usize = 2048;

/// The user data of the machine of this call, in base64. Holds the private host key.
pub(crate) fn birth(cx: &Context, user: Option<&str>, own: Option<&(PathBuf, String)>) -> Result<String> {
    let Some(seed) = &cx.seed else {
        return Err(Error::new(Kind::Failed, "the machine has no keys to be born with"));
    };
    let ours = user_data(&seed.cloud_config(user.unwrap_or(&seed.user), "/bin/bash"));
    let Some((file, digest)) = own else { return Ok(STANDARD.encode(ours)) };
    let theirs = read(file)?;
    if hex::encode(Sha256::digest(&theirs)) != *digest {
        let message = format!("{} was changed since the machine was planned", file.display());
        return Err(Error::new(Kind::Refused, message).hint("remove the machine and create it anew"));
    }
    let whole = joined_user_data(&ours, &theirs);
    if whole.len() > LONGEST {
        return Err(too_long(file, theirs.len(), whole.len()));
    }
    Ok(STANDARD.encode(whole))
}

/// The digest of the person's part, which is refused where it cannot fit beside ours.
pub(crate) fn check(file: &Path) -> Result<String> {
    let theirs = read(file)?;
    if theirs.len() + OURS > LONGEST {
        return Err(too_long(file, theirs.len(), theirs.len() + OURS));
    }
    Ok(hex::encode(Sha256::digest(theirs)))
}

fn too_long(file: &Path, theirs: usize, whole: usize) -> Error {
    let message = format!(
        "the user data is {} bytes too long: {theirs} of {whole} are {}, and EC2 takes {LONGEST}",
        whole - LONGEST,
        file.display()
    );
    Error::new(Kind::Refused, message)
        .hint("put less into the file of --aws-user-data, or let it fetch the rest")
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        Error::new(Kind::Refused, format!("cannot read the user data {}: {error}", file.display()))
            .hint("--aws-user-data names a text that cloud-init takes")
            .caused_by(error)
    })
}
