//! A namespace with a registry, a daemon and a client, and a folder for all their files.
//!
//! Each test has a network and a mount namespace of its own: nothing is reachable from outside, and nothing of the host
//! changes. Debian's `docker-registry`, the daemon and the client run in it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

/// Removes everything of its own when it goes.
pub(crate) struct Lab {
    pub(crate) folder: PathBuf,
    /// For the daemon, when it is started next.
    pub(crate) flags: String,
    holder: Child,
    daemon: Option<Child>,
    others: std::cell::RefCell<Vec<Child>>,
    registry: PathBuf,
    docker: PathBuf,
    _folder: tempfile::TempDir,
}

impl Lab {
    /// `None`, with the reason printed and counted, where the test can't run.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let docker = std::env::var_os("WHARF_TEST_DOCKER").map(PathBuf::from).or_else(|| find("docker"));
        let (Some(docker), true) = (docker, rustix::process::geteuid().is_root()) else {
            skip(name, "needs root and the docker client");
            return None;
        };
        let registry = find("docker-registry").or_else(unpack_registry);
        let Some(registry) = registry else {
            skip(name, "Debian's docker-registry package can't be fetched");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let holder = with_us(&["unshare", "-nm", "sleep", "300"]).spawn().unwrap();
        let path = folder.path().to_owned();
        let others = std::cell::RefCell::default();
        let mut lab = Self {
            folder: path,
            flags: String::new(),
            holder,
            daemon: None,
            others,
            registry,
            docker,
            _folder: folder,
        };
        // Until the holder has left our namespaces.
        let own = std::fs::read_link("/proc/self/ns/mnt").unwrap();
        let theirs = format!("/proc/{}/ns/mnt", lab.holder.id());
        wait("the namespaces", || std::fs::read_link(&theirs).is_ok_and(|theirs| theirs != own));
        lab.ok("ip link set lo up");
        // What is written to /etc is this test's alone.
        lab.ok(
            "mkdir upper work && mount -t overlay overlay -o lowerdir=/etc,upperdir=upper,workdir=work /etc",
        );
        lab.daemon();
        Some(lab)
    }

    pub(crate) fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    pub(crate) fn shell(&self, line: &str) -> Command {
        self.inside(&["timeout", "60"], line)
    }

    /// A shell's line in the namespaces, run by `by` where that is something.
    fn inside(&self, by: &[&str], line: &str) -> Command {
        let pid = self.holder.id().to_string();
        let mut command = with_us(&["nsenter", "-t", &pid, "-n", "-m"]);
        // Entering a mount namespace forgets the working folder.
        let line = format!("cd {}\n{line}", self.path());
        command.args(by).args(["sh", "-ec", &line]);
        command.env("DOCKER_HOST", format!("unix://{}/run/wharfd.sock", self.path()));
        command.env("DOCKER_CONFIG", self.folder.join("docker"));
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.docker.parent().unwrap().display()));
        for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "SSL_CERT_FILE"] {
            command.env_remove(proxy);
        }
        command
    }

    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.shell(line).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn fails(&self, line: &str) -> String {
        let output = self.shell(line).output().unwrap();
        assert!(!output.status.success(), "{line} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("wharfd.log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        File::create(self.folder.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn daemon(&mut self) {
        let line = format!(
            "exec {} --data-root {1}/data --exec-root {1}/run -D {2} >>{1}/wharfd.log 2>&1",
            env!("CARGO_BIN_EXE_wharfd"),
            self.path(),
            self.flags
        );
        // Without `timeout` in between: the process that is killed must be the daemon itself.
        self.daemon = Some(self.inside(&[], &line).spawn().unwrap());
        wait("the daemon", || self.shell("docker version").output().unwrap().status.success());
    }

    pub(crate) fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// Starts a registry; `more` continues the `http` section of its configuration, or follows it.
    pub(crate) fn registry(&self, address: &str, more: &str) {
        let folder = self.path();
        let configuration = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp:\n  addr: {address}\n{more}"
        );
        self.file("registry.yml", &configuration);
        let line = format!("exec {} serve registry.yml >registry.log 2>&1", self.registry.display());
        self.others.borrow_mut().push(self.inside(&[], &line).spawn().unwrap());
        wait("the registry", || {
            self.shell(&format!("curl -sk -o /dev/null http://{address}/v2/")).status().unwrap().success()
        });
    }

    /// An image of one layer with a few files.
    pub(crate) fn import(&self, name: &str) {
        self.ok("mkdir -p root/etc && echo hi > root/hello && ln -sf /hello root/etc/link && seq 200000 > root/numbers");
        self.ok(&format!("tar c -C root . | docker import --change 'CMD [\"/hello\"]' - {name}"));
    }

    pub(crate) fn certificates(&self, host: &str) {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let certificate = authority.self_signed(&authority_key).unwrap();
        self.file("ca.pem", &certificate.pem());
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut server = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
        server.distinguished_name.push(rcgen::DnType::CommonName, host);
        self.file("server.pem", &server.signed_by(&key, &issuer).unwrap().pem());
        self.file("server.key", &key.serialize_pem());
    }

    /// Runs code on the lab's network, on a thread of its own.
    pub(crate) fn enter<T: Send>(&self, code: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.holder.id())).unwrap();
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
                code()
            });
            entered.join().unwrap()
        })
    }

    /// What lies in the store although no image is listed.
    pub(crate) fn left_behind(&self) -> Vec<PathBuf> {
        let folders = ["blobs/sha256", "layers", "ingest"].map(|name| self.folder.join("data").join(name));
        let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let others = self.others.get_mut().iter_mut();
        for child in others.chain(&mut self.daemon).chain([&mut self.holder]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A command that ends with this thread, however that ends.
fn with_us(words: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).args(words);
    command
}

pub(crate) fn wait(what: &str, ready: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !ready() {
        assert!(Instant::now() < end, "{what} is not ready after 30 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// Fetches and unpacks the package once, into the user's cache.
fn unpack_registry() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache =
        cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")))?.join("wharf/registry");
    let program = cache.join("usr/bin/docker-registry");
    // Several tests may come at once; each unpacks for itself and the first rename stays.
    if !program.is_file() {
        let folder = tempfile::tempdir().ok()?;
        let line = "apt-get download -qq docker-registry && dpkg-deb -x docker-registry_*.deb unpacked";
        let done = Command::new("sh").args(["-ec", line]).current_dir(folder.path()).output().ok()?;
        if !done.status.success() {
            return None;
        }
        std::fs::create_dir_all(program.parent()?).ok()?;
        let own = program
            .with_extension(std::process::id().to_string() + &format!("{:?}", std::thread::current().id()));
        // By another process: what this one has open for writing, a child of another thread could not run.
        let unpacked = folder.path().join("unpacked/usr/bin/docker-registry");
        Command::new("cp").arg(unpacked).arg(&own).status().ok().filter(ExitStatus::success)?;
        std::fs::rename(own, &program).ok()?;
    }
    Some(program)
}

fn skip(name: &str, why: &str) {
    eprintln!("skipped {name}: {why}");
    if let Some(file) = std::env::var_os("WHARF_TEST_SKIPS")
        && let Ok(mut file) = File::options().append(true).create(true).open(file)
    {
        let _ = writeln!(file, "images_cli::{name}: {why}");
    }
}
