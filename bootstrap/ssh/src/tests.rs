//! Against a real sshd on a loopback port, and against things that are none.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wharf_test_ports::Port;

use super::*;

/// A server of its own: keys, configuration, and the process, which ends with it.
struct Server {
    folder: tempfile::TempDir,
    process: Child,
    port: u16,
    _reserved: Port,
    host_key: KeyPair,
    user_key: KeyPair,
    user: String,
}

impl Server {
    fn start() -> Self {
        let host_key = KeyPair::generate("host").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let user_key = KeyPair::generate("user").unwrap();
        write(&folder.path().join("host"), host_key.private());
        write(&folder.path().join("authorized"), user_key.public());
        let reserved = Port::reserve().unwrap();
        let port = reserved.number();
        let at = folder.path().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized\n\
             PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nMaxStartups 100\nSetEnv HOME={at}\n"
        );
        write(&folder.path().join("config"), &config);
        // Debian's sshd wants this folder, and nothing makes it where no service was ever started.
        let _ = std::fs::create_dir_all("/run/sshd");
        let process = Process::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.path().join("config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssh-server is installed");
        let user = String::from_utf8(Process::new("id").arg("-un").output().unwrap().stdout).unwrap();
        Self { folder, process, port, _reserved: reserved, host_key, user_key, user: user.trim().to_owned() }
    }

    fn target(&self) -> Target {
        let pinned = HostKeys::Pinned(vec![self.host_key.host_key().unwrap()]);
        let identity = Identity::Key(self.user_key.private().to_owned());
        Target { port: self.port, ..Target::new("127.0.0.1", &self.user, identity, pinned) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(path: &Path, text: &str) {
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Says so, and leaves a line for whoever counts.
fn skip(test: &str, reason: &str) {
    println!("skipped {test}: {reason}");
    if let Some(file) = std::env::var_os("WHARF_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}

fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

async fn connect(target: &Target) -> Result<Session, Error> {
    Session::connect(target, soon(20)).await
}

#[tokio::test]
async fn a_command_gets_its_input_and_gives_its_output() {
    let server = Server::start();
    let session = connect(&server.target()).await.unwrap();
    assert_eq!(session.host_key(), &server.host_key.host_key().unwrap());
    let output = session.run("cat; echo bad >&2; exit 7", b"good", soon(10)).await.unwrap();
    assert_eq!(output, Output { status: 7, stdout: b"good".to_vec(), stderr: b"bad\n".to_vec() });
    let killed = session.run("kill -9 $$", b"", soon(10)).await.unwrap();
    assert!(!killed.success());
    let input: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[n as usize % 4]).collect();
    let echoed = session.run("cat", &input, soon(20)).await.unwrap();
    assert_eq!(echoed.stdout, input, "both directions are busy at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_systems_ssh_signs_in_with_a_key_that_only_the_agent_has() {
    let server = Server::start();
    drop(connect(&server.target()).await.unwrap());
    let agent = Agent::start(&server.user_key, server.folder.path()).unwrap();
    let (known, public) = (server.path("known"), server.path("user.pub"));
    write(&known, &format!("[127.0.0.1]:{} {}\n", server.port, server.host_key.public()));
    write(&public, server.user_key.public());
    let ssh = |identity: &Path| {
        let mut ssh = Process::new("ssh");
        ssh.args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]).arg(identity);
        ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
        ssh.env("SSH_AUTH_SOCK", agent.socket()).args(["-p", &server.port.to_string(), "-l", &server.user]);
        ssh.args(["127.0.0.1", "echo in"]).stdin(Stdio::null()).output().unwrap()
    };
    let signed_in = tokio::task::block_in_place(|| ssh(&public));
    assert_eq!(signed_in.stdout, b"in\n", "{}", String::from_utf8_lossy(&signed_in.stderr));
    // It signs with its own key and takes no other.
    write(&public, KeyPair::generate("other").unwrap().public());
    assert!(!tokio::task::block_in_place(|| ssh(&public)).status.success());
    let add = || Process::new("ssh-add").arg("-D").env("SSH_AUTH_SOCK", agent.socket()).output().unwrap();
    assert!(!tokio::task::block_in_place(add).status.success(), "nobody empties it");
}

#[tokio::test]
async fn no_wakeup_is_missed_when_both_streams_speak_at_once() {
    let server = Server::start();
    let session = connect(&server.target()).await.unwrap();
    for turn in 0..200 {
        let line = format!("cat >/dev/null; echo {turn}; echo bad >&2; exit 3");
        let output = session.run(&line, &vec![1; turn * 500], soon(5)).await.unwrap();
        assert_eq!(
            output,
            Output { status: 3, stdout: format!("{turn}\n").into(), stderr: b"bad\n".to_vec() }
        );
    }
}

#[tokio::test]
async fn a_command_that_ignores_its_input_ends_all_the_same() {
    let server = Server::start();
    let session = connect(&server.target()).await.unwrap();
    let output = session.run("exit 3", &vec![0; 8 << 20], soon(10)).await.unwrap();
    assert_eq!(output.status, 3);
    assert!(session.run("true", b"", soon(10)).await.unwrap().success(), "the session goes on");
}

#[tokio::test]
async fn an_upload_is_whole_or_not_there() {
    let server = Server::start();
    let session = connect(&server.target()).await.unwrap();
    let path = server.path("it's a file");
    let content: Vec<u8> = (0..1_000_000u32).map(|n| n.to_be_bytes()[3]).collect();
    session.upload(&content, path.to_str().unwrap(), 0o750, soon(20)).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o750);
    let nowhere = session.upload(b"x", "/nowhere/file", 0o600, soon(10)).await.unwrap_err();
    assert!(nowhere.to_string().contains("/nowhere/file"), "{nowhere}");
}

#[tokio::test]
async fn progress_of_an_upload_is_told() {
    let server = Server::start();
    let session = connect(&server.target()).await.unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&sent);
    let command = Command::new("cat >/dev/null")
        .input(vec![0; 500_000])
        .on_sent(move |n| seen.store(n, Ordering::Relaxed));
    session.execute(command, soon(10)).await.unwrap();
    assert_eq!(sent.load(Ordering::Relaxed), 500_000);
}

#[tokio::test]
async fn another_host_key_is_a_mismatch_with_both_fingerprints() {
    let server = Server::start();
    let other = KeyPair::generate("other").unwrap().host_key().unwrap();
    let target = Target { host_keys: HostKeys::Pinned(vec![other.clone()]), ..server.target() };
    let error = connect(&target).await.unwrap_err();
    assert_eq!(error.kind(), Kind::HostKeyMismatch);
    let ours = server.host_key.host_key().unwrap().fingerprint().to_string();
    assert!(error.to_string().contains(&ours), "{error}");
    assert!(error.to_string().contains(&other.fingerprint().to_string()), "{error}");
}

#[tokio::test]
async fn another_type_of_host_key_is_a_mismatch_too() {
    let folder = tempfile::tempdir().unwrap();
    let rsa = folder.path().join("rsa");
    let made =
        Process::new("ssh-keygen").args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(&rsa).status();
    assert!(made.unwrap().success());
    // The configuration's own key is ed25519; this server has only the other.
    let server = Server::start();
    let config = std::fs::read_to_string(server.path("config")).unwrap();
    let port = Port::reserve().unwrap();
    let config = config.replace(&format!("{}/host", server.folder.path().display()), rsa.to_str().unwrap());
    let config = config.replace(&format!("Port {}", server.port), &format!("Port {}", port.number()));
    write(&server.path("config2"), &config);
    let mut swapped = Process::new("/usr/sbin/sshd")
        .args(["-D", "-f"])
        .arg(server.path("config2"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let result = connect(&Target { port: port.number(), ..server.target() }).await;
    swapped.kill().unwrap();
    swapped.wait().unwrap();
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::HostKeyMismatch, "{error}");
    let public = std::fs::read_to_string(rsa.with_extension("pub")).unwrap();
    let offered: HostKey = public.parse().unwrap();
    assert!(error.to_string().contains(&offered.fingerprint().to_string()), "{error}");
}

#[tokio::test]
async fn a_fingerprint_is_enough_and_must_fit() {
    let server = Server::start();
    let fingerprint = server.host_key.host_key().unwrap().fingerprint();
    let right = Target { host_keys: HostKeys::Fingerprint(fingerprint), ..server.target() };
    connect(&right).await.unwrap();
    let other = KeyPair::generate("other").unwrap().host_key().unwrap().fingerprint();
    let wrong = Target { host_keys: HostKeys::Fingerprint(other), ..server.target() };
    assert_eq!(connect(&wrong).await.unwrap_err().kind(), Kind::HostKeyMismatch);
}

#[tokio::test]
async fn known_hosts_decides_and_otherwise_only_fills_gaps() {
    let server = Server::start();
    let file = server.path("known_hosts");
    let with = |otherwise| Target {
        host_keys: HostKeys::KnownHosts { files: vec![file.clone(), "/nowhere".into()], otherwise },
        ..server.target()
    };
    let error = connect(&with(Unknown::Refuse)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::HostKeyUnknown);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let ask = Unknown::Ask(Arc::new(move |host: &str, _: &HostKey| {
        count.fetch_add(1, Ordering::Relaxed);
        host.starts_with("127.0.0.1:")
    }));
    connect(&with(ask)).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let accepted = connect(&with(Unknown::Accept)).await.unwrap();
    write(&file, &format!("[127.0.0.1]:{} {}\n", server.port, accepted.host_key()));
    connect(&with(Unknown::Refuse)).await.unwrap();
    let other = KeyPair::generate("other").unwrap();
    write(&file, &format!("[127.0.0.1]:{} {}\n", server.port, other.public()));
    assert_eq!(connect(&with(Unknown::Accept)).await.unwrap_err().kind(), Kind::HostKeyMismatch);
    write(&file, &format!("@revoked [127.0.0.1]:{} {}\n", server.port, server.host_key.public()));
    assert_eq!(connect(&with(Unknown::Accept)).await.unwrap_err().kind(), Kind::HostKeyMismatch);
}

#[tokio::test]
async fn a_wrong_key_and_a_wrong_user_are_rejected() {
    let server = Server::start();
    let wrong = Identity::Key(KeyPair::generate("wrong").unwrap().private().to_owned());
    let error = connect(&Target { identities: vec![wrong.clone()], ..server.target() }).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyRejected, "{error}");
    assert!(error.to_string().contains("publickey"), "{error}");
    let error = connect(&Target { user: "nobody-here".into(), ..server.target() }).await.unwrap_err();
    assert_eq!(error.kind(), Kind::KeyRejected, "{error}");
    let right = Identity::Key(server.user_key.private().to_owned());
    connect(&Target { identities: vec![wrong, right], ..server.target() }).await.unwrap();
}

#[tokio::test]
async fn keys_in_files_may_be_encrypted() {
    let server = Server::start();
    let path = server.path("user");
    write(&path, server.user_key.private());
    let with = |passphrase: Option<&str>| {
        let passphrase = passphrase.map(str::to_owned);
        Target {
            identities: vec![Identity::File(path.clone())],
            passphrase: Some(Passphrase::new(move |_| passphrase.clone())),
            ..server.target()
        }
    };
    connect(&with(None)).await.unwrap();
    let locked = Process::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"])
        .arg(&path)
        .status();
    assert!(locked.unwrap().success());
    connect(&with(Some("open sesame"))).await.unwrap();
    let error = connect(&with(Some("open"))).await.unwrap_err();
    assert!(error.to_string().contains("the passphrase is wrong"), "{error}");
    let error = connect(&with(None)).await.unwrap_err();
    assert!(error.to_string().contains("it is encrypted"), "{error}");
    let missing = Target { identities: vec![Identity::File("/nowhere/key".into())], ..server.target() };
    assert_eq!(connect(&missing).await.unwrap_err().kind(), Kind::Input);
}

#[tokio::test]
async fn an_agent_signs_for_us() {
    let server = Server::start();
    let socket = server.path("agent");
    let mut agent =
        Process::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let path = server.path("user");
    write(&path, server.user_key.private());
    let deadline = soon(5);
    while !socket.exists() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let target = Target { identities: vec![Identity::Agent(socket.clone())], ..server.target() };
    let empty = connect(&target).await;
    let added = Process::new("ssh-add").arg("-q").arg(&path).env("SSH_AUTH_SOCK", &socket).status();
    let full = connect(&target).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    let gone = connect(&target).await;
    assert!(added.unwrap().success());
    assert!(empty.unwrap_err().to_string().contains("holds no key"));
    full.unwrap();
    assert_eq!(gone.unwrap_err().kind(), Kind::KeyRejected);
}

#[tokio::test]
async fn nothing_listening_is_refused() {
    let server = Server::start();
    let port = Port::reserve().unwrap();
    let error =
        Session::connect(&Target { port: port.number(), ..server.target() }, soon(1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
}

#[tokio::test]
async fn a_black_hole_times_out() {
    // A listener whose queue is full drops what comes, as a firewall would.
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let _fill: Vec<_> =
        (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))).collect();
    let server = Server::start();
    let begun = Instant::now();
    let error =
        Session::connect(&Target { port: address.port(), ..server.target() }, soon(1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn what_does_not_answer_behind_a_host_is_named() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let _fill: Vec<_> =
        (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))).collect();
    let server = Server::start();
    let session = Session::connect(&server.target(), soon(10)).await.unwrap();
    let error = session.tunnel("127.0.0.1", address.port(), soon(2)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut, "{error}");
    let said = error.to_string();
    assert!(said.starts_with(&format!("no answer from {address} as seen from ")), "{said}");
}

#[tokio::test]
async fn silence_and_other_servers_are_told_apart() {
    let server = Server::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = Session::connect(&Target { port, ..server.target() }, soon(1)).await.unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error}");
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = web.local_addr().unwrap().port();
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = web.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        std::thread::sleep(Duration::from_secs(4));
    });
    let error = connect(&Target { port, ..server.target() }).await.unwrap_err();
    assert!(matches!(&error, Error::NotSsh { said, .. } if said.starts_with("HTTP/1.1 400")), "{error}");
    answer.join().unwrap();
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let server = Server::start();
    let busy = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (port, real) = (busy.local_addr().unwrap().port(), server.port);
    let passing_on = tokio::spawn(async move {
        let (mut refused, _) = busy.accept().await.unwrap();
        refused.write_all(b"Exceeded MaxStartups\r\n").await.unwrap();
        drop(refused);
        loop {
            let (mut near, _) = busy.accept().await.unwrap();
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, real)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    connect(&Target { port, ..server.target() }).await.unwrap();
    passing_on.abort();
}

#[tokio::test]
async fn a_name_without_address_is_told_at_once() {
    let server = Server::start();
    let target = Target { host: "no-such-host.invalid".into(), ..server.target() };
    assert_eq!(connect(&target).await.unwrap_err().kind(), Kind::Unresolved);
}

#[tokio::test]
async fn a_host_that_comes_up_late_is_waited_for() {
    let server = Server::start();
    let port = Port::reserve().unwrap();
    let (real, late) = (server.port, port.number());
    // First silent (as a hypervisor's forward is), then a way to the real server.
    let opens = tokio::spawn(async move {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, late)).await.unwrap();
        let begun = Instant::now();
        let mut silent = Vec::new();
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            if begun.elapsed() < Duration::from_millis(600) {
                silent.push(near);
                continue;
            }
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, real)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let begun = Instant::now();
    connect(&Target { port: late, ..server.target() }).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    opens.abort();
}

