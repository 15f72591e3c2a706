//! `wharf doctor`: what is wrong with this computer, the store and every machine, why, and the command that mends it.
//!
//! It looks, and changes nothing without `--fix`; with it, it does what takes nothing away: permissions of keys, and
//! certificates. Whatever else is to be done is named.

mod computer;
mod machines;
mod store;

use serde::Serialize;

use super::Cx;
use crate::error::{Error, Kind, Result};

const EXAMPLES: &str = "\
Examples:
  wharf doctor                     what is wrong, and what mends it
  wharf doctor --fix               and mend what can be mended without taking anything away
  wharf doctor -o json             for a program; the exit code is 1 where something is wrong";

/// Looks at this computer, the store and every machine: what is wrong, why, and the command that mends it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Mend permissions of keys and certificates that have ended or are about to
    #[arg(long)]
    fix: bool,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// `computer`, `store`, or a machine's name.
    about: String,
    wrong: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// The command, or what else is to be done.
    mend: String,
    /// Whether it has been done.
    mended: bool,
}

impl Finding {
    fn new(about: impl Into<String>, wrong: impl Into<String>, mend: impl Into<String>) -> Self {
        let (about, wrong, mend) = (about.into(), wrong.into(), mend.into());
        Self { about, wrong, because: None, mend, mended: false }
    }

    fn because(self, because: impl Into<String>) -> Self {
        Self { because: Some(because.into()), ..self }
    }
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let mut found = computer::look(cx);
    found.extend(store::look(args.fix, cx, &wharf).await?);
    found.extend(machines::look(cx, &wharf).await?);
    if cx.ui.is_json() {
        cx.ui.json(&found)?;
    } else {
        for finding in &found {
            show(finding, cx)?;
        }
    }
    let left = found.iter().filter(|finding| !finding.mended).count();
    match (left, found.is_empty()) {
        (0, true) => {
            cx.ui.note("nothing is wrong");
            Ok(())
        }
        (0, false) => Ok(()),
        _ => Err(Error::told(Kind::Failed)),
    }
}

fn show(finding: &Finding, cx: &Cx) -> Result<()> {
    cx.ui.result(&format!("{}: {}", finding.about, finding.wrong))?;
    if let Some(because) = &finding.because {
        cx.ui.result(&format!("  because: {because}"))?;
    }
    cx.ui.result(&format!("  {}: {}", if finding.mended { "mended" } else { "mend" }, finding.mend))
}
