//! What the creating call carries for a machine's birth.
//!
//! Older clouds put only RSA keys into a new machine themselves, and insist on one. Ours is ed25519 and comes by
//! cloud-init; theirs is made here, and its private half is thrown away: it opens nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;
use sha2::{Digest as _, Sha256};
use wharf_driver::{Context, Error, Kind, Result, joined_user_data, user_data};

/// What Azure takes, before base64.
const LONGEST: usize = 65_535;
const BITS: i32 = 2048;
/// 65537, as everybody's.
const EXPONENT: [u8; 3] = [1, 0, 1];
const RSA_FILE: &str = "placeholder_rsa.pub";

/// What the creating call carries.
#[derive(Clone)]
pub(crate) struct Birth {
    /// In base64. Holds the private host key.
    pub(crate) custom_data: String,
    pub(crate) user: String,
    /// The key that the cloud itself puts into the machine.
    pub(crate) key: String,
    pub(crate) host_name: String,
}

/// What the machine of this call is born with.
pub(crate) async fn birth(
    cx: &Context,
    user: Option<&str>,
    rsa_only: bool,
    custom: Option<&(PathBuf, String)>,
) -> Result<Birth> {
    let Some(seed) = &cx.seed else {
        return Err(Error::new(Kind::Failed, "the machine has no keys to be born with"));
    };
    let user = user.unwrap_or(&seed.user).to_owned();
    let ours = user_data(&seed.cloud_config(&user, "/bin/bash"));
    let whole = match custom {
        None => ours,
        Some((file, digest)) => {
            let theirs = read(file)?;
            if hex::encode(Sha256::digest(&theirs)) != *digest {
                let message = format!("{} was changed since the machine was planned", file.display());
                return Err(Error::new(Kind::Refused, message).hint("remove the machine and create it anew"));
            }
            joined_user_data(&ours, &theirs)
        }
    };
    if whole.len() > LONGEST {
        let message = format!(
            "the custom data is {} bytes too long: {} of {} are the file of --azure-custom-data",
            whole.len() - LONGEST,
            custom.map_or(0, |(file, _)| read(file).map_or(0, |text| text.len())),
            whole.len()
        );
        return Err(Error::new(Kind::Refused, message).hint("put less into it, or let it fetch the rest"));
    }
    let key =
        if rsa_only { placeholder(&cx.places.machine).await? } else { seed.authorized_key.trim().to_owned() };
    Ok(Birth { custom_data: STANDARD.encode(whole), user, key, host_name: seed.plain_host_name() })
}

/// The person's part.
pub(crate) fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        Error::new(Kind::Refused, format!("cannot read the custom data {}: {error}", file.display()))
            .hint("--azure-custom-data names a text that cloud-init takes")
            .caused_by(error)
    })
}

/// An RSA key that opens nothing, the same at every attempt: a second creating call must say what the first one said.
async fn placeholder(folder: &Path) -> Result<String> {
    let file = folder.join(RSA_FILE);
    if let Ok(there) = tokio::fs::read_to_string(&file).await {
        return Ok(there.trim().to_owned());
    }
    let made = tokio::task::spawn_blocking(rsa).await;
    let line =
        made.map_err(|error| Error::new(Kind::Failed, "the making of a key ended").caused_by(error))??;
    let write = || -> std::io::Result<()> {
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        draft.write_all(line.as_bytes())?;
        draft.as_file().sync_all()?;
        draft.persist(&file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| {
        Error::new(Kind::Failed, format!("cannot write {}: {error}", file.display())).caused_by(error)
    })?;
    Ok(line)
}

/// The public half of an RSA key that nobody has the other half of, in OpenSSH's form: two primes, forgotten. OpenSSL's own
/// way to a key takes four times as long, for a private half that is safe to sign with.
fn rsa() -> Result<String> {
    let failed = |error| Error::new(Kind::Failed, format!("cannot make an RSA key: {error}"));
    let mut blob = Vec::new();
    field(&mut blob, b"ssh-rsa");
    number(&mut blob, EXPONENT.to_vec());
    number(&mut blob, modulus().map_err(failed)?);
    Ok(format!("ssh-rsa {} nobody", STANDARD.encode(blob)))
}

fn modulus() -> std::result::Result<Vec<u8>, ErrorStack> {
    let [mut one, mut other, mut product] = [BigNum::new()?, BigNum::new()?, BigNum::new()?];
    let mut scratch = BigNumContext::new()?;
    loop {
        one.generate_prime(BITS / 2, false, None, None)?;
        other.generate_prime(BITS / 2, false, None, None)?;
        product.checked_mul(&one, &other, &mut scratch)?;
        if one != other && product.num_bits() == BITS {
            return Ok(product.to_vec());
        }
    }
}

fn field(blob: &mut Vec<u8>, bytes: &[u8]) {
    blob.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    blob.extend(bytes);
}

/// RFC 4251's `mpint` of a positive number.
fn number(blob: &mut Vec<u8>, mut bytes: Vec<u8>) {
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    field(blob, &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_placeholder_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = placeholder(folder.path()).await.unwrap();
        assert_eq!(placeholder(folder.path()).await.unwrap(), first);
        let blob = STANDARD.decode(first.split(' ').nth(1).unwrap()).unwrap();
        assert_eq!((&blob[4..11], blob.len()), (b"ssh-rsa".as_slice(), 279));
    }

    #[test]
    fn an_openssh_takes_the_placeholder_for_a_key_of_2048_bits() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("placeholder.pub");
        std::fs::File::create(&file).unwrap().write_all(rsa().unwrap().as_bytes()).unwrap();
        let said = std::process::Command::new("ssh-keygen").arg("-lf").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.starts_with("2048 ") && said.trim_end().ends_with("(RSA)"), "{said}");
    }
}
