//! The simulator as a program: it prints where it answers and what signs in, and goes on until it is told to end.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use wharf_sim::body::Bodies;

use crate::{Config, Moto, Simulator};

/// Runs one account until the program is told to end. `facts` are printed beside its own, one a line.
///
/// # Errors
/// When moto does not start or nothing can be listened at.
pub async fn run(
    python: PathBuf,
    times: f64,
    bodies: Arc<dyn Bodies>,
    facts: &[(&str, String)],
) -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let moto = Moto::start(&python, folder.path())?;
    let config = Config { times, throttled: true, ..Config::default() };
    let simulator = Simulator::with_bodies(&moto, config, bodies).await?;
    let mut out = std::io::stdout().lock();
    for (name, value) in facts {
        writeln!(out, "{name:<12} {value}")?;
    }
    writeln!(out, "{:<12} {}", "key", simulator.config().key)?;
    writeln!(out, "{:<12} {}", "secret", simulator.config().secret)?;
    writeln!(out, "{:<12} {}", "endpoint", simulator.endpoint())?;
    out.flush()?;
    drop(out);
    let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = told.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
