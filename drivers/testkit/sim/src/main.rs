//! `wharf-sim`: a simulated cloud to try things on by hand. It prints what one needs to use it, and ends on Ctrl-C or when it is told to.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use wharf_sim::body::SshdBodies;
use wharf_sim::{Clock, Config, Flavour, Naming, Simulator};

/// A simulated Azure Resource Manager: public, sovereign or Azure Stack Hub.
#[derive(Debug, Parser)]
#[command(name = "wharf-sim", version)]
struct Args {
    /// Which cloud: public, usgov, china, hub-2020-09-01, hub-2019-03-01, hub-2018-03-01.
    #[arg(long, default_value = "public")]
    cloud: Flavour,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What a second of the real cloud takes here, in seconds.
    #[arg(long, default_value_t = 0.05)]
    scale: f64,
    /// Decides ids, jitter and dice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the cloud's names end in; below `localhost` they lead to this computer everywhere.
    #[arg(long, default_value = "localhost")]
    suffix: String,
    /// Use the cloud's real names; clients must come through the proxy.
    #[arg(long)]
    real_names: bool,
    /// Sign in with Entra on a Hub (a connected stamp).
    #[arg(long)]
    entra: bool,
    /// A certificate (PEM) that the application may sign in with; repeatable.
    #[arg(long)]
    client_certificate: Vec<PathBuf>,
    /// Put the CA's certificate here, too.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Cores that the subscription may use.
    #[arg(long)]
    cores: Option<u32>,
    /// Seconds by which lists lag behind, in the real cloud's time.
    #[arg(long, default_value_t = 0)]
    list_lag: u64,
    /// A stamp whose operator syndicated no image.
    #[arg(long)]
    no_images: bool,
    /// What stands behind a machine: none, or an sshd (which needs root).
    #[arg(long, default_value = "none", value_parser = ["none", "sshd"])]
    body: String,
    /// Count no request against the published buckets.
    #[arg(long)]
    unthrottled: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed stderr does not want to know.
            let _ = writeln!(std::io::stderr(), "wharf-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> std::io::Result<()> {
    let folder = tempfile::Builder::new().prefix("wharf-sim-bodies-").tempdir()?;
    let mut config = config(&args);
    if args.body == "sshd" {
        config.bodies = Arc::new(SshdBodies::new(folder.path().to_owned()));
    }
    let simulator = Simulator::start(config).await?;
    if let Some(path) = &args.ca {
        std::fs::copy(simulator.ca(), path)?;
    }
    let mut out = std::io::stdout().lock();
    for (name, value) in facts(&args, &simulator) {
        writeln!(out, "{name:<16} {value}")?;
    }
    out.flush()?;
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = end.recv() => Ok(()),
    }
}

fn config(args: &Args) -> Config {
    let free = Some(([127, 0, 0, 1], 0).into());
    let mut config = Config::new(args.cloud, Clock::real(time::OffsetDateTime::now_utc(), args.scale));
    config.listen = args.listen;
    (config.proxy, config.metadata, config.control) = (free, free, free);
    config.seed = args.seed;
    config.names = if args.real_names { Naming::Real } else { Naming::Below(args.suffix.clone()) };
    if args.entra {
        config.identity = wharf_sim::IdentitySystem::Entra;
    }
    config.account.certificates.clone_from(&args.client_certificate);
    if let Some(cores) = args.cores {
        config.quotas.cores = cores;
    }
    config.list_lag = Duration::from_secs(args.list_lag);
    config.without_images = args.no_images;
    config.throttled = !args.unthrottled;
    config
}

fn facts(args: &Args, simulator: &Simulator) -> Vec<(&'static str, String)> {
    let account = &simulator.config().account;
    let address = |address: Option<SocketAddr>| address.map_or_else(String::new, |a| format!("http://{a}"));
    let locations: Vec<_> = args.cloud.locations().iter().map(|(name, _)| *name).collect();
    vec![
        ("cloud", args.cloud.to_string()),
        ("endpoint", simulator.endpoint().to_owned()),
        ("login", simulator.login().to_owned()),
        ("audience", simulator.audience().to_owned()),
        ("ca", args.ca.clone().unwrap_or_else(|| simulator.ca()).display().to_string()),
        ("address", simulator.address().to_string()),
        ("tenant", account.tenant.clone()),
        ("subscription", account.subscription.clone()),
        ("client id", account.client.clone()),
        ("client secret", account.secret.clone()),
        ("expired secret", account.expired_secret.clone()),
        ("locations", locations.join(" ")),
        ("proxy", address(simulator.proxy())),
        ("metadata", address(simulator.metadata())),
        ("control", address(simulator.control())),
    ]
}
