//! The one process beside each running machine: it starts QEMU, owns its control socket, opens the ports that
//! containers publish, and stops the machine when asked.
//!
//! ```text
//!           start                      guest says ready
//! (nothing) ─────▶ Starting ─────────────────────────────▶ Running
//!                     │   SIGTERM: power button, then plug    │
//!                     └──────────────▶ Stopping ◀─────────────┘
//!                                          │ QEMU gone (from any state: by itself, killed, crashed)
//!                                          ▼
//!                                       Stopped, and the supervisor ends
//! ```
//!
//! It is started detached, with the machine's folder as its only argument, by whichever command needs it, and says one
//! line on its standard output: a [`Word`]. When it is killed, QEMU runs on, and the next command starts another,
//! which takes QEMU over by its control socket. It never removes what belongs to the machine.

mod console;
mod ports;
mod power;

use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::folder::{Folder, Lock, Phase, Status, VmRecord, name};
use crate::forward::{Forward, ForwardError, Protocol};
use crate::process;
use crate::qemu;
use crate::qmp::{Qmp, QmpError};
use crate::virtiofs;

/// What the supervisor says to whoever started it, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "lowercase")]
pub(crate) enum Word {
    /// QEMU runs, with these ports of 127.0.0.1.
    Started { ssh_port: u16, engine_port: u16 },
    /// Another supervisor is there already, or the machine is not.
    Unneeded,
    /// It did not start.
    Failed { why: String },
}

