//! Signed assertions in place of a secret: with the application's own certificate, or from a system that it trusts.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
};
use serde_json::Value;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::token::{CI_AUDIENCE, CI_ISSUER, claims};
use crate::cloud::Cloud;

/// What `client_assertion_type` must say.
pub(super) const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Why an assertion is refused: Entra's number and sentence.
pub(super) type Refusal = (u32, String);

/// Judges an assertion; `endpoints` are the audiences that it may have.
pub(super) fn judge(cloud: &Cloud, assertion: &str, endpoints: &[String]) -> Result<(), Refusal> {
    let malformed = || (50027, "JWT token is invalid or malformed.".to_owned());
    let header =
        assertion.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
    let header: Value = header.and_then(|h| serde_json::from_slice(&h).ok()).ok_or_else(malformed)?;
    let claims = claims(assertion).ok_or_else(malformed)?;
    if claims["iss"] == CI_ISSUER {
        return federated(cloud, assertion, &claims);
    }
    let (front, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')).map_err(|_| malformed())?;
    let key = registered(cloud, &header)?;
    let verified = match header["alg"].as_str() {
        Some("RS256") => {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key).verify(front.as_bytes(), &signature)
        }
        Some("PS256") => {
            UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &key).verify(front.as_bytes(), &signature)
        }
        _ => {
            return Err((
                5_002_727,
                "Invalid JWT header algorithm: only RS256 and PS256 are accepted.".to_owned(),
            ));
        }
    };
    if verified.is_err() {
        return Err((700_027, "Client assertion failed signature validation.".to_owned()));
    }
    own(cloud, &claims, endpoints)
}

/// The registered key that the header names by its certificate's thumbprint.
fn registered(cloud: &Cloud, header: &Value) -> Result<Vec<u8>, Refusal> {
    let decode = |text: &str| {
        let text = text.trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text)).unwrap_or_default()
    };
    let one = header["x5t"].as_str().map(decode);
    let two = header["x5t#S256"].as_str().map(decode);
    for path in &cloud.config.account.certificates {
        let pem = std::fs::read_to_string(path).unwrap_or_default();
        let Some(der) = certificate(&pem) else { continue };
        let fits = one.as_ref().is_some_and(|t| *t == Sha1::digest(&der).to_vec())
            || two.as_ref().is_some_and(|t| *t == Sha256::digest(&der).to_vec());
        if let (true, Ok((_, parsed))) = (fits, x509_parser::parse_x509_certificate(&der)) {
            return Ok(parsed.public_key().subject_public_key.data.to_vec());
        }
    }
    Err((700_027, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found.]".to_owned()))
}

/// The first certificate of a PEM file.
fn certificate(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (text, _) = rest.split_once("-----END CERTIFICATE-----")?;
    STANDARD.decode(text.split_whitespace().collect::<String>()).ok()
}

fn own(cloud: &Cloud, claims: &Value, endpoints: &[String]) -> Result<(), Refusal> {
    let client = &cloud.config.account.client;
    if claims["iss"] != client.as_str() || claims["sub"] != client.as_str() {
        return Err((
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter.".to_owned(),
        ));
    }
    if !claims["aud"].as_str().is_some_and(|aud| endpoints.iter().any(|e| e == aud)) {
        return Err((
            700_023,
            format!(
                "Client assertion audience claim does not match Realm issuer. Review the documentation. [{}]",
                claims["aud"]
            ),
        ));
    }
    let now = cloud.clock().today().unix_timestamp();
    let (from, until) = (claims["nbf"].as_i64().unwrap_or(now), claims["exp"].as_i64().unwrap_or(0));
    if now + 300 < from || until <= now {
        return Err((
            700_024,
            format!(
                "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {from}, expiry time of assertion {until}."
            ),
        ));
    }
    // Ten minutes, and five for clocks.
    if until - now > 900 {
        return Err((
            700_025,
            format!(
                "Client assertion lives too long: it expires {} s from now, and 600 s are allowed.",
                until - now
            ),
        ));
    }
    let Some(jti) = claims["jti"].as_str().filter(|jti| !jti.is_empty()) else {
        return Err((50_027, "JWT token is invalid or malformed. [jti is missing]".to_owned()));
    };
    if !cloud.state().jtis.insert(jti.to_owned()) {
        return Err((700_026, "Client assertion was used before.".to_owned()));
    }
    Ok(())
}

fn federated(cloud: &Cloud, assertion: &str, claims: &Value) -> Result<(), Refusal> {
    let wanted = &cloud.config.account.federated_subject;
    let malformed = || (50_027, "JWT token is invalid or malformed.".to_owned());
    let (front, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, cloud.signer.ci_key());
    if key.verify(front.as_bytes(), &signature).is_err() {
        return Err((700_027, "Client assertion failed signature validation.".to_owned()));
    }
    if claims["sub"] != wanted.as_str() {
        return Err((
            700_213,
            format!(
                "No matching federated identity record found for presented assertion subject {}. Please note that the matching is done using a case-sensitive comparison.",
                claims["sub"]
            ),
        ));
    }
    if claims["aud"] != CI_AUDIENCE {
        return Err((
            700_212,
            format!(
                "No matching federated identity record found for presented assertion audience {}.",
                claims["aud"]
            ),
        ));
    }
    let now = cloud.clock().today().unix_timestamp();
    if claims["exp"].as_i64().is_none_or(|until| until <= now) {
        return Err((700_024, "Client assertion is not within its valid time range.".to_owned()));
    }
    Ok(())
}
