//! `wharf store init`: makes a shared store, where objects can be written under conditions, and gives it its first
//! recipients.

use wharf_core::{Recipient, RecipientRole};

use super::super::Cx;
use super::{PATIENCE, key, tell_unfinished};
use crate::error::{Error, Result};
use crate::shared;
use crate::ui::Board;

/// Makes a store in a bucket or container that is there, once it is proven that it keeps locks
///
/// Writes an object and tries to write it again under conditions that do not hold: some stores that speak S3 ignore
/// them, and are refused. A store that is there already stays as it is; with --recipient its keys are encrypted anew,
/// where they are encrypted with a passphrase.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wharf store init s3://team-bucket/wharf --recipient ~/.ssh/id_ed25519.pub
  wharf store init 's3://team/wharf?endpoint=https://minio.example:9000' --recipient ann=age1… --recipient bob=age1…
  wharf store init 'azblob://wharf/prod?account=acme'
Credentials stand in the environment, as the services' own programs read them: AWS_ACCESS_KEY_ID and its like or a
role; AZURE_STORAGE_ACCOUNT_KEY, AZURE_CLIENT_ID and its like, or AZURE_USE_AZURE_CLI=true.")]
pub(crate) struct Args {
    /// Where
    #[arg(value_name = "URL")]
    url: String,
    /// An admin that keys are encrypted to, by an age or SSH public key or the file of one; repeatable. Without any,
    /// keys are encrypted with the passphrase of WHARF_PASSPHRASE_FILE
    #[arg(long = "recipient", value_name = "[NAME=]KEY|FILE")]
    recipients: Vec<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let address = args.url.parse().map_err(Error::from)?;
    let admins = args.recipients.iter().map(|text| admin(text, cx)).collect::<Result<Vec<_>>>()?;
    let config = cx.config.at(&address);
    let store = shared::open(&address, &config, &cx.world, &cx.build).await?;
    let id = store.init().await.map_err(Error::from)?;
    let unfinished = if admins.is_empty() {
        Vec::new()
    } else {
        let call = cx.call("store init", PATIENCE, &Board::new(&cx.ui));
        let begun = cx.wharf_over(&store, &config).begin_recipients(admins.clone(), &call).await;
        // Whatever came of it: nobody is to wait for the lock.
        shared::let_go(&store).await;
        begun?
    };
    if cx.ui.is_json() {
        cx.ui.json(&serde_json::json!({ "store": args.url, "id": id.0, "recipients": admins }))?;
        return tell_unfinished(unfinished, cx);
    }
    cx.ui.note(&format!("The store at {} heeds conditional writes, and is ready.", args.url));
    if !admins.is_empty() {
        let names: Vec<&str> = admins.iter().map(|one| one.name.as_str()).collect();
        cx.ui.note(&format!(
            "Its keys are encrypted to {}; whoever works with it names their own by --identity or WHARF_IDENTITY.",
            names.join(", ")
        ));
    }
    cx.ui.note(&format!(
        "Work with it by --store '{0}', WHARF_STORE='{0}', or `store: {0}` in the configuration file.",
        args.url
    ));
    tell_unfinished(unfinished, cx)
}

fn admin(text: &str, cx: &Cx) -> Result<Recipient> {
    let named = text.split_once('=').filter(|(name, _)| !name.contains(['/', ' ']));
    let (name, of) = named.map_or((None, text), |(name, of)| (Some(name), of));
    let (key, comment) = key(of, cx)?;
    let name = name
        .map(str::to_owned)
        .or(comment)
        .ok_or_else(|| Error::usage("a recipient has a name").hint(format!("--recipient NAME={text}")))?;
    Ok(Recipient { name, role: RecipientRole::Admin, key })
}
