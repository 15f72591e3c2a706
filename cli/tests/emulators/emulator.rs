//! Emulators as processes of their own, which end with this process however that ends.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};

/// An empty bucket or container, in an emulator that all tests share.
pub(crate) struct Emulator {
    pub(crate) at: SocketAddr,
    /// Where a store is in it, but for its prefix.
    address: String,
    /// What else stands there, as a query.
    query: String,
    /// What signs in to it.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Emulator {
    /// Both, where they are installed. What is not is said.
    pub(crate) fn all(test: &str) -> Vec<Self> {
        [Self::s3(test), Self::azure(test)].into_iter().flatten().collect()
    }

    fn s3(test: &str) -> Option<Self> {
        static MOTO: LazyLock<Option<Running>> = LazyLock::new(|| {
            let python = std::env::var_os("WHARF_TEST_MOTO")?;
            let mut command = guarded();
            command.arg(python).args(["-u", "-c", ONE_AT_A_TIME, "-H", "127.0.0.1", "-p", "0"]);
            Some(start(command))
        });
        let Some(at) = MOTO.as_ref().map(|running| running.at) else {
            skip(test, "WHARF_TEST_MOTO names no Python that moto is installed for: nothing is tried on S3");
            return None;
        };
        let bucket = unused_name();
        let signature = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        ask(at, &format!("PUT /{bucket} HTTP/1.1\r\nHost: {at}\r\nAuthorization: {signature}\r\n"));
        Some(Self {
            at,
            address: format!("s3://{bucket}"),
            query: format!("endpoint=http://{at}&region=us-east-1"),
            environment: variables([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]),
        })
    }

    fn azure(test: &str) -> Option<Self> {
        static AZURITE: LazyLock<Option<Running>> = LazyLock::new(|| {
            let azurite = std::env::var_os("WHARF_TEST_AZURITE")?;
            let mut command = guarded();
            command.arg("node").arg(azurite).args(["--blobHost", "127.0.0.1", "--blobPort", "0"]);
            command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]);
            Some(start(command))
        });
        let Some(at) = AZURITE.as_ref().map(|running| running.at) else {
            skip(test, "WHARF_TEST_AZURITE names no azurite-blob: nothing is tried on Azure's blobs");
            return None;
        };
        let container = unused_name();
        make_container(at, &container);
        Some(Self {
            at,
            address: format!("azblob://{container}"),
            query: format!("account={ACCOUNT}&endpoint=http://{at}/{ACCOUNT}"),
            environment: variables([("AZURE_STORAGE_ACCOUNT_KEY", KEY)]),
        })
    }

    /// The address of a store of its own.
    pub(crate) fn store(&self, prefix: &str) -> String {
        format!("{}/{prefix}?{}", self.address, self.query)
    }
}

/// A bucket's that no other test has.
fn unused_name() -> String {
    static USED: AtomicU32 = AtomicU32::new(0);
    format!("team{}", USED.fetch_add(1, Ordering::Relaxed))
}

/// Says that a test cannot try something here, and why.
fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}");
    if let Some(file) = std::env::var_os("WHARF_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }
    eprintln!("skipped {line}");
}

/// What follows runs until nobody holds its standard input any more.
fn guarded() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "exec 3<&0; \"$@\" </dev/null & read -r _ <&3; kill -9 $!; wait", "guard"]);
    command.stdin(Stdio::piped());
    command
}

/// An emulator's process, until this one ends: then nobody holds its standard input any more.
struct Running {
    _child: Child,
    at: SocketAddr,
}

/// Starts it, and waits until it has said where it answers.
fn start(mut command: Command) -> Running {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    drop(command);
    let mut lines = BufReader::new(reader).lines();
    let mut said = String::new();
    let at = lines.by_ref().map_while(Result::ok).find_map(|line| {
        said.push_str(&line);
        let (_, address) = line.split_once("http://")?;
        address.trim().parse().ok()
    });
    // Read on, or it blocks when the pipe is full.
    std::thread::spawn(move || lines.for_each(drop));
    if let Some(at) = at.filter(|at| answers(*at)) {
        return Running { _child: child, at };
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    panic!("it does not answer, and said: {said}");
}

fn answers(at: SocketAddr) -> bool {
    let mut looks = 0..300;
    looks.any(|_| {
        let there = TcpStream::connect(at).is_ok();
        if !there {
            std::thread::sleep(Duration::from_millis(100));
        }
        there
    })
}

/// A container is made by a call that is signed as Azure's blobs want it (Shared Key).
fn make_container(at: SocketAddr, name: &str) {
    let now = time::OffsetDateTime::from(SystemTime::now());
    let form = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = now.format(form).unwrap();
    let headers = format!("x-ms-date:{date}\nx-ms-version:2021-08-06");
    let signed = format!("PUT{}{headers}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container", "\n".repeat(12));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&STANDARD.decode(KEY).unwrap()).unwrap();
    mac.update(signed.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    ask(
        at,
        &format!(
            "PUT /{ACCOUNT}/{name}?restype=container HTTP/1.1\r\nHost: {at}\r\nx-ms-date: {date}\r\n\
             x-ms-version: 2021-08-06\r\nAuthorization: SharedKey {ACCOUNT}:{signature}\r\n"
        ),
    );
}

fn ask(at: SocketAddr, request: &str) {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "{request}Content-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
}

fn variables<const N: usize>(set: [(&str, &str); N]) -> BTreeMap<String, String> {
    set.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// moto looks whether an object is there and then writes it, and another request may come in between, as in no S3: here
/// one comes after the other.
const ONE_AT_A_TIME: &str = "\
import sys, threading
import moto.server as server
lock, run = threading.Lock(), server.run_simple
def after_another(app):
    def answer(environ, start):
        with lock:
            return app(environ, start)
    return answer
server.run_simple = lambda host, port, app, **more: run(host, port, after_another(app), **more)
server.main(sys.argv[1:])
";

/// The account that every Azurite has, with a key that everybody knows.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
