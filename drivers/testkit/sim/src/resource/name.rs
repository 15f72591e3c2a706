//! What a resource of each kind may be called.

use super::Kind;
use crate::error::{ArmError, parameter};

/// Refuses a name that the provider refuses.
pub(super) fn check(kind: Kind, name: &str) -> Result<(), ArmError> {
    match kind {
        Kind::Machine => machine(name),
        Kind::Disk | Kind::AvailabilitySet | Kind::ProximityGroup => compute(kind, name),
        Kind::VirtualNetwork => network(name, 64),
        _ => network(name, 80),
    }
}

fn network(name: &str, most: usize) -> Result<(), ArmError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = name.len() <= most
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(word)
        && name.chars().all(|c| word(c) || c == '.' || c == '-');
    if fits {
        return Ok(());
    }
    Err(ArmError::bad(
        "InvalidResourceName",
        format!(
            "Resource name {name} is invalid. The name can be up to {most} characters long. It must begin with a word \
             character, and it must end with a word character or with '_'. The name may contain word characters or \
             '.', '-', '_'."
        ),
    ))
}

fn compute(kind: Kind, name: &str) -> Result<(), ArmError> {
    let fits = (1..=80).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    let target = format!("{}.name", kind.short());
    if fits {
        Ok(())
    } else {
        Err(parameter(&target, format!("The value '{name}' of parameter '{target}' is invalid.")))
    }
}

fn machine(name: &str) -> Result<(), ArmError> {
    let forbidden = |c: char| "~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : . ' \" , < > / ?".contains(c);
    if name.is_empty() || name.len() > 64 || name.contains(forbidden) || name.ends_with('-') {
        return Err(ArmError::bad(
            "InvalidParameter",
            "Linux host name cannot exceed 64 characters in length or contain the following characters: ` ~ ! @ # $ % \
             ^ & * ( ) = + _ [ ] { } \\ | ; : ' \" , < > / ?.",
        )
        .target("vm.name"));
    }
    Ok(())
}
