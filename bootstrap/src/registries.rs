//! The authorities that registries are believed by: files in the folder that the engine looks into at each pull, so that
//! nothing is restarted for them.
//!
//! A file of ours begins with a line that says so. Another one is never taken away: where ours takes its place, it is put
//! aside, and put back when ours goes. What else lies in those folders, such as a client's certificate, stays as it is.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{Facts, Request};

/// Where they are.
pub(crate) const FOLDER: &str = "/etc/wharf/certs.d";

/// Makes them those on standard input, as [`input`] writes it, and no others.
pub(crate) const SCRIPT: &str = include_str!("registries.sh");

/// What the probe knows a file of ours by.
const MARK: &str = "# brought by wharf";

/// Whether the host has others than it should.
pub(crate) fn differ(facts: &Facts, request: &Request) -> bool {
    let sum = |authority: &String| hex::encode(Sha256::digest(file(authority)));
    let wanted = request.options.registry_authorities.iter();
    let wanted: BTreeMap<&String, String> = wanted.map(|(host, authority)| (host, sum(authority))).collect();
    !facts.agent.registries.iter().eq(wanted.iter().map(|(host, sum)| (*host, sum)))
}

/// One after the other: `@` and the registry, then its file. No line of PEM begins like that.
pub(crate) fn input(authorities: &BTreeMap<String, String>) -> String {
    authorities.iter().map(|(host, authority)| format!("@{host}\n{}", file(authority))).collect()
}

fn file(authority: &str) -> String {
    format!("{MARK}\n{}\n", authority.trim_end())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;

    /// As on a host, in a folder of the test's own.
    fn bring(root: &Path, wanted: &[(&str, &str)]) {
        let script = SCRIPT.replace(FOLDER, &root.display().to_string());
        let wanted = wanted.iter().map(|(host, text)| ((*host).to_owned(), (*text).to_owned())).collect();
        let mut shell = Command::new("sh");
        let mut shell =
            shell.args(["-c", &format!("set -eu\n{script}")]).stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(input(&wanted).as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    fn read(root: &Path, file: &str) -> Option<String> {
        std::fs::read_to_string(root.join(file)).ok()
    }

    #[test]
    fn what_is_ours_comes_and_goes_and_what_is_not_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("certs.d");
        for (at, text) in
            [("theirs:5000/ca.crt", "theirs\n"), ("both/ca.crt", "before\n"), ("both/me.cert", "me")]
        {
            std::fs::create_dir_all(root.join(at).parent().unwrap()).unwrap();
            std::fs::File::create(root.join(at)).unwrap().write_all(text.as_bytes()).unwrap();
        }
        bring(&root, &[("[::1]:5000", "one\ntwo\n"), ("both", "ours")]);
        assert_eq!(read(&root, "[::1]:5000/ca.crt").unwrap(), "# brought by wharf\none\ntwo\n");
        assert_eq!(read(&root, "both/ca.crt").unwrap(), "# brought by wharf\nours\n");
        bring(&root, &[("both", "other")]);
        assert_eq!(read(&root, "both/ca.crt").unwrap(), "# brought by wharf\nother\n");
        assert!(!root.join("[::1]:5000").exists());
        bring(&root, &[]);
        assert_eq!(read(&root, "both/ca.crt").unwrap(), "before\n");
        assert_eq!(read(&root, "both/me.cert").unwrap(), "me");
        assert_eq!(read(&root, "theirs:5000/ca.crt").unwrap(), "theirs\n");
    }

    #[test]
    fn nothing_is_made_where_nothing_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        bring(&folder.path().join("certs.d"), &[]);
        assert!(!folder.path().join("certs.d").exists());
    }

    #[test]
    fn the_probe_and_the_script_know_the_mark() {
        assert!(include_str!("probe.sh").contains(&format!("'{MARK}'")));
        assert!(SCRIPT.contains(&format!("'{MARK}'")) && SCRIPT.contains(FOLDER));
    }
}
