//! OpenSSH's `known_hosts` files: hashed names, patterns, ports and revoked keys.

use std::io;
use std::path::PathBuf;

use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use ssh_key::known_hosts::{Entry as Line, HostPatterns, Marker};

use crate::{Error, HostKey};

/// What a file says about one host.
#[derive(Debug)]
pub(crate) enum Entry {
    Key(HostKey),
    Revoked(HostKey),
}

/// Everything these files say about a host. Lines that cannot be read are passed over, as OpenSSH does; a file that
/// is there and cannot be read is an error.
pub(crate) fn read(files: &[PathBuf], host: &str, port: u16) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for file in files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::KnownHosts { path: file.clone(), source: error }),
        };
        entries.extend(parse(&text, host, port));
    }
    Ok(entries)
}

fn parse<'a>(text: &'a str, host: &str, port: u16) -> impl Iterator<Item = Entry> + 'a {
    let host = host.to_ascii_lowercase();
    let name = if port == 22 { host } else { format!("[{host}]:{port}") };
    text.lines().filter_map(move |line| {
        let line: Line = line.trim().parse().ok()?;
        if !matches(line.host_patterns(), &name) {
            return None;
        }
        let key = HostKey::of(line.public_key().clone());
        match line.marker() {
            None => Some(Entry::Key(key)),
            Some(Marker::Revoked) => Some(Entry::Revoked(key)),
            // Certificates of hosts are not verified here: such a line is no key of this host.
            Some(Marker::CertAuthority) => None,
        }
    })
}

fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => {
            let (refused, wanted): (Vec<_>, Vec<_>) =
                patterns.iter().partition(|pattern| pattern.starts_with('!'));
            let hit = |pattern: &str| glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
            wanted.iter().any(|pattern| hit(pattern)) && !refused.iter().any(|pattern| hit(&pattern[1..]))
        }
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, text) || text.split_first().is_some_and(|(_, text)| glob(pattern, text))
        }
        (Some((b'?', pattern)), Some((_, text))) => glob(pattern, text),
        (Some((a, pattern)), Some((b, text))) if a == b => glob(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn keys(text: &str, host: &str, port: u16) -> usize {
        parse(text, host, port).filter(|entry| matches!(entry, Entry::Key(_))).count()
    }

    #[test]
    fn names_ports_and_patterns() {
        assert_eq!(keys(&format!("web,10.0.0.1 {KEY}"), "10.0.0.1", 22), 1);
        assert_eq!(keys(&format!("web {KEY} comment"), "WEB", 22), 1);
        assert_eq!(keys(&format!("web {KEY}"), "web", 2222), 0);
        assert_eq!(keys(&format!("[web]:2222 {KEY}"), "web", 2222), 1);
        assert_eq!(keys(&format!("*.example.org,!db.example.org {KEY}"), "a.example.org", 22), 1);
        assert_eq!(keys(&format!("*.example.org,!db.example.org {KEY}"), "db.example.org", 22), 0);
    }

    #[test]
    fn hashed_names() {
        // ssh-keygen -H for the name `example.com`.
        let line = format!("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {KEY}");
        assert_eq!(keys(&line, "192.168.1.61", 22), 1);
        assert_eq!(keys(&line, "192.168.1.62", 22), 0);
    }

    #[test]
    fn marked_and_damaged_lines() {
        let text = format!(
            "# comment\n\nnonsense\nweb ssh-ed25519 AAAA!\n@cert-authority web {KEY}\n@revoked web {KEY}"
        );
        let found: Vec<_> = parse(&text, "web", 22).collect();
        assert!(matches!(found.as_slice(), [Entry::Revoked(_)]), "{found:?}");
    }
}
