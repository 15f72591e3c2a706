//! `wharf-ec2-sim-lab PYTHON [TIMES]`: `wharf-ec2-sim` in a network of its own, with real hosts as its machines. Whoever
//! uses it does it there: `nsenter --net=NETWORK`, which it prints. Needs root; takes everything along when it ends.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use wharf_tests::{Lab, Machines};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(python) = words.next() else {
        let _ = writeln!(std::io::stderr(), "usage: wharf-ec2-sim-lab PYTHON [TIMES]");
        return ExitCode::from(2);
    };
    let times = words.next().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let lab = Lab::new();
    let machines = lab.machines();
    match lab.enter(|| live(&lab, machines, &python, times)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(std::io::stderr(), "wharf-ec2-sim-lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn live(lab: &Lab, machines: Arc<Machines>, python: &str, times: f64) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let network = [("network", lab.network().display().to_string())];
    let ended = runtime.block_on(wharf_ec2_sim::run(python.into(), times, machines, &network));
    // Work on hosts that is still under way goes with the lab.
    runtime.shutdown_background();
    ended
}
