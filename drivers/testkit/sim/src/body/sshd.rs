//! A body that is an sshd and nothing else: it has the host key and the users that the machine was born with, on an
//! address of its own below 127.84.0.0/16. What asks for more than that (files, commands) is refused. Needs root, for the
//! users are its own.
//!
//! A relay on port 22 holds the cloud's rules: who is not let in hears nothing, as behind the real thing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use wharf_test_ports::Port;

use super::{Birth, Bodies, Body, Doing, Rule, lets_in};
use crate::user_data::{Entry, User, UserData};

/// How long an sshd may take to listen.
const BOOT: Duration = Duration::from_secs(20);
/// How long somebody who is kept out is left waiting, at most.
const SILENCE: Duration = Duration::from_secs(120);
/// In a mount namespace of its own, with its own users.
const RUN: &str = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && mount --bind \"$1/passwd\" /etc/passwd && \
                   mount --bind \"$1/shadow\" /etc/shadow && exec /usr/sbin/sshd -D -e -f \"$1/sshd_config\"";

/// Makes such bodies in a folder.
#[derive(Debug)]
pub struct SshdBodies {
    folder: PathBuf,
    made: AtomicU16,
    addresses: AtomicU16,
}

impl SshdBodies {
    /// Their files stand in `folder`, which must end with them.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, made: AtomicU16::new(0), addresses: AtomicU16::new(1) }
    }
}

impl Bodies for SshdBodies {
    fn create(&self, birth: Birth) -> Doing<'_, Arc<dyn Body>> {
        let folder = self.folder.join(self.made.fetch_add(1, Ordering::Relaxed).to_string());
        Box::pin(async move {
            let data = UserData::of(&birth).map_err(|refused| refused.to_string())?;
            if !(data.scripts.is_empty()
                && data.config.runcmd.is_empty()
                && data.config.write_files.is_empty())
            {
                return Err("a body that is only an sshd runs no commands and keeps no files".to_owned());
            }
            let outside = Mutex::new(door(birth.public_address.as_deref())?);
            let port = Port::reserve().map_err(|error| error.to_string())?;
            write(&folder, &data, port.number()).map_err(|error| format!("{}: {error}", folder.display()))?;
            if data.config.ssh_keys.0.is_empty() {
                generate(&folder).await.map_err(|error| error.to_string())?;
            }
            let body = Sshd {
                folder,
                port,
                outside,
                rules: Arc::new(Mutex::new(birth.rules)),
                running: tokio::sync::Mutex::default(),
            };
            body.start().await?;
            Ok(Arc::new(body) as Arc<dyn Body>)
        })
    }

    fn next_address(&self) -> Option<Ipv4Addr> {
        let [high, low] = self.addresses.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        Some(Ipv4Addr::new(127, 84, high, low))
    }
}

/// One such body.
#[derive(Debug)]
struct Sshd {
    folder: PathBuf,
    port: Port,
    outside: Mutex<Option<SocketAddr>>,
    rules: Arc<Mutex<Vec<Vec<Rule>>>>,
    running: tokio::sync::Mutex<Option<Running>>,
}

/// The processes of a body that is on; both end when this is dropped.
#[derive(Debug)]
struct Running {
    _sshd: Child,
    relay: Relay,
}

/// What listens outside, where anything does; it ends when this is dropped.
#[derive(Debug)]
struct Relay(Option<JoinHandle<()>>);

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(relay) = &self.0 {
            relay.abort();
        }
    }
}

/// Where SSH answers at this address.
fn door(address: Option<&str>) -> Result<Option<SocketAddr>, String> {
    let parsed = address.map(|address| address.parse().map(|ip| SocketAddr::new(ip, 22))).transpose();
    parsed.map_err(|error| error.to_string())
}

impl Body for Sshd {
    fn move_to(&self, public: Option<String>) -> Doing<'_, ()> {
        Box::pin(async move {
            let outside = door(public.as_deref())?;
            *self.outside.lock().unwrap_or_else(PoisonError::into_inner) = outside;
            if let Some(running) = &mut *self.running.lock().await {
                // It may be the same door.
                running.relay = Relay(None);
                running.relay = self.relay(outside).await.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }

    fn start(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            if running.is_none() {
                *running = Some(self.boot().await.map_err(|error| error.to_string())?);
            }
            Ok(())
        })
    }