#[tokio::test]
async fn a_command_that_does_not_end_is_left_at_its_deadline() {
    let server = Server::start();
    let session = connect(&server.target()).await.unwrap();
    let begun = Instant::now();
    let error = session.run("sleep 30", b"", soon(1)).await.unwrap_err();
    assert!(matches!(error, Error::Unfinished { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn dropping_the_future_ends_the_thread() {
    let server = Server::start();
    let session = connect(&server.target()).await.unwrap();
    let waiting =
        tokio::time::timeout(Duration::from_millis(200), session.run("sleep 30", b"", soon(60))).await;
    assert!(waiting.is_err());
    let begun = Instant::now();
    let error = session.run("true", b"", soon(60)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Lost, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3), "the thread lived on");
}

#[tokio::test]
async fn a_tunnel_carries_both_ways_and_ends() {
    let server = Server::start();
    let session = connect(&server.target()).await.unwrap();
    let echo = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = echo.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = echo.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let stream = session.tunnel("127.0.0.1", port, soon(10)).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let content = vec![42; 2_000_000];
    let sent = content.clone();
    let writer = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, content);
    writer.await.unwrap();
    task.await.unwrap();
    let closed = session.tunnel("127.0.0.1", 1, soon(3)).await.unwrap_err();
    assert_eq!(closed.kind(), Kind::Refused, "{closed}");
}

#[tokio::test]
async fn every_jump_is_verified() {
    let (first, second, last) = (Server::start(), Server::start(), Server::start());
    let target = Target { jumps: vec![first.target(), second.target()], ..last.target() };
    let session = connect(&target).await.unwrap();
    assert_eq!(session.host_key(), &last.host_key.host_key().unwrap());
    assert_eq!(session.run("echo there", b"", soon(10)).await.unwrap().text(), "there\n");
    let other = KeyPair::generate("other").unwrap().host_key().unwrap();
    for hop in 0..3 {
        let mut target = target.clone();
        let swapped = if hop < 2 { &mut target.jumps[hop] } else { &mut target };
        swapped.host_keys = HostKeys::Pinned(vec![other.clone()]);
        let error = connect(&target).await.unwrap_err();
        assert_eq!(error.kind(), Kind::HostKeyMismatch, "hop {hop}: {error}");
        assert_eq!(matches!(error, Error::Jump { .. }), hop < 2, "hop {hop}: {error}");
    }
}

#[tokio::test]
async fn dropbear_takes_uploads_without_sftp() {
    if !rustix::process::geteuid().is_root() {
        return skip(
            "dropbear_takes_uploads_without_sftp",
            "dropbear needs a home folder of its own: run it as root",
        );
    }
    let dropbear =
        ["/usr/sbin/dropbear", "/usr/bin/dropbear"].into_iter().find(|path| Path::new(path).exists());
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("host");
    let made = Process::new("dropbearkey").args(["-t", "ed25519", "-f"]).arg(&key).output().unwrap();
    let public = String::from_utf8(made.stdout).unwrap();
    let public = public.lines().find(|line| line.starts_with("ssh-ed25519")).unwrap();
    let user = KeyPair::generate("user").unwrap();
    write(&folder.path().join("authorized_keys"), user.public());
    let port = Port::reserve().unwrap();
    // It looks for keys in the home folder and nowhere else: it gets one of its own.
    let script = "mount -t tmpfs -o mode=700 none ~ && mkdir -m 700 ~/.ssh && cp \"$1\" ~/.ssh/ && shift && exec \"$@\"";
    let mut server = Process::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(folder.path().join("authorized_keys"))
        .arg(dropbear.expect("dropbear-bin is installed"))
        .args(["-F", "-s", "-r"])
        .arg(&key)
        .args(["-p", &format!("127.0.0.1:{}", port.number()), "-P"])
        .arg(folder.path().join("pid"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let who = String::from_utf8(Process::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let pinned = HostKeys::Pinned(vec![public.parse().unwrap()]);
    let target = Target {
        port: port.number(),
        ..Target::new("127.0.0.1", who.trim(), Identity::Key(user.private().to_owned()), pinned)
    };
    let uploaded = async {
        let session = connect(&target).await?;
        let content = vec![7; 5_000_000];
        session.upload(&content, folder.path().join("file").to_str().unwrap(), 0o600, soon(30)).await?;
        Ok::<_, Error>(content)
    };
    let content = uploaded.await;
    server.kill().unwrap();
    server.wait().unwrap();
    let content = content.unwrap();
    assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), content);
}

#[test]
fn fingerprints_and_keys_are_read_as_they_are_written() {
    let key = KeyPair::generate("a comment").unwrap();
    let host_key = key.host_key().unwrap();
    assert_eq!(host_key.to_string().parse::<HostKey>().unwrap(), host_key);
    assert!(!host_key.to_string().contains("comment"));
    let fingerprint = host_key.fingerprint();
    assert_eq!(fingerprint.to_string().parse::<Fingerprint>().unwrap(), fingerprint);
    let json = serde_json::to_string(&fingerprint).unwrap();
    assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
    for text in ["", "SHA256:", "MD5:aa:bb", "SHA256:short", "ssh-ed25519 AAAA"] {
        assert!(text.parse::<Fingerprint>().is_err(), "{text}");
    }
    assert_eq!(KeyPair::load(key.private()).unwrap().public(), key.public());
    assert!(!format!("{key:?}{:?}", Identity::Key(key.private().to_owned())).contains("PRIVATE"));
}
