//! `wharf version`.

use std::time::Duration;

use wharf_core::MachineName;

use super::Cx;
use crate::error::{Error, Kind, Result};
use crate::ui::Board;

/// Prints the version of this program, or of a machine's engine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine whose engine is asked
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let Some(name) = &args.name else {
        let version = env!("CARGO_PKG_VERSION");
        if cx.ui.is_json() {
            return cx.ui.json(&serde_json::json!({ "version": version }));
        }
        return cx.ui.result(&format!("wharf {version}"));
    };
    let wharf = cx.wharf();
    let name = cx.one(Some(name), &wharf).await?;
    let board = Board::new(&cx.ui);
    let call = cx.call("version", Duration::from_secs(10), &board);
    let engine = wharf.engine(&name, &call).await.map_err(|error| unanswered(&name, error))?;
    if cx.ui.is_json() {
        return cx.ui.json(&engine);
    }
    cx.ui.result(&format!("wharfd {} (API {})", engine.version, engine.api_version))
}

/// Whoever does not answer may just be off; everything else says itself what is wrong.
fn unanswered(name: &MachineName, error: wharf_core::Error) -> Error {
    if error.kind() != Kind::Unreachable {
        return error.into();
    }
    Error::new(Kind::Unreachable, format!("the engine of `{name}` does not answer"))
        .fact("because", error.to_string())
        .hint(format!("`wharf status {name}` says whether it runs, `wharf start {name}` starts it"))
}
