//! `wharf store init`: makes a shared store, where objects can be written under conditions.

use super::super::Cx;
use crate::error::{Error, Result};
use crate::shared;

/// Makes a store in a bucket or container that is there, once it is proven that it keeps locks
///
/// Writes an object and tries to write it again under conditions that do not hold: some stores that speak S3 ignore
/// them, and are refused. A store that is there already stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wharf store init s3://team-bucket/wharf
  wharf store init 's3://team/wharf?endpoint=https://minio.example:9000'
  wharf store init 'azblob://wharf/prod?account=acme'
Credentials stand in the environment, as the services' own programs read them: AWS_ACCESS_KEY_ID and its like or a
role; AZURE_STORAGE_ACCOUNT_KEY, AZURE_CLIENT_ID and its like, or AZURE_USE_AZURE_CLI=true.")]
pub(crate) struct Args {
    /// Where
    #[arg(value_name = "URL")]
    url: String,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let address = args.url.parse().map_err(Error::from)?;
    let store = shared::open(&address, &cx.config, &cx.world, &cx.build)?;
    let id = store.init().await.map_err(Error::from)?;
    if cx.ui.is_json() {
        return cx.ui.json(&serde_json::json!({ "store": args.url, "id": id.0 }));
    }
    cx.ui.note(&format!("The store at {} heeds conditional writes, and is ready.", args.url));
    cx.ui.note(&format!(
        "Work with it by --store '{0}', WHARF_STORE='{0}', or `store: {0}` in the configuration file.",
        args.url
    ));
    Ok(())
}
