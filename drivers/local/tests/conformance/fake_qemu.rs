//! A QEMU without a machine: the same arguments, lock, pid file, console and control socket, with real ports of
//! 127.0.0.1, so that everything but the guest itself is put to the test in milliseconds.
//!
//! The engine's port leads to the port of this computer that the file `fake-engine` names.
//!
//! Other files in its working folder change how it behaves: `fake-deaf` ignores the power button, `fake-broken` ends at
//! once, `fake-silent` never becomes ready, `fake-damaged` cannot use its data disk.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

/// Plays QEMU with these arguments until it is told to end.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    if Path::new("fake-broken").exists() {
        eprintln!("fake: broken");
        return ExitCode::FAILURE;
    }
    let after = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag);
        at.and_then(|at| arguments.get(at + 1)).map(String::as_str).unwrap_or_default()
    };
    let socket = after("-qmp").trim_start_matches("unix:").split(',').next().unwrap_or_default().to_owned();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(after("-pidfile"))
        .and_then(|mut file| writeln!(file, "{}", std::process::id()))
        .expect("pid file");
    let listener = UnixListener::bind(socket).expect("control socket");
    let console = after("-chardev").split("path=").nth(1).unwrap_or("console.log").to_owned();
    std::thread::spawn(move || boot(&console));
    let mut machine = Machine::default();
    for stream in listener.incoming().flatten() {
        // One client at a time, as with QEMU; the next one may come when this one is gone.
        machine.serve(&stream).ok();
    }
    ExitCode::SUCCESS
}

fn boot(console: &str) {
    std::thread::sleep(Duration::from_millis(30));
    if !Path::new("fake-silent").exists() {
        let mut file = OpenOptions::new().append(true).create(true).open(console).expect("console");
        if Path::new("fake-damaged").exists() {
            writeln!(file, "wharf-guest: warning: the data disk is damaged; it is left untouched")
                .expect("console");
        }
        writeln!(file, "wharf-guest: ready after 0.03 s").expect("console");
    }
}

#[derive(Default)]
struct Machine {
    forwards: BTreeMap<(String, SocketAddr), (u16, Socket)>,
}

enum Socket {
    Tcp(TcpListener),
    Udp(#[expect(dead_code, reason = "held for its port")] UdpSocket),
}

impl Machine {
    fn serve(&mut self, stream: &UnixStream) -> std::io::Result<()> {
        let mut out = stream.try_clone()?;
        writeln!(out, "{}", json!({"QMP": {"version": {}, "capabilities": []}}))?;
        for line in BufReader::new(stream).lines() {
            let request: Value = serde_json::from_str(&line?)?;
            let answer = match request["execute"].as_str().unwrap_or_default() {
                "human-monitor-command" => {
                    json!(self.console(request["arguments"]["command-line"].as_str().unwrap_or_default()))
                }
                "system_powerdown" if !Path::new("fake-deaf").exists() => {
                    std::thread::spawn(|| {
                        std::thread::sleep(Duration::from_millis(30));
                        std::process::exit(0);
                    });
                    json!({})
                }
                "quit" => std::process::exit(0),
                _ => json!({}),
            };
            writeln!(out, "{}", json!({ "return": answer }))?;
        }
        Ok(())
    }

    fn console(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split([' ', ':', '-']).collect();
        match words.as_slice() {
            ["hostfwd_add", "net0", protocol, address, host, _guest_address, guest] => {
                self.add(protocol, &format!("{address}:{host}"), guest.parse().expect("port"))
            }
            ["hostfwd_remove", "net0", protocol, address, host] => {
                self.forwards
                    .remove(&((*protocol).to_owned(), format!("{address}:{host}").parse().expect("place")));
                "host forwarding rule removed".to_owned()
            }
            ["info", "usernet"] => {
                self.forwards.iter().fold(String::new(), |table, ((protocol, host), (guest, _))| {
                    let (protocol, at, port) = (protocol.to_uppercase(), host.ip(), host.port());
                    table
                        + &format!("  {protocol}[HOST_FORWARD]  12  {at} {port}  10.0.2.15 {guest}  0  0\r\n")
                })
            }
            _ => format!("unknown command: '{line}'"),
        }
    }

    fn add(&mut self, protocol: &str, address: &str, guest: u16) -> String {
        let bound = match protocol {
            "tcp" => {
                TcpListener::bind(address).and_then(|socket| Ok((socket.local_addr()?, Socket::Tcp(socket))))
            }
            _ => UdpSocket::bind(address).and_then(|socket| Ok((socket.local_addr()?, Socket::Udp(socket)))),
        };
        match bound {
            Ok((at, Socket::Tcp(listener))) if guest == 2376 => {
                let accepting = listener.try_clone().expect("socket");
                std::thread::spawn(move || accepting.incoming().flatten().for_each(relay));
                self.forwards.insert((protocol.to_owned(), at), (guest, Socket::Tcp(listener)));
                String::new()
            }
            Ok((at, socket)) => {
                self.forwards.insert((protocol.to_owned(), at), (guest, socket));
                String::new()
            }
            Err(error) => format!("Could not set up host forwarding rule: {error}"),
        }
    }
}

/// To the engine and back, when there is one.
fn relay(client: TcpStream) {
    let engine = std::fs::read_to_string("fake-engine").ok().and_then(|port| port.trim().parse::<u16>().ok());
    let Some(engine) = engine.and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok()) else { return };
    for (mut from, mut to) in
        [(client.try_clone().expect("socket"), engine.try_clone().expect("socket")), (engine, client)]
    {
        std::thread::spawn(move || {
            std::io::copy(&mut from, &mut to).ok();
            to.shutdown(std::net::Shutdown::Both).ok();
        });
    }
}
