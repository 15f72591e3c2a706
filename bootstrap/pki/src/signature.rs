//! What the authority says beside certificates: a text, signed with its key, that whoever knows its certificate can
//! check.
//!
//! Each kind of text has a name that is signed along, so that nothing signed as one thing passes for another; and no such
//! signature is one over a certificate, since what is signed begins with that name and a zero.

use rcgen::SigningKey as _;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo};

use crate::{Authority, Certificate, Error};

impl Authority {
    /// Signs a text of this kind; hexadecimal.
    pub fn sign(&self, kind: &str, text: &str) -> Result<String, Error> {
        Ok(hex::encode(self.issuer().key().sign(&signed(kind, text))?))
    }
}

impl Certificate {
    /// Whether whoever holds this certificate's key signed the text, as one of this kind.
    pub fn vouches_for(&self, kind: &str, text: &str, signature: &str) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(self.public_key()) else { return false };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.subject_public_key.data);
        key.verify(&signed(kind, text), &signature).is_ok()
    }
}

fn signed(kind: &str, text: &str) -> Vec<u8> {
    [b"wharf ", kind.as_bytes(), b"\0", text.as_bytes()].concat()
}
