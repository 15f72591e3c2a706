//! The authority that a registry is believed by, as somebody names it: the registry, and a file of certificates.

use wharf_pki::Certificate;

use crate::{Error, Kind, Result};

/// The certificates in `text`, and nothing else of it, for the registry `HOST[:PORT]`.
///
/// # Errors
/// When that is no registry's name, or there is no certificate in the text, one that is damaged, or a private key.
pub fn registry_authority(registry: &str, text: &str) -> Result<String> {
    let wrong = |message: String| Err(Error::new(Kind::Usage, message));
    if !is_registry(registry) {
        return wrong(format!("`{registry}` is no registry: it is called HOST or HOST:PORT"));
    }
    if text.contains("PRIVATE KEY-----") {
        return wrong(
            "there is a private key in it, which no machine needs to believe a registry".to_owned(),
        );
    }
    let blocks = blocks(text);
    for block in &blocks {
        if let Err(error) = Certificate::parse(block) {
            return wrong(format!("a certificate in it cannot be read: {error}"));
        }
    }
    if blocks.is_empty() {
        return wrong("there is no certificate in it as PEM (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(blocks.concat())
}

/// Certificates by the beginnings of their fingerprints.
pub(crate) fn shown(pem: &str) -> String {
    let fingerprint = |block: &String| {
        let certificate = Certificate::parse(block).ok()?;
        Some(certificate.fingerprint().chars().take(12).collect::<String>())
    };
    blocks(pem).iter().filter_map(fingerprint).collect::<Vec<_>>().join("+")
}

/// It becomes a folder's name on the machine.
fn is_registry(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    !name.is_empty() && name.len() <= 255 && !name.starts_with(['.', '-']) && name.chars().all(fits)
}

/// The certificates of a PEM text, each as its own.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line == BEGIN {
            block = Some(String::new());
        }
        let Some(open) = &mut block else { continue };
        open.push_str(line);
        open.push('\n');
        if line == END {
            blocks.extend(block.take());
        }
    }
    // One that was cut off is no certificate, and is said so.
    blocks.extend(block);
    blocks
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> String {
        let now = time::macros::datetime!(2026-03-01 12:00 UTC);
        wharf_pki::Authority::generate("a-registry", now).unwrap().certificate().pem().to_owned()
    }

    #[test]
    fn certificates_are_kept_and_nothing_else() {
        let one = authority();
        let text = format!("subject=/CN=a-registry\r\n{}\nand one more\n{one}", one.replace('\n', "\r\n"));
        assert_eq!(registry_authority("reg.example:5000", &text).unwrap(), one.repeat(2));
        let shown = shown(&one.repeat(2));
        assert_eq!(shown.len(), 25);
        assert!(Certificate::parse(&one).unwrap().fingerprint().starts_with(&shown[..12]));
    }

    #[test]
    fn what_is_none_is_refused() {
        let wrong = |registry: &str, text: &str| registry_authority(registry, text).unwrap_err().to_string();
        let one = authority();
        for name in ["", "https://reg", "../reg", "reg/path", "-reg", "a b"] {
            assert!(wrong(name, &one).contains("is no registry"), "{name}");
        }
        assert!(wrong("reg", "").contains("no certificate"));
        assert!(wrong("reg", &one[..one.len() / 2]).contains("cannot be read"));
        assert!(wrong("reg", &one.replace("MII", "AAA")).contains("cannot be read"));
        assert!(wrong("reg", &format!("{one}-----BEGIN PRIVATE KEY-----\n")).contains("private key"));
    }
}