    fn stop(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            *self.running.lock().await = None;
            Ok(())
        })
    }

    fn destroy(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            *self.running.lock().await = None;
            std::fs::remove_dir_all(&self.folder).map_err(|error| error.to_string())
        })
    }

    fn admit(&self, rules: Vec<Vec<Rule>>) -> Doing<'_, ()> {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
        Box::pin(async { Ok(()) })
    }

    fn console(&self) -> Doing<'_, String> {
        let text = std::fs::read_to_string(self.folder.join("console")).map_err(|error| error.to_string());
        Box::pin(async { text })
    }
}

impl Sshd {
    async fn boot(&self) -> io::Result<Running> {
        let console =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("console"))?;
        // It ends with this process, however that ends.
        let mut sshd = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                RUN,
                "sshd",
            ])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .kill_on_drop(true)
            .spawn()?;
        let deadline = tokio::time::Instant::now() + BOOT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number())).await.is_err() {
            if sshd.try_wait()?.is_some() || tokio::time::Instant::now() > deadline {
                let said = std::fs::read_to_string(self.folder.join("console")).unwrap_or_default();
                return Err(io::Error::other(format!("no sshd (root is needed): {said}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let outside = *self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        let relay = self.relay(outside).await?;
        Ok(Running { _sshd: sshd, relay })
    }

    async fn relay(&self, outside: Option<SocketAddr>) -> io::Result<Relay> {
        let Some(outside) = outside else { return Ok(Relay(None)) };
        let listener = TcpListener::bind(outside).await?;
        Ok(Relay(Some(tokio::spawn(relay(listener, self.port.number(), Arc::clone(&self.rules))))))
    }
}

async fn relay(listener: TcpListener, port: u16, rules: Arc<Mutex<Vec<Vec<Rule>>>>) {
    // Aborts its connections when it is dropped: the power is cut.
    let mut open = tokio::task::JoinSet::new();
    while let Ok((mut stream, from)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        let admitted = lets_in(&rules.lock().unwrap_or_else(PoisonError::into_inner), from.ip(), 22, false);
        open.spawn(async move {
            if !admitted {
                return tokio::time::sleep(SILENCE).await;
            }
            if let Ok(mut inside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                // Either side may end it as it likes.
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut inside).await;
            }
        });
    }
}

fn write(folder: &Path, data: &UserData, port: u16) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let mut passwd = std::fs::read_to_string("/etc/passwd")?;
    let mut shadow = "root:*:19000::::::\n".to_owned();
    let users = data.config.users.iter().filter_map(|entry| match entry {
        Entry::User(user) => Some(user),
        Entry::Default => None,
    });
    for user in users {
        add_user(folder, user, &mut passwd, &mut shadow)?;
    }
    put(&folder.join("passwd"), &passwd, 0o644)?;
    put(&folder.join("shadow"), &shadow, 0o600)?;
    let mut keys = String::new();
    for (name, key) in data.config.ssh_keys.0.iter().filter(|(name, _)| name.ends_with("_private")) {
        let path = folder.join(name);
        put(&path, &format!("{}\n", key.trim_end()), 0o600)?;
        keys += &format!("HostKey {}\n", path.display());
    }
    if keys.is_empty() {
        keys = format!("HostKey {}\n", folder.join("ed25519_private").display());
    }
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\n{keys}PidFile none\nUsePAM no\nUseDNS no\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\n\
         AuthorizedKeysFile .ssh/authorized_keys\nSubsystem sftp internal-sftp\n"
    );
    put(&folder.join("sshd_config"), &config, 0o600)
}

fn add_user(folder: &Path, user: &User, passwd: &mut String, shadow: &mut String) -> io::Result<()> {
    let home = folder.join("home").join(&user.name);
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(home.join(".ssh"))?;
    put(&home.join(".ssh/authorized_keys"), &format!("{}\n", user.ssh_authorized_keys.join("\n")), 0o644)?;
    passwd.push_str(&format!("\n{}:x:65534:65534::{}:/bin/sh\n", user.name, home.display()));
    shadow.push_str(&format!("{}:*:19000::::::\n", user.name));
    Ok(())
}

fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

async fn generate(folder: &Path) -> io::Result<()> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(folder.join("ed25519_private"))
        .stdin(Stdio::null())
        .status()
        .await?;
    if made.success() { Ok(()) } else { Err(io::Error::other("ssh-keygen made no key")) }
}