/// Why a machine does not run.
#[derive(Debug, thiserror::Error)]
enum SupervisorError {
    #[error("the machine's folder cannot be used: {0}")]
    Folder(#[from] io::Error),
    #[error("QEMU (`{program}`) cannot be started: {source}")]
    Spawn { program: PathBuf, source: io::Error },
    #[error("QEMU ended at once: {0}")]
    Ended(String),
    #[error(transparent)]
    Qmp(#[from] QmpError),
    #[error(transparent)]
    Forward(#[from] ForwardError),
    #[error("QEMU lists no forward to port {0} of the guest")]
    Unlisted(u16),
}

/// Runs the supervisor of the machine whose folder of this driver this is, until its QEMU is gone. The folder above
/// holds the client's certificate.
#[must_use]
pub fn supervise(folder: &Path) -> ExitCode {
    // Away from the terminal and the group of the command that started us. Fails only for a group's leader.
    rustix::process::setsid().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(SupervisorError::Folder).and_then(|runtime| runtime.block_on(run(folder)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the machine does not run");
            say(&Word::Failed { why: error.to_string() });
            ExitCode::FAILURE
        }
    }
}

async fn run(folder: &Path) -> Result<(), SupervisorError> {
    let folder = Folder::at(std::path::absolute(folder)?);
    // Sockets are named by relative paths from here on: theirs may have 104 bytes only.
    let Some(lock) = enter(&folder).await? else {
        say(&Word::Unneeded);
        return Ok(());
    };
    // Only after the lock: whoever removes the machine removes the record first.
    let Some(record) = folder.read::<VmRecord>(name::VM_RECORD)? else {
        say(&Word::Unneeded);
        return Ok(());
    };
    let Some(mut running) = Running::begin(folder, record).await? else {
        say(&Word::Unneeded);
        return Ok(());
    };
    let Status { ssh_port, engine_port, .. } = running.status;
    say(&Word::Started { ssh_port, engine_port });
    silence()?;
    let outcome = running.follow().await;
    running.mark(Phase::Stopped)?;
    drop(lock);
    outcome
}

async fn enter(folder: &Folder) -> io::Result<Option<Lock>> {
    match std::env::set_current_dir(folder.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    }
    let Some(mut lock) = patiently(folder, name::SUPERVISOR_LOCK).await? else { return Ok(None) };
    lock.sign()?;
    Ok(Some(lock))
}

/// Takes a lock; an onlooker holds it for a moment only.
async fn patiently(folder: &Folder, name: &str) -> io::Result<Option<Lock>> {
    for _ in 0..20 {
        if let Some(lock) = folder.try_lock(name)? {
            return Ok(Some(lock));
        }
        sleep(Duration::from_millis(25)).await;
    }
    Ok(None)
}

/// A machine whose QEMU is alive.
struct Running {
    folder: Folder,
    record: VmRecord,
    status: Status,
    qmp: Qmp,
}

impl Running {
    /// Starts QEMU if somebody asked for that, or takes over the one that runs.
    async fn begin(folder: Folder, record: VmRecord) -> Result<Option<Self>, SupervisorError> {
        let before: Status = folder.read(name::STATUS).ok().flatten().unwrap_or_default();
        let mut lacking = None;
        let adopted = match patiently(&folder, name::QEMU_LOCK).await? {
            Some(_) if before.phase != Phase::Starting => {
                folder
                    .write(name::STATUS, &Status { phase: Phase::Stopped, warnings: Vec::new(), ..before })?;
                return Ok(None);
            }
            Some(lock) => {
                let offers = virtiofs::offer(&folder, &record.vm).await.unwrap_or_else(|why| {
                    lacking = Some(format!("folders are shared by 9p alone, since {why}"));
                    Vec::new()
                });
                let child = qemu::start(&folder, &record.vm, lock, offers)
                    .map_err(|source| SupervisorError::Spawn { program: record.vm.qemu.clone(), source })?;
                reap(child);
                false
            }
            None => true,
        };
        let qmp = match reach(&folder).await {
            Ok(qmp) => qmp,
            Err(error) => {
                // A QEMU that nobody can talk to is of no use, and must not stay.
                process::kill_qemu(&folder);
                return Err(error);
            }
        };
        let mut running = Self { folder, record, status: before, qmp };
        if let Err(error) = running.open_own_ports().await {
            process::kill_qemu(&running.folder);
            return Err(error);
        }
        if !adopted {
            running.status.warnings = lacking.into_iter().collect();
            running.status.phase = Phase::Starting;
        }
        running.folder.write(name::STATUS, &running.status)?;
        Ok(Some(running))
    }

    /// Forwards SSH's and the engine's port: the ones of last time, else whichever QEMU picks.
    async fn open_own_ports(&mut self) -> Result<(), SupervisorError> {
        self.status.ssh_port = self.open(22, self.status.ssh_port).await?;
        self.status.engine_port = self.open(self.record.vm.engine_port, self.status.engine_port).await?;
        Ok(())
    }

    async fn open(&mut self, guest: u16, wanted: u16) -> Result<u16, SupervisorError> {
        let is_ours = |forward: &&Forward| forward.protocol == Protocol::Tcp && forward.guest == guest;
        let forward = |host| Forward { protocol: Protocol::Tcp, address: Ipv4Addr::LOCALHOST, host, guest };
        if let Some(there) = Forward::list(&mut self.qmp).await?.iter().find(is_ours) {
            return Ok(there.host);
        }
        match forward(wanted).add(&mut self.qmp).await {
            Err(ForwardError::Refused { .. }) if wanted != 0 => forward(0).add(&mut self.qmp).await?,
            other => other?,
        }
        let list = Forward::list(&mut self.qmp).await?;
        list.iter().find(is_ours).map(|there| there.host).ok_or(SupervisorError::Unlisted(guest))
    }

    /// Until QEMU is gone.
    async fn follow(&mut self) -> Result<(), SupervisorError> {
        let mut requests = power::Requests::listen()?;
        let mut published = ports::Published::follow(&self.folder, &self.record, self.status.engine_port);
        let mut shares = virtiofs::Watch::begin(&self.folder, &self.record.vm);
        let mut console = console::Console::follow(self.folder.file(name::CONSOLE));
        let mut stopping: Option<power::Stopping> = None;
        loop {
            let asked = stopping.is_some();
            let pressing = async {
                match &mut stopping {
                    Some(stopping) => stopping.next_press().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.qmp.event() => match event {
                    Ok(event) => self.note(&event)?,
                    Err(_) => break,
                },
                () = requests.stop(), if !asked => {
                    self.mark(Phase::Stopping)?;
                    stopping = Some(power::Stopping::begin());
                }
                press = pressing => press.perform(&mut self.qmp).await?,
                said = console.next(), if self.status.phase != Phase::Stopping => self.hear(said)?,
                path = shares.lost(), if self.status.phase != Phase::Stopping => {
                    self.warn(virtiofs::lost(&path))?;
                }
                wanted = published.next() => self.publish(&mut published, wanted).await?,
            }
        }
        self.gone().await
    }

    /// QEMU closed its socket: waits until it is gone altogether, which it may need a push for.
    async fn gone(&self) -> Result<(), SupervisorError> {
        let patience = Instant::now() + Duration::from_secs(5);
        while self.folder.is_locked(name::QEMU_LOCK) {
            if Instant::now() > patience {
                process::kill_qemu(&self.folder);
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(virtiofs::end_all(&self.folder).await?)
    }

    fn mark(&mut self, phase: Phase) -> io::Result<()> {
        self.status.phase = phase;
        if phase == Phase::Stopped {
            self.status.warnings.clear();
        }
        self.save()
    }

    fn hear(&mut self, said: console::Said) -> io::Result<()> {
        match said {
            console::Said::Ready => self.status.phase = Phase::Running,
            console::Said::Warning(warning) => self.status.warnings.push(warning),
        }
        self.save()
    }

    fn note(&mut self, event: &str) -> io::Result<()> {
        const FULL: &str =
            "paused: this computer's disk is full or failing; make room, then restart the machine";
        if event == "BLOCK_IO_ERROR" { self.warn(FULL.to_owned()) } else { Ok(()) }
    }

    /// Says it once, whoever looked after the machine before.
    fn warn(&mut self, warning: String) -> io::Result<()> {
        if self.status.warnings.contains(&warning) {
            return Ok(());
        }
        self.status.warnings.push(warning);
        self.save()
    }

    async fn publish(
        &mut self,
        published: &mut ports::Published,
        wanted: ports::Wanted,
    ) -> Result<(), SupervisorError> {
        let warnings = published.apply(wanted, &mut self.qmp).await?;
        self.status.warnings.retain(|warning| !ports::is_about_ports(warning));
        self.status.warnings.extend(warnings);
        Ok(self.save()?)
    }

    /// Writes down what is known, unless the machine was removed meanwhile.
    fn save(&self) -> io::Result<()> {
        if self.folder.file(name::VM_RECORD).exists() {
            self.folder.write(name::STATUS, &self.status)?;
        }
        Ok(())
    }
}

/// Connects to QEMU's control socket as soon as there is one.
async fn reach(folder: &Folder) -> Result<Qmp, SupervisorError> {
    let patience = Instant::now() + Duration::from_secs(15);
    loop {
        match Qmp::connect(Path::new(name::QMP)).await {
            Ok(qmp) => return Ok(qmp),
            Err(_) if !folder.is_locked(name::QEMU_LOCK) => {
                return Err(SupervisorError::Ended(qemu::last_words(folder.path())));
            }
            Err(error) if Instant::now() > patience => return Err(error.into()),
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Waits for the child in the background, so that its end leaves no zombie; the lock and the socket tell of it.
fn reap(mut child: tokio::process::Child) {
    tokio::spawn(async move {
        if let Ok(status) = child.wait().await {
            tracing::info!(%status, "QEMU ended");
        }
    });
}

/// Says the one word. Whoever asked may be gone already.
fn say(word: &Word) {
    let mut line = serde_json::to_vec(word).unwrap_or_default();
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).ok();
}

/// Lets go of the pipe to whoever started us.
fn silence() -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nothing)?)
}
