//! `wharf export`: machines as one encrypted file, for another store.

use wharf_core::{Lock, MachineName};

use super::{Cx, store};
use crate::error::{Error, Kind, Result};
use crate::files;

const EXAMPLES: &str = "\
Examples:
  wharf export web --recipient bob.pub                       writes web.age, which bob opens
  wharf export --fleet shop --out - --recipient age1… | ssh …   to standard output
  wharf --store s3://team/wharf import web.age               in the other store
Without --recipient the file is locked with the passphrase of WHARF_PASSPHRASE_FILE.";

/// Writes machines, with their journals and keys, into one encrypted file that another store imports
///
/// Nothing is removed here, and no machine is touched. Two stores that change one machine know nothing of each other's
/// locks: work with it in one of them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The machines
    #[arg(value_name = "NAME", required_unless_present = "fleet")]
    names: Vec<String>,
    /// The machines of this fleet
    #[arg(long, value_name = "FLEET", conflicts_with = "names")]
    fleet: Option<String>,
    /// Who opens it: an age or SSH public key, or the file of one; repeatable
    #[arg(long = "recipient", value_name = "KEY|FILE")]
    recipients: Vec<String>,
    /// The file to write, or `-` for standard output [default: the machine's or fleet's name and `.age`]
    #[arg(long, value_name = "FILE")]
    out: Option<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let recipients = args.recipients.iter().map(|text| Ok(store::key(text, cx)?.0));
    let recipients = recipients.collect::<Result<Vec<_>>>()?;
    let lock = match (&cx.config.passphrase, recipients.is_empty()) {
        (_, false) => Lock::Recipients(recipients),
        (Some(passphrase), true) => Lock::Passphrase(passphrase.clone()),
        (None, true) => {
            return Err(Error::new(Kind::Refused, "private keys would lie open in the file")
                .hint("say who opens it with --recipient KEY, or name a file with a passphrase with WHARF_PASSPHRASE_FILE"));
        }
    };
    let wharf = cx.wharf();
    let names = match &args.fleet {
        Some(fleet) => of_fleet(fleet, &wharf).await?,
        None => super::machine_names(&args.names)?,
    };
    let usual = args.fleet.clone().unwrap_or_else(|| match names.as_slice() {
        [only] => only.to_string(),
        _ => "machines".to_owned(),
    });
    let out = args.out.unwrap_or_else(|| format!("{usual}.age"));
    let file = cx.world.absolute(&out);
    if out != "-" && file.exists() {
        return Err(Error::new(Kind::Refused, format!("{} is there already", file.display()))
            .hint("name another file with --out"));
    }
    let bytes = wharf.export(&names).await?.lock(&lock)?;
    if out == "-" {
        return cx.ui.bytes(&bytes);
    }
    files::replace(&file, &bytes)
        .map_err(|e| Error::failed(format!("cannot write {}: {e}", file.display())))?;
    if cx.ui.is_json() {
        return cx.ui.json(&serde_json::json!({ "file": file, "machines": names }));
    }
    cx.ui.result(&file.display().to_string())
}

async fn of_fleet(fleet: &str, wharf: &wharf_core::Wharf) -> Result<Vec<MachineName>> {
    let mut names = Vec::new();
    for (name, summary) in wharf.list().await? {
        if summary?.fleet.as_deref() == Some(fleet) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(Error::new(Kind::NoSuchMachine, format!("there are no machines of fleet `{fleet}`"))
            .hint("`wharf ls` shows the machines there are"));
    }
    Ok(names)
}
