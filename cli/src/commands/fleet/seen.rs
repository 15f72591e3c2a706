//! What a comparison found, and how it is shown: a table for people, an object for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wharf_core::{Call, Change, CreateRequest, Deed, MachineName, Wharf};

use super::Targets;
use super::certificates::{self, Due, Wanted};
use crate::commands::Cx;
use crate::error::{Error, Kind, Result, of_several};
use crate::ui::Table;

/// A fleet's machines against what there is.
pub(crate) struct Seen {
    name: MachineName,
    /// Those that are meant.
    pub(crate) changes: Vec<Change>,
    /// Those of which nothing can be said, and why.
    trouble: Vec<(MachineName, Error)>,
    /// The certificates that are due.
    pub(crate) certificates: Vec<Due>,
}

impl Seen {
    /// Compares, and leaves what is meant.
    ///
    /// # Errors
    /// When the store cannot be read, or a target is no machine of the fleet.
    pub(crate) async fn look(
        wharf: &Wharf,
        name: &MachineName,
        wanted: &[CreateRequest],
        targets: &Targets,
        call: &Call,
    ) -> Result<Self> {
        let found = wharf.compare(name.as_str(), wanted, call).await?;
        let trouble = found.trouble.into_iter().map(|(name, error)| (name, Error::from(error))).collect();
        let changes = targets.choose(found.changes)?;
        Ok(Self { name: name.clone(), changes, trouble, certificates: Vec::new() })
    }

    /// With the certificates of these that are due, unless some machines alone are meant.
    ///
    /// # Errors
    /// When one of them was taken back, or the store cannot be read.
    pub(crate) async fn and_certificates(
        self,
        wanted: &[Wanted],
        targets: &Targets,
        wharf: &Wharf,
    ) -> Result<Self> {
        let certificates =
            if targets.are_all() { certificates::due(wanted, wharf).await? } else { Vec::new() };
        Ok(Self { certificates, ..self })
    }

    /// The fleet's name.
    pub(crate) fn fleet(&self) -> &str {
        self.name.as_str()
    }

    /// The machines of which nothing can be said.
    pub(crate) fn trouble(&self) -> impl Iterator<Item = (&MachineName, &Error)> {
        self.trouble.iter().map(|(name, error)| (name, error))
    }

    /// Whether there is anything to do.
    pub(crate) fn is_pending(&self) -> bool {
        self.changes.iter().any(|change| !change.deeds.is_empty()) || !self.certificates.is_empty()
    }

    /// The machines to which this would be done.
    pub(crate) fn with(&self, deed: Deed) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.deeds.contains(&deed))
    }

    /// The machines to which this would be done, in a question; `None` where there are none.
    pub(crate) fn named(&self, deed: Deed) -> Option<String> {
        let names: Vec<&str> = self.with(deed).map(|change| change.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{} {}", word(deed), names.join(", ")))
    }

    /// What programs read.
    pub(crate) fn object(&self) -> Value {
        let told = |(name, error): &(MachineName, Error)| {
            let code = error.kind.exit_code();
            json!({ "name": name, "code": code, "message": error.message, "hint": error.advice() })
        };
        json!({
            "fleet": self.name,
            "changes": self.changes,
            "certificates": self.certificates,
            "trouble": self.trouble.iter().map(told).collect::<Vec<_>>(),
        })
    }

    /// Prints what would be done, for people; machines that are as they should be are only counted.
    pub(crate) fn show(&self, cx: &Cx) -> Result<()> {
        if cx.ui.is_json() {
            return Ok(());
        }
        let mut table = Table::new(&["MACHINE", "DRIVER", "CHANGE", "WHY"]);
        for change in self.changes.iter().filter(|change| !change.deeds.is_empty()) {
            let deeds: Vec<&str> = change.deeds.iter().map(|deed| word(*deed)).collect();
            table.row([
                change.name.to_string(),
                change.driver.clone(),
                deeds.join(", "),
                change.because.join("; "),
            ]);
        }
        if self.changes.iter().any(|change| !change.deeds.is_empty()) {
            cx.ui.table(&table)?;
        }
        certificates::show(&self.certificates, cx)?;
        cx.ui.note(&format!("fleet {}: {}", self.name, self.count()));
        Ok(())
    }

    /// How many machines there are of each change.
    fn count(&self) -> String {
        let mut counts: BTreeMap<Deed, usize> = BTreeMap::new();
        for deed in self.changes.iter().filter_map(|change| change.deeds.first()) {
            *counts.entry(*deed).or_default() += 1;
        }
        let same = self.changes.iter().filter(|change| change.deeds.is_empty()).count();
        let mut parts: Vec<String> =
            counts.into_iter().map(|(deed, count)| format!("{count} to {}", word(deed))).collect();
        if same > 0 {
            parts.push(format!("{same} as {} should be", if same == 1 { "it" } else { "they" }));
        }
        match self.certificates.len() {
            0 => {}
            1 => parts.push("1 certificate to issue".to_owned()),
            several => parts.push(format!("{several} certificates to issue")),
        }
        match self.trouble.len() {
            0 if parts.is_empty() => "no machines".to_owned(),
            0 => parts.join(", "),
            trouble => {
                parts.push(format!("{trouble} of which nothing can be said"));
                parts.join(", ")
            }
        }
    }

    /// Shows the machines of which nothing can be said, those with the same reason together.
    ///
    /// # Errors
    /// The kind that there being such is.
    pub(crate) fn troubles(&self, cx: &Cx) -> Result<()> {
        let mut told: Vec<&str> = Vec::new();
        for (name, error) in &self.trouble {
            if cx.ui.is_json() {
                cx.ui.error(error, Some(name.as_str()));
            } else if !told.contains(&error.message.as_str()) {
                told.push(&error.message);
                let same = self.trouble.iter().filter(|(_, other)| other.message == error.message);
                let names: Vec<&str> = same.map(|(name, _)| name.as_str()).collect();
                cx.ui.error(error, Some(&several(&names)));
            }
        }
        let kinds: Vec<Kind> = self.trouble.iter().map(|(_, error)| error.kind).collect();
        of_several(self.changes.len() + kinds.len(), &kinds).map_or(Ok(()), |kind| Err(Error::told(kind)))
    }
}

/// Names for the beginning of a line.
fn several(names: &[&str]) -> String {
    match names {
        [first, second, third, _, rest @ ..] => {
            format!("{first}, {second}, {third} and {} more", rest.len() + 1)
        }
        few => few.join(", "),
    }
}

/// What a change is called.
pub(crate) const fn word(deed: Deed) -> &'static str {
    match deed {
        Deed::Create => "create",
        Deed::Finish => "finish",
        Deed::Recreate => "make again",
        Deed::Replace => "replace",
        Deed::Adopt => "adopt",
        Deed::Start => "start",
        Deed::Readdress => "follow its address",
        Deed::Configure => "configure",
        Deed::Renew => "renew",
        Deed::Mark => "mark",
        Deed::Join => "join",
        Deed::Remove => "remove",
    }
}
