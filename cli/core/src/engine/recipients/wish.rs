//! Whether somebody may become a recipient as they are wished for, or is one already.

use super::NewRecipient;
use crate::vault::{Recipient, Roster};
use crate::{Error, Kind, Result};

/// Whoever is there already, when that is who is meant.
pub(super) fn same<'a>(there: &'a Recipient, wish: &NewRecipient) -> Result<&'a Recipient> {
    let key = wish.key.as_ref().is_none_or(|key| *key == there.key);
    if key && wish.role.is_none_or(|role| role == there.role) {
        return Ok(there);
    }
    let name = &there.name;
    let what = if key { "another role" } else { "another key" };
    Err(Error::new(Kind::Refused, format!("`{name}` is a recipient already, with {what}"))
        .hint(format!("`wharf store remove-recipient {name}` first")))
}

pub(super) fn new(roster: &Roster, wish: &NewRecipient) -> Result<Recipient> {
    let name = wish.name.clone();
    if roster.leaving.iter().any(|one| one.name == name) {
        return Err(Error::new(Kind::Refused, format!("the removal of `{name}` has not ended"))
            .hint(format!("`wharf store remove-recipient {name}` ends it")));
    }
    let (Some(key), Some(role)) = (wish.key.clone(), wish.role) else {
        return Err(Error::new(
            Kind::Usage,
            format!("`{name}` is no recipient yet: their key and role are missing"),
        )
        .hint(format!("wharf store add-recipient {name} --role operator KEY|FILE")));
    };
    let new = Recipient { name, role, key };
    let mut all = roster.recipients.clone();
    all.push(new.clone());
    check_distinct(&all)?;
    Ok(new)
}

pub(super) fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let whole = (1..=64).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('.');
    if whole {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("`{name}` is no name for a recipient"))
        .hint("use at most 64 letters, digits, `-`, `_` and `.`, and no `.` at its beginning"))
}

pub(super) fn check_distinct(all: &[Recipient]) -> Result<()> {
    for (at, one) in all.iter().enumerate() {
        if let Some(other) = all[..at].iter().find(|other| other.name == one.name || other.key == one.key) {
            let message = format!("`{}` and `{}` have the same name or key", other.name, one.name);
            return Err(
                Error::new(Kind::Refused, message).hint("each recipient has a name and a key of their own")
            );
        }
    }
    Ok(())
}

pub(super) fn no_such_recipient(name: &str, roster: &Roster) -> Error {
    let known: Vec<&str> = roster.recipients.iter().map(|one| one.name.as_str()).collect();
    Error::new(Kind::Refused, format!("`{name}` is no recipient of the store"))
        .hint(format!("there are {}", known.join(", ")))
}
