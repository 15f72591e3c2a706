//! One engine in namespaces of its own, an image made from busybox, and the docker client pointed at it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Nothing here takes longer, also on a busy machine.
const BOUND: &str = "60";
const PATIENCE: Duration = Duration::from_secs(60);

/// Removes everything of its own when it goes.
pub(crate) struct Engine {
    folder: TempDir,
    /// Keeps the namespaces while the daemon is down.
    holder: Child,
    daemon: Option<Child>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that is still running.
pub(crate) struct Running(Child);

impl Running {
    /// What Ctrl-C does; returns when it has ended.
    pub(crate) fn interrupt(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn finish(self) -> Said {
        said(self.0)
    }
}

impl Engine {
    /// `None` where containers can't run, which is said and noted.
    pub(crate) fn start(test: &str) -> Option<Self> {
        if let Some(lacking) = lacking() {
            println!("skipped: {lacking}");
            if let Some(file) = std::env::var_os("WHARF_TEST_SKIPS") {
                let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
                writeln!(file, "docker_cli::{test}: {lacking}").unwrap();
            }
            return None;
        }
        // Short, since sockets' paths are; on a real file system, since overlayfs must write there.
        let folder = tempfile::Builder::new().prefix("wcli-").tempdir_in("/var/tmp").unwrap();
        let script = "ip link set lo up && exec sleep 900";
        let holder = with_us("unshare")
            .args(["-nm", "--kill-child", "--fork", "sh", "-c", script])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut engine = Self { folder, holder, daemon: None };
        engine.start_daemon();
        engine.import_busybox();
        Some(engine)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn start_daemon(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path("log")).unwrap();
        let daemon = self
            .entering()
            .arg(env!("CARGO_BIN_EXE_wharfd"))
            .args([
                "-H",
                &format!("unix://{}", path("sock")),
                "--data-root",
                &path("data"),
                "--exec-root",
                &path("run"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        let end = Instant::now() + PATIENCE;
        while self.docker(&["version"]).code != 0 {
            assert!(Instant::now() < end, "the engine does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As hard as it gets.
    pub(crate) fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    pub(crate) fn docker(&self, arguments: &[&str]) -> Said {
        self.docker_with(arguments, "")
    }

    pub(crate) fn docker_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = self.client(&["docker"]).args(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A client that ends early reads nothing.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        said(child)
    }

    /// Demands success.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let said = self.docker(arguments);
        assert_eq!(said.code, 0, "docker {arguments:?}: {said:?}\n{}", self.log());
        said.stdout
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Running {
        Running(self.client(&["docker"]).args(arguments).stdin(Stdio::null()).spawn().unwrap())
    }

    /// Repeats a command until its output is right.
    pub(crate) fn until(&self, arguments: &[&str], right: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.docker(arguments);
            if right(&said.stdout) {
                return;
            }
            assert!(Instant::now() < end, "docker {arguments:?} never said it: {said:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a client in a terminal, and types.
    pub(crate) fn terminal(&self, command: &str, typed: &str) -> Said {
        let mut child = self.client(&["script", "-qec"]).args([command, "/dev/null"]).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(typed.as_bytes()).unwrap();
        // Open until the client ends: the end of input would be typed as well.
        let said = said(child);
        drop(stdin);
        said
    }

    /// Runs a program where the engine's network is.
    pub(crate) fn inside(&self, command: &[&str]) -> String {
        let output = self.entering().args(command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn client(&self, program: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", BOUND]).args(program);
        command.env("DOCKER_HOST", format!("unix://{}", self.folder.path().join("sock").display()));
        command.env("DOCKER_CONFIG", self.folder.path().join("docker"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A command to append to: it enters the engine's namespaces.
    pub(crate) fn entering(&self) -> Command {
        let pid = self.holder.id();
        let end = Instant::now() + PATIENCE;
        let children = format!("/proc/{pid}/task/{pid}/children");
        loop {
            let child = std::fs::read_to_string(&children).unwrap_or_default();
            if let Some(child) = child.split_whitespace().next() {
                let mut command = with_us("nsenter");
                command.args(["-t", child, "-n", "-m"]);
                return command;
            }
            assert!(Instant::now() < end, "no namespaces");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn import_busybox(&self) {
        let root = self.folder.path().join("image");
        for folder in ["bin", "etc", "tmp", "data", "mnt", "home/web"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let applets = Command::new("/bin/busybox").arg("--list").output().unwrap().stdout;
        for applet in String::from_utf8(applets).unwrap().lines().filter(|applet| *applet != "busybox") {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let write = |name: &str, text: &str| {
            std::fs::File::create(root.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
        };
        write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/home/web:/bin/sh\n");
        write("etc/group", "root:x:0:\nweb:x:33:\n");
        write("data/seed", "seed\n");
        let archive = self.folder.path().join("image.tar");
        let packed =
            Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status().unwrap();
        assert!(packed.success());
        self.ok(&[
            "import",
            "-c",
            "CMD [\"sh\"]",
            "-c",
            "ENV PATH=/bin",
            &archive.display().to_string(),
            "busybox",
        ]);
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            let all = self.docker(&["ps", "-aq"]).stdout;
            let mut remove = vec!["rm", "-fv"];
            remove.extend(all.split_whitespace());
            if remove.len() > 2 {
                self.docker(&remove);
            }
        }
        if let Some(mut daemon) = self.daemon.take() {
            // Gone already is as good.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A program that ends with this thread, however that ends.
fn with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

fn said(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    // 124 and 137 are the bound's: then it hung.
    let code = output.status.code().unwrap_or(-1);
    assert_ne!(code, 124, "a command hung: {}", text(output.stderr));
    Said { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn lacking() -> Option<String> {
    let in_path = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder: PathBuf| folder.join(program)).any(|file| file.exists())
    };
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    if !Path::new("/bin/busybox").exists() {
        return Some("needs /bin/busybox (package busybox-static)".to_owned());
    }
    ["docker", "unshare", "nsenter", "script", "ip", "nft", "curl", "/usr/bin/python3", "tar", "timeout"]
        .into_iter()
        .find(|program| !in_path(program))
        .map(|program| format!("needs {program}"))
}
