//! What a service principal with a certificate says instead of a secret: a JWT signed with the certificate's key
//! (RS256), which names the certificate by its SHA-1 and is good for some minutes.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::pkcs12::Pkcs12;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use sha1::{Digest as _, Sha1};
use wharf_driver::{Clock, Error, Kind, Result, Secret};

/// AD FS and Entra take ten minutes at most.
const LIFE: Duration = Duration::from_secs(540);
/// Clocks differ.
const BEFORE: Duration = Duration::from_secs(60);

/// The assertion of `client` for the token endpoint `audience`.
pub(super) fn sign(
    file: &Path,
    password: Option<&Secret<String>>,
    client: &str,
    audience: &str,
    clock: &dyn Clock,
) -> Result<Secret<String>> {
    let read = Secret::new(std::fs::read(file).map_err(|error| unusable(file, &error))?);
    let pem = if is_pem(read.expose()) { read } else { unpacked(file, read.expose(), password)? };
    let certificate = CertificateDer::from_pem_slice(pem.expose()).map_err(|_| {
        unusable(file, &"there is no certificate in it")
            .hint("put certificate and private key into one file, one below the other")
    })?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| {
        unusable(file, &"there is no private key in it")
            .hint("put certificate and private key into one file, one below the other")
    })?;
    let key = match &key {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(unusable(file, &"its key is not RSA, and nothing else is accepted")),
    };
    let key = key.map_err(|error| unusable(file, &format!("its key is no usable RSA key ({error})")))?;
    let now = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::new(Kind::Failed, format!("no randomness: {error}")))?;
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha1::digest(certificate.as_ref()));
    let head = json!({ "alg": "RS256", "typ": "JWT", "x5t": thumbprint });
    let claims = json!({
        "aud": audience,
        "iss": client,
        "sub": client,
        "jti": hex::encode(random),
        "nbf": now.saturating_sub(BEFORE).as_secs(),
        "exp": (now + LIFE).as_secs(),
    });
    let signed = format!("{}.{}", encode(&head), encode(&claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| unusable(file, &"its key does not sign"))?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|part| part == b"-----BEGIN ")
}

/// What is in a PKCS#12 file, in PEM.
fn unpacked(file: &Path, bytes: &[u8], password: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>> {
    let other = |error: &dyn std::fmt::Display| {
        unusable(file, &format!("it is neither PEM nor PKCS#12 ({error})"))
            .hint("give one file with the certificate and its private key")
    };
    let parcel = Pkcs12::from_der(bytes).map_err(|error| other(&error))?;
    let password = password.map_or("", |password| password.expose());
    let parts = parcel.parse2(password).map_err(|error| {
        let why = error.errors().last().and_then(openssl::error::Error::reason).unwrap_or("it does not open");
        unusable(file, &format!("its PKCS#12 does not open ({why})")).hint(
            "set AZURE_CLIENT_CERTIFICATE_PASSWORD; one that is encrypted in an old way becomes PEM with \
             `openssl pkcs12 -legacy -in FILE -nodes`",
        )
    })?;
    let mut pem = Vec::new();
    if let Some(certificate) = parts.cert {
        pem.extend(certificate.to_pem().map_err(|error| other(&error))?);
    }
    if let Some(key) = parts.pkey {
        pem.extend(key.private_key_to_pem_pkcs8().map_err(|error| other(&error))?);
    }
    Ok(Secret::new(pem))
}

fn encode(json: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn unusable(file: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::NotAllowed, format!("cannot sign in with the certificate {}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;
    use wharf_driver::SystemClock;

    use super::*;

    /// Made once for these tests, and good for nothing else.
    const PEM: &[u8] = include_bytes!("../../tests/assertion.pem");

    fn decoded(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_assertion_says_who_and_verifies() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(PEM).unwrap();
        let jwt = sign(file.path(), None, "app", "https://login/token", &SystemClock::new()).unwrap();
        let parts: Vec<&str> = jwt.expose().split('.').collect();
        let [head, claims, signature] = parts.as_slice() else { panic!("{} parts", parts.len()) };
        let certificate = CertificateDer::from_pem_slice(PEM).unwrap();
        assert_eq!(decoded(head)["x5t"], URL_SAFE_NO_PAD.encode(Sha1::digest(certificate.as_ref())));
        let claims_json = decoded(claims);
        assert_eq!((&claims_json["iss"], &claims_json["sub"]), (&json!("app"), &json!("app")));
        assert_eq!(claims_json["aud"], "https://login/token");
        let life = claims_json["exp"].as_u64().unwrap() - claims_json["nbf"].as_u64().unwrap();
        assert!(life <= 600, "{life} s");
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(PEM).unwrap() else {
            panic!("the key's form")
        };
        let public = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap().public().as_ref().to_owned();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
            .verify(format!("{head}.{claims}").as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
    }

    #[tokio::test]
    async fn half_a_file_is_refused_by_the_missing_half() {
        let text = String::from_utf8(PEM.to_vec()).unwrap();
        let (before, after) = text.split_at(text.find("-----BEGIN CERTIFICATE").unwrap());
        for (half, missing) in [(before, "no certificate"), (after, "no private key")] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(half.as_bytes()).unwrap();
            let error = sign(file.path(), None, "app", "x", &SystemClock::new()).unwrap_err();
            assert_eq!(error.kind(), Kind::NotAllowed);
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
