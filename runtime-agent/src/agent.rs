//! The daemon's life: config → tls → engine → serve → drain.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::config::{Config, ConfigError, Listen};
use crate::end;
use crate::engine::Engine;
use crate::serve::{Door, Listener};
use crate::tls::{self, Reloading};

/// How long open requests may go on after the daemon was asked to stop. Containers are not touched.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A certificate, key or authority is missing or wrong.
    #[error("{0}")]
    Tls(String),
    /// What is on disk, or on the host, does not allow it.
    #[error("{0}")]
    Engine(String),
    /// An address or path to listen on is taken or not allowed.
    #[error("cannot listen on {place}: {source}")]
    Listen {
        /// As the flag named it.
        place: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The pid file cannot be written.
    #[error("cannot write {path}: {source}")]
    Pidfile {
        /// As the flag named it.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// A running daemon.
#[derive(Debug)]
pub struct Agent {
    config: Arc<Config>,
    certificates: Option<Reloading>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Agent {
    /// Opens everything and begins to answer. When this returns, a client that connects is served.
    ///
    /// # Errors
    /// When nothing has been left half open: see [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let certificates = config.tls.clone().map(Reloading::open).transpose();
        let certificates = certificates.map_err(|error: tls::Error| StartError::Tls(error.to_string()))?;
        let engine =
            Engine::open(Arc::clone(&config)).await.map_err(|e| StartError::Engine(e.to_string()))?;
        let api = Api::new(engine);
        let this = Self { config, certificates, stop: CancellationToken::new(), tasks: TaskTracker::new() };
        for listen in &this.config.listen {
            let listener = Listener::bind(listen, this.door(listen))
                .map_err(|source| StartError::Listen { place: listen.to_string(), source })?;
            tracing::info!(place = %listen, "listening");
            this.tasks.spawn(listener.serve(api.clone(), this.tasks.clone(), this.stop.clone()));
        }
        this.write_pidfile()?;
        if let Some(end) = this.config.end {
            this.tasks.spawn(end::watch(end, this.stop.clone()));
        }
        Ok(this)
    }

    /// Reads the certificates again.
    pub fn reload(&self) {
        if let Some(certificates) = &self.certificates {
            certificates.reload();
        }
    }

    /// Stops listening, gives open requests a moment, and leaves every container as it is.
    pub async fn drain(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "leaving open connections behind");
        }
        let sockets = self
            .config
            .listen
            .iter()
            .filter_map(|l| if let Listen::Unix(path) = l { Some(path) } else { None });
        for file in sockets.chain(&self.config.pidfile) {
            // Somebody else may have removed it; there is nothing left to do about any other failure.
            let _ = std::fs::remove_file(file);
        }
    }

    fn door(&self, listen: &Listen) -> Door {
        match (listen, &self.certificates) {
            (Listen::Tcp(_), Some(certificates)) => {
                Door::Certificates(certificates.clone(), self.config.roles.clone())
            }
            _ => Door::Local,
        }
    }

    fn write_pidfile(&self) -> Result<(), StartError> {
        let Some(path) = &self.config.pidfile else { return Ok(()) };
        let temporary = path.with_extension("new");
        let write = || {
            std::fs::File::create(&temporary).and_then(|mut file| {
                std::io::Write::write_all(&mut file, std::process::id().to_string().as_bytes())
            })?;
            std::fs::rename(&temporary, path)
        };
        write().map_err(|source| StartError::Pidfile { path: path.clone(), source })
    }
}

/// Runs the daemon until it is told to stop.
pub(crate) fn main(arguments: Vec<OsString>) -> ExitCode {
    let config = match Config::parse(arguments) {
        Ok(config) => config,
        Err(ConfigError::Usage(usage)) => {
            // Help and version are no mistakes; clap knows which stream and code each takes.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
        Err(ConfigError::Invalid(mistakes)) => {
            mistakes.iter().for_each(|mistake| complain(mistake));
            return ExitCode::from(2);
        }
    };
    log_to_stderr(config.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(config)),
        Err(error) => {
            complain(&format!("cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> ExitCode {
    let signals =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else {
        complain("cannot listen for signals");
        return ExitCode::FAILURE;
    };
    let agent = match Agent::start(config).await {
        Ok(agent) => agent,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    announce("READY=1");
    loop {
        tokio::select! {
            _ = hangup.recv() => agent.reload(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    announce("STOPPING=1");
    agent.drain().await;
    ExitCode::SUCCESS
}

/// An engine waits far more than it computes; a few threads keep its memory small.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 4)
}

/// Tells systemd, when it is the one that started us and asked to be told.
fn announce(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told =
        std::os::unix::net::UnixDatagram::unbound().and_then(|datagram| match socket.as_encoded_bytes() {
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt as _;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                datagram.send_to_addr(state.as_bytes(), &address)
            }
            _ => datagram.send_to(state.as_bytes(), &socket),
        });
    if let Err(error) = told {
        tracing::warn!(%error, "cannot tell the service manager: {state}");
    }
}

fn log_to_stderr(level: tracing::Level) {
    use tracing_subscriber::filter::LevelFilter;
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(level == tracing::Level::DEBUG)
        .with_max_level(LevelFilter::from_level(level));
    // A second daemon in one process (a test) keeps the first one's log.
    let _ = subscriber.try_init();
}

#[expect(clippy::print_stderr, reason = "the one place that speaks before and after the log exists")]
fn complain(mistake: &str) {
    eprintln!("wharfd: {mistake}");
}
