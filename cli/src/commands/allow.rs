//! `wharf allow`: lets this computer in to machines that let single clients in, after its address has changed or on a
//! colleague's machine.

use std::net::IpAddr;
use std::time::Duration;

use clap::ArgGroup;
use wharf_driver::is_network;

use super::{Cx, each, show_each};
use crate::error::{Error, Result};
use crate::ui::Board;

/// Lets this computer in to machines, from the address that it has now
///
/// For machines that let in single clients alone, as with --azure-allow-from me. Nobody else's access changes. For a
/// moment SSH is open to everybody, since only the machine can say where this computer comes from; with --from it is
/// not.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").multiple(false))]
pub(crate) struct Args {
    /// The machines; `default`, or the only one, when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Let it in from here instead of finding out where it is
    #[arg(long, value_name = "ADDRESS|CIDR", group = "what")]
    from: Option<String>,
    /// Take this computer's access back
    #[arg(long, group = "what")]
    revoke: bool,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    if let Some(from) = &args.from {
        check(from)?;
    }
    let wharf = cx.wharf();
    let names = cx.several(&args.names, &wharf).await?;
    let board = Board::new(&cx.ui);
    let call = cx.call("allow", Duration::from_secs(300), &board);
    let ends = each(cx, &names, |name| {
        let (wharf, call, board, args) = (&wharf, &call, &board, &args);
        async move {
            let done = if args.revoke {
                wharf.revoke(&name, call).await.map(|()| None)
            } else {
                wharf.allow(&name, args.from.as_deref(), call).await.map(Some)
            };
            board.end(&name);
            match done? {
                Some(from) => {
                    cx.ui.note(&format!("{name}: lets this computer in from {from}"));
                    Ok(from)
                }
                None => {
                    cx.ui.note(&format!("{name}: does not let this computer in any more"));
                    Ok(String::new())
                }
            }
        }
    })
    .await;
    if cx.ui.is_json() && !args.revoke {
        show_each(cx, &ends.done, "from")?;
    }
    ends.end
}

/// An address or a network.
fn check(from: &str) -> Result<()> {
    if from.parse::<IpAddr>().is_ok() || is_network(from) {
        return Ok(());
    }
    Err(Error::usage(format!("`{from}` is neither an address nor a network"))
        .hint("203.0.113.7 is an address, 203.0.113.0/24 a network"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_told_from_other_words() {
        for good in ["203.0.113.7", "203.0.113.0/24", "2001:db8::/32", "::1"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["home", "203.0.113.7/33", "203.0.113", "me", "/8", "10.0.0.0/"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
