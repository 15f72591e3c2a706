//! `wharf config`: the docker client's flags for one machine.

use super::{Cx, tunnel};
use crate::error::Result;

/// Prints the docker client's flags for a machine, one a line
///
/// Use it as: docker $(wharf config NAME) ps
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The machine; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let wharf = cx.wharf();
    let name = cx.one(args.name.as_deref(), &wharf).await?;
    let connection = cx.connection(&name, &wharf).await?;
    tunnel::say_what_is_needed(&connection, cx).await;
    let file = |name: &str| connection.certificates.join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    if cx.ui.is_json() {
        return cx.ui.json(&serde_json::json!({
            "tlsverify": true, "tlscacert": ca, "tlscert": cert, "tlskey": key, "host": connection.url,
        }));
    }
    // The docker client takes the quotes off itself.
    cx.ui.result("--tlsverify")?;
    for (flag, file) in [("tlscacert", ca), ("tlscert", cert), ("tlskey", key)] {
        cx.ui.result(&format!("--{flag}=\"{file}\""))?;
    }
    cx.ui.result(&format!("-H={}", connection.url))
}
