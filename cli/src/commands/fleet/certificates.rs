//! Certificates that a fleet file declares for colleagues and jobs: which are due, and issuing those.
//!
//! What there is is what lies in each folder; the store's list of what it issued says whether that is good. A job whose
//! folder does not outlive it has new ones every time. Nothing is taken back here: what is declared no more ends by
//! itself, or by `wharf certs revoke`.

use std::path::PathBuf;

use serde::Serialize;
use wharf_core::{Call, Issue, MachineName, Role, Wharf};
use wharf_fleet::Certificate;

use crate::commands::{Cx, certs};
use crate::config::life;
use crate::error::{Error, Result};
use crate::ui::Table;
use crate::world::World;

/// One that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    issue: Issue,
    folder: PathBuf,
    /// As it is written in the file.
    called: String,
}

/// One that is to be issued.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Due {
    /// Whose.
    name: String,
    role: Role,
    folder: String,
    because: String,
    #[serde(skip)]
    wanted: Wanted,
}

/// As it stands in the file, or what is wrong and with which of its keys.
pub(super) fn wanted<'a>(
    declared: &'a Certificate,
    world: &World,
    is_member: impl Fn(&MachineName) -> bool,
) -> Result<Wanted, (&'a wharf_fleet::Placed<String>, String)> {
    let role = &declared.role;
    let parsed = role.value.parse::<Role>().map_err(|e| (role, e.to_string()))?;
    let valid = match &declared.valid {
        Some(valid) => {
            life(&valid.value).map_err(|e| (valid, e.replace("that a machine lives", "for a certificate")))?
        }
        None => USUAL,
    };
    let machine = match &declared.machine {
        None => None,
        Some(placed) => match placed.value.parse::<MachineName>() {
            Ok(name) if is_member(&name) => Some(name),
            _ => return Err((placed, format!("the fleet has no machine `{}`", placed.value))),
        },
    };
    let issue = Issue { name: declared.who.value.clone(), role: parsed, machine, valid };
    let called = declared.folder.value.clone();
    Ok(Wanted { issue, folder: world.absolute(&called), called })
}

/// Those that are due.
///
/// # Errors
/// When one was taken back, or the store cannot be read.
pub(super) async fn due(wanted: &[Wanted], wharf: &Wharf) -> Result<Vec<Due>> {
    let mut all = Vec::new();
    for one in wanted {
        let Wanted { issue, folder, called } = one;
        let whole = certs::FILES.iter().all(|file| folder.join(file).is_file());
        let has = std::fs::read_to_string(folder.join("cert.pem")).ok().filter(|_| whole);
        if let Some(because) = wharf.due(issue, has.as_deref()).await? {
            let (name, role, folder) = (issue.name.clone(), issue.role, called.clone());
            all.push(Due { name, role, folder, because, wanted: one.clone() });
        }
    }
    Ok(all)
}

/// Prints what would be issued, for people.
pub(super) fn show(due: &[Due], cx: &Cx) -> Result<()> {
    let mut table = Table::new(&["CERTIFICATE", "ROLE", "FOLDER", "WHY"]);
    for Due { name, role, folder, because, .. } in due {
        table.row([name.clone(), role.to_string(), folder.clone(), because.clone()]);
    }
    if due.is_empty() { Ok(()) } else { cx.ui.table(&table) }
}

/// Issues what is due.
///
/// # Errors
/// The first that could not be; those before it are there.
pub(super) async fn issue(due: &[Due], wharf: &Wharf, call: &Call, cx: &Cx) -> Result<()> {
    for Due { name, role, folder, wanted, .. } in due {
        let made = wharf.issue_to(&wanted.issue, call).await.map_err(|error| {
            let mut error = Error::from(error);
            error.message = format!("a certificate for `{name}`: {}", error.message);
            error
        })?;
        certs::write(&wanted.folder, &made)?;
        cx.ui.note(&format!("{name}: has a certificate as {role}, in {folder}"));
    }
    Ok(())
}

/// How long one is good that does not say.
const USUAL: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);
