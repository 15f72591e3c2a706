//! The simulator as a program: what a person may wish on the command line, and what they are told.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::body::Bodies;
use crate::{Clock, Config, Flavour, IdentitySystem, Naming, Simulator};

/// Which cloud to be, and how.
#[derive(Debug, clap::Args)]
pub struct Wish {
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
    /// Count no request against the published buckets.
    #[arg(long)]
    unthrottled: bool,
}

/// Prints what one needs to use the cloud, `more` first, and lives until Ctrl-C or until it is told to end.
///
/// # Errors
/// When it cannot listen, or nobody reads what it prints.
pub async fn run(
    wish: &Wish,
    bodies: Option<Arc<dyn Bodies>>,
    more: &[(&'static str, String)],
) -> std::io::Result<()> {
    let mut config = config(wish);
    if let Some(bodies) = bodies {
        config.bodies = bodies;
    }
    let simulator = Simulator::start(config).await?;
    if let Some(path) = &wish.ca {
        std::fs::copy(simulator.ca(), path)?;
    }
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut out = std::io::stdout().lock();
    for (name, value) in more.iter().chain(&facts(wish, &simulator)) {
        writeln!(out, "{name:<16} {value}")?;
    }
    out.flush()?;
    drop(out);
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = end.recv() => Ok(()),
    }
}

fn config(wish: &Wish) -> Config {
    let free = Some(([127, 0, 0, 1], 0).into());
    let mut config = Config::new(wish.cloud, Clock::real(time::OffsetDateTime::now_utc(), wish.scale));
    config.listen = wish.listen;
    (config.proxy, config.metadata, config.control) = (free, free, free);
    config.seed = wish.seed;
    config.names = if wish.real_names { Naming::Real } else { Naming::Below(wish.suffix.clone()) };
    if wish.entra {
        config.identity = IdentitySystem::Entra;
    }
    config.account.certificates.clone_from(&wish.client_certificate);
    if let Some(cores) = wish.cores {
        config.quotas.cores = cores;
    }
    config.list_lag = Duration::from_secs(wish.list_lag);
    config.without_images = wish.no_images;
    config.throttled = !wish.unthrottled;
    config
}

fn facts(wish: &Wish, simulator: &Simulator) -> Vec<(&'static str, String)> {
    let account = &simulator.config().account;
    let address = |address: Option<SocketAddr>| address.map_or_else(String::new, |a| format!("http://{a}"));
    let locations: Vec<_> = wish.cloud.locations().iter().map(|(name, _)| *name).collect();
    vec![
        ("cloud", wish.cloud.to_string()),
        ("endpoint", simulator.endpoint().to_owned()),
        ("login", simulator.login().to_owned()),
        ("audience", simulator.audience().to_owned()),
        ("ca", wish.ca.clone().unwrap_or_else(|| simulator.ca()).display().to_string()),
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
