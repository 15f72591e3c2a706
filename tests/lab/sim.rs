//! `wharf-sim-lab`: `wharf-sim` in a network of its own, with real hosts as its machines. Whoever uses the cloud does it
//! there: `nsenter --net=NETWORK`, which it prints beside what `wharf-sim` prints. Needs root; takes everything along
//! when it ends.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use wharf_sim::command::{Wish, run};
use wharf_tests::{Lab, Machines};

/// A simulated Azure whose machines are real hosts.
#[derive(Debug, Parser)]
#[command(name = "wharf-sim-lab", version)]
struct Args {
    #[command(flatten)]
    cloud: Wish,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let lab = Lab::new();
    let machines = lab.machines();
    match lab.enter(|| live(&lab, machines, &args.cloud)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(std::io::stderr(), "wharf-sim-lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn live(lab: &Lab, machines: Arc<Machines>, wish: &Wish) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let network = [("network", lab.network().display().to_string())];
    let ended = runtime.block_on(run(wish, Some(machines), &network));
    // Work on hosts that is still under way goes with the lab.
    runtime.shutdown_background();
    ended
}
