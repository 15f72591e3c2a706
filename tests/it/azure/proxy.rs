//! A CONNECT proxy that writes down where it was asked to lead.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use wharf_tests::Lab;

type Log = Arc<Mutex<Vec<String>>>;

pub(super) struct Proxy {
    /// As `HTTPS_PROXY` has it.
    pub(super) url: String,
    log: Log,
}

impl Proxy {
    /// Listens in the lab, and leads to `target` alone, on the network of this runtime.
    pub(super) fn start(lab: &Lab, runtime: &Handle, target: SocketAddr) -> Self {
        let listener = lab.enter(|| std::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Log::default();
        runtime.spawn(serve(listener, target, Arc::clone(&log)));
        Self { url, log }
    }

    /// Where it was asked to lead since it was last asked this.
    pub(super) fn led_to(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

async fn serve(listener: std::net::TcpListener, target: SocketAddr, log: Log) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((client, _)) = listener.accept().await {
        let log = Arc::clone(&log);
        // A client that hangs up is no news.
        tokio::spawn(async move { drop(lead(client, target, &log).await) });
    }
}

async fn lead(client: TcpStream, target: SocketAddr, log: &Log) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut first, mut line) = (String::new(), String::new());
    client.read_line(&mut first).await?;
    while client.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let asked = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    log.lock().unwrap().push(asked.unwrap_or(&first).to_owned());
    if !asked.is_some_and(|asked| asked.ends_with(&format!(":{}", target.port()))) {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    }
    let mut cloud = TcpStream::connect(target).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut cloud).await.map(drop)
}
