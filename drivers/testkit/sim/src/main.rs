//! `wharf-sim`: a simulated cloud to try things on by hand. It prints what one needs to use it, and ends on Ctrl-C or when it is told to.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use wharf_sim::body::{Bodies, SshdBodies};
use wharf_sim::command::{Wish, run};

/// A simulated Azure Resource Manager: public, sovereign or Azure Stack Hub.
#[derive(Debug, Parser)]
#[command(name = "wharf-sim", version)]
struct Args {
    #[command(flatten)]
    cloud: Wish,
    /// What stands behind a machine: none, or an sshd (which needs root).
    #[arg(long, default_value = "none", value_parser = ["none", "sshd"])]
    body: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match start(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(std::io::stderr(), "wharf-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(args: Args) -> std::io::Result<()> {
    let folder = tempfile::Builder::new().prefix("wharf-sim-bodies-").tempdir()?;
    let sshd = || Arc::new(SshdBodies::new(folder.path().to_owned())) as Arc<dyn Bodies>;
    run(&args.cloud, (args.body == "sshd").then(sshd), &[]).await
}
