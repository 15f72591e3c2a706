//! A refusal reaches a client that still sends its request: it is never told of a broken pipe instead.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use wharfd::Agent;
use wharfd::config::Config;

const HEAD: &str = "POST /v1.44/images/create?fromSrc=-&changes=RUN+x HTTP/1.1\r\nHost: x\r\n";
const REFUSAL: &str = "RUN is not a valid change command";
/// Far more than fits into the socket's own buffers.
const LONG: usize = 8 << 20;

/// Runs the clients, which block, beside an engine with a unix socket.
fn with_engine(clients: impl FnOnce(&Path) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let arguments = [
            "wharfd".to_owned(),
            format!("--host=unix://{}", at("socket")),
            "--bridge=none".to_owned(),
            format!("--data-root={}", at("data")),
            format!("--exec-root={}", at("exec")),
        ];
        let agent = Agent::start(Config::parse(arguments.map(OsString::from)).unwrap()).await.unwrap();
        let socket = folder.path().join("socket");
        tokio::task::spawn_blocking(move || clients(&socket)).await.unwrap();
        agent.drain().await;
    });
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// The status line and the body of one answer, which says how long it is.
fn answer(stream: &mut BufReader<UnixStream>) -> (String, String) {
    let mut status = String::new();
    stream.read_line(&mut status).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status.trim().to_owned(), String::from_utf8(body).unwrap())
}

#[test]
fn a_client_that_sends_everything_first_reads_its_refusal() {
    with_engine(|socket| {
        for _ in 0..10 {
            let mut stream = connect(socket);
            write!(stream, "{HEAD}Content-Length: {LONG}\r\n\r\n").unwrap();
            stream.write_all(&vec![0; LONG]).unwrap();
            let (status, body) = answer(&mut BufReader::new(stream));
            assert!(status.contains(" 400 ") && body.contains(REFUSAL), "{status}: {body}");
        }
    });
}

#[test]
fn a_connection_goes_on_after_a_refusal() {
    with_engine(|socket| {
        let mut stream = BufReader::new(connect(socket));
        for _ in 0..3 {
            write!(stream.get_mut(), "{HEAD}Transfer-Encoding: chunked\r\n\r\n").unwrap();
            for _ in 0..64 {
                write!(stream.get_mut(), "1000\r\n{}\r\n", "x".repeat(0x1000)).unwrap();
            }
            stream.get_mut().write_all(b"0\r\n\r\n").unwrap();
            let (status, body) = answer(&mut stream);
            assert!(status.contains(" 400 ") && body.contains(REFUSAL), "{status}: {body}");
        }
        write!(stream.get_mut(), "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(answer(&mut stream), ("HTTP/1.1 200 OK".to_owned(), "OK".to_owned()));
    });
}

#[test]
fn nobody_keeps_a_connection_by_sending_for_ever() {
    with_engine(|socket| {
        let stream = connect(socket);
        let mut sender = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            write!(sender, "{HEAD}Transfer-Encoding: chunked\r\n\r\n").unwrap();
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            // Until the engine has had enough.
            while sender.write_all(chunk.as_bytes()).is_ok() {}
        });
        let mut stream = BufReader::new(stream);
        assert!(answer(&mut stream).1.contains(REFUSAL), "the answer comes while the client sends");
        sending.join().unwrap();
    });
}

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_refused_before_it_sends() {
    with_engine(|socket| {
        let mut stream = BufReader::new(connect(socket));
        write!(stream.get_mut(), "{HEAD}Expect: 100-continue\r\nContent-Length: {LONG}\r\n\r\n").unwrap();
        let (status, body) = answer(&mut stream);
        assert!(status.contains(" 400 ") && body.contains(REFUSAL), "{status}: {body}");
    });
}
