//! `wharf cloud rm`.

use super::Cx;
use crate::clouds::{Word, cloud_name};
use crate::error::Result;

/// Forgets clouds, and their secrets in the keyring. Machines in them stay
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The clouds
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let clouds = cx.clouds();
    let names = args.names.iter().map(|name| cloud_name(name)).collect::<Result<Vec<_>>>()?;
    for name in &names {
        let Some(file) = clouds.remove(name)? else { continue };
        for secret in file.settings.values().filter_map(Word::in_keyring) {
            let kept = match crate::keyring::of(&cx.world, cx.build.keyring) {
                Some(keyring) => keyring.remove(secret).await.map_err(|error| error.to_string()),
                None => Err("this session has no keyring".to_owned()),
            };
            if let Err(why) = kept {
                cx.ui.warn(&format!("`{secret}` stays in the keyring: {why}"));
            }
        }
        cx.ui.note(&format!("{name}: forgotten"));
    }
    // Which of them a sign-in was for is not written down; whoever needs one again is asked again.
    if cx.sign_ins().forget_all().await {
        cx.ui.note("signed out: the next command that needs a code asks for one");
    }
    Ok(())
}
