//! The store: who may read its keys, machines that are not finished, certificates, and contexts of machines that are gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use wharf_core::{Issued, Life, Role, Wharf};

use super::super::Cx;
use super::super::certs::renew;
use super::Finding;
use crate::docker::DockerFolder;
use crate::error::{Error, Result};
use crate::ui::Board;

/// Files that hold a secret, wherever in the store they are.
const SECRETS: [&str; 5] = ["ca-key.pem", "key.pem", "id_ed25519", "host_ed25519", "id_rsa"];
const SOON: i64 = 14 * 24 * 3600;

pub(super) async fn look(fix: bool, cx: &Cx, wharf: &Wharf) -> Result<Vec<Finding>> {
    let mut found = permissions(&cx.config.store, fix);
    let mut ids = BTreeSet::new();
    for (name, summary) in wharf.list().await? {
        let finding = match summary {
            Err(error) => {
                let error = Error::from(error);
                Some(Finding::new(name.as_str(), error.to_string(), error.advice()))
            }
            Ok(summary) => {
                ids.insert(summary.id.to_string());
                unfinished(name.as_str(), summary.life)
            }
        };
        found.extend(finding);
    }
    match recipients(wharf).await {
        Ok(leaving) => {
            found.extend(leaving);
            found.extend(certificates(fix, cx, wharf).await?);
        }
        Err(error) => found.push(Finding::new("store", error.to_string(), error.advice())),
    }
    for (context, machine) in DockerFolder::new(cx.config.docker.clone()).ours() {
        if !ids.contains(&machine) {
            let wrong =
                format!("the docker context `{context}` leads to a machine that this store does not have");
            let because = "the machine was forgotten, or is in another store (--store, WHARF_HOME)";
            let finding = Finding::new("computer", wrong, format!("docker context rm {context}"));
            found.push(finding.because(because));
        }
    }
    Ok(found)
}

/// Those whose removal was interrupted; an error where the list of recipients is not to be believed.
async fn recipients(wharf: &Wharf) -> Result<Vec<Finding>> {
    let all = wharf.recipients().await?;
    let leaving = all.iter().flat_map(|all| &all.recipients).filter(|one| one.leaving);
    let finding = |name: &String| {
        let wrong = format!("the removal of the recipient {name} was interrupted");
        Finding::new("store", wrong, format!("wharf store remove-recipient {name}"))
    };
    Ok(leaving.map(|one| finding(&one.recipient.name)).collect())
}

fn unfinished(name: &str, life: Life) -> Option<Finding> {
    match life {
        Life::Creating => Some(Finding::new(
            name,
            "its create was interrupted",
            format!("wharf create {name}   (goes on), or wharf rm {name}   (removes what there is)"),
        )),
        Life::Removing => Some(Finding::new(name, "its removal was interrupted", format!("wharf rm {name}"))),
        Life::Bare | Life::Ready => None,
    }
}

/// Keys that somebody else on this computer may read.
fn permissions(store: &Path, fix: bool) -> Vec<Finding> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let mut found = Vec::new();
    for (path, right) in private(store) {
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        let mode = metadata.mode() & 0o777;
        if metadata.is_symlink() || mode & 0o077 == 0 {
            continue;
        }
        let wrong = format!("others on this computer may read {} (mode {mode:o})", path.display());
        let mut finding = Finding::new("store", wrong, format!("chmod {right:o} {}", path.display()));
        if fix {
            let mended = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(right));
            finding.mended = mended.is_ok();
            finding.because = mended.err().map(|error| error.to_string());
        }
        found.push(finding);
    }
    found
}

/// What of the store is for its owner alone, with the mode that it is to have.
fn private(store: &Path) -> Vec<(PathBuf, u32)> {
    let mut private = vec![(store.to_owned(), 0o700)];
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && SECRETS.iter().any(|secret| name == *secret) => {
                    private.push((path, 0o600));
                }
                _ => {}
            }
        }
    }
    private.sort();
    private
}

async fn certificates(fix: bool, cx: &Cx, wharf: &Wharf) -> Result<Vec<Finding>> {
    let now = (cx.world.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let soon = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(SOON);
    let mut found = Vec::new();
    for certificate in wharf.certificates().await? {
        let open: Vec<&str> = certificate.open.iter().map(wharf_core::MachineName::as_str).collect();
        if !open.is_empty() {
            let whom = &certificate.name;
            let wrong =
                format!("the certificate of {whom} was revoked, and {} has not been told", open.join(", "));
            found.push(Finding::new("store", wrong, format!("wharf certs revoke {whom}")));
        }
        // Who is no admin has one for days, which commands renew; what it hangs from is looked at by itself.
        let short = certificate.kind == "own" && certificate.role != Some(Role::Admin);
        let theirs = certificate.kind == "client" || certificate.revoked.is_some();
        if certificate.ends < soon && !short && !theirs {
            found.push(ending(&certificate, fix, cx, wharf).await);
        }
    }
    Ok(found)
}

async fn ending(certificate: &Issued, fix: bool, cx: &Cx, wharf: &Wharf) -> Finding {
    let Issued { kind, name, .. } = certificate;
    let what = "has ended, or ends within two weeks";
    let (about, wrong, mend) = match kind.as_str() {
        "server" => (
            name.clone(),
            format!("the certificate of its engine {what}"),
            format!("wharf certs renew {name}"),
        ),
        "own" => (
            "store".to_owned(),
            format!("your own certificate {what}"),
            "wharf certs renew --client".to_owned(),
        ),
        "intermediate" => (
            "store".to_owned(),
            format!("the intermediate of {name} {what}"),
            format!("wharf store add-recipient {name}"),
        ),
        _ => (
            "store".to_owned(),
            format!("the certificate authority {what}"),
            "make the machines anew in another store: everything that it signed ends with it".to_owned(),
        ),
    };
    let mut finding = Finding::new(about, wrong, mend);
    let call = cx.call("doctor", Duration::from_secs(60), &Board::new(&cx.ui));
    let mended = match (fix, kind.as_str()) {
        (true, "server") => match name.parse() {
            Ok(name) => renew::renew("doctor", &[name], false, wharf, cx).await,
            Err(_) => return finding,
        },
        (true, "own") => renew::renew_own(wharf, &call, cx).await,
        _ => return finding,
    };
    finding.mended = mended.is_ok();
    finding.because = mended.err().map(|error| error.to_string());
    finding
}
