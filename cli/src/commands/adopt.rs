//! `wharf adopt`: a host that exists, taken over after its plan was shown. It is `create` with the driver for such hosts,
//! and asks first, since there is something that could be harmed.

use super::Cx;
use super::create::{self, Before};
use crate::error::{Error, Result};
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  wharf adopt rack1 --ssh-address 192.0.2.7 --ssh-user ann
  wharf adopt rack1 --ssh-address 192.0.2.7 --dry-run     shows the plan, and does nothing
  wharf adopt rack1 --ssh-address 192.0.2.7 --yes         for scripts: nobody is asked";

/// Takes over a host that exists, after showing what will be done to it
///
/// It is not renamed, no package is updated, and an engine that is there is not touched. `wharf rm` leaves the host as it
/// is then; `wharf rm --purge` takes the agent and its data away again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    host: create::Args,
    /// Agree to the plan beforehand; it is shown all the same
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(args: Args, cx: &Cx) -> Result<()> {
    let host = args.host.of_hosts();
    let about = settings::find(&cx.build.drivers, host.driver())?.about();
    if !about.capabilities.adopts {
        let message = format!("driver `{}` takes over no host that exists: it makes machines", about.name);
        return Err(
            Error::usage(message).hint("`wharf create` makes them; leave --driver out to adopt a host")
        );
    }
    create::run_after(&Before::Plan { agreed: args.yes }, host, cx).await
}
