//! `wharf-ec2-sim PYTHON [TIMES]`: a simulated EC2 to try things on, whose machines are records. PYTHON is one that moto
//! is installed for; TIMES says how many times as fast as the real one it is.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use wharf_sim::body::NoBodies;

#[tokio::main]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(python) = words.next() else {
        let _ = writeln!(std::io::stderr(), "usage: wharf-ec2-sim PYTHON [TIMES]");
        return ExitCode::from(2);
    };
    let times = words.next().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    match wharf_ec2_sim::run(python.into(), times, Arc::new(NoBodies), &[]).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "wharf-ec2-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
