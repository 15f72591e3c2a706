//! QEMU's control socket (QMP): one JSON object a line, each command answered before the next is sent.
//! <https://www.qemu.org/docs/master/interop/qmp-spec.html>

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// What went wrong between us and QEMU.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QmpError {
    #[error("QEMU's control socket broke")]
    Io(#[from] io::Error),
    #[error("QEMU closed its control socket")]
    Closed,
    #[error("QEMU answers what is not its protocol")]
    Protocol(#[from] serde_json::Error),
    #[error("QEMU refused `{command}`: {reason}")]
    Refused { command: String, reason: String },
    #[error("QEMU did not answer `{0}` in time")]
    Silent(String),
}

/// An open control socket.
#[derive(Debug)]
pub(crate) struct Qmp {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    events: VecDeque<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(rename = "return")]
    answer: Option<Value>,
    error: Option<Refusal>,
    event: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    desc: String,
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Qmp {
    /// Connects to the socket at `path` and introduces itself.
    pub(crate) async fn connect(path: &Path) -> Result<Self, QmpError> {
        let (reader, writer) = UnixStream::connect(path).await?.into_split();
        let mut qmp = Self { lines: BufReader::new(reader).lines(), writer, events: VecDeque::new() };
        let greeting = timeout(PATIENCE, qmp.lines.next_line()).await;
        greeting.map_err(|_| QmpError::Silent("greeting".to_owned()))??.ok_or(QmpError::Closed)?;
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Performs one command.
    pub(crate) async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        let answer = async {
            self.writer.write_all(line.as_bytes()).await?;
            loop {
                let message = Self::read(&mut self.lines).await?;
                if let Some(event) = message.event {
                    self.events.push_back(event);
                } else if let Some(refusal) = message.error {
                    return Err(QmpError::Refused { command: command.to_owned(), reason: refusal.desc });
                } else if let Some(answer) = message.answer {
                    return Ok(answer);
                }
            }
        };
        timeout(PATIENCE, answer).await.map_err(|_| QmpError::Silent(command.to_owned()))?
    }

    /// Performs a command of QEMU's console for people, which has the network's.
    pub(crate) async fn console(&mut self, line: &str) -> Result<String, QmpError> {
        let answer = self.execute("human-monitor-command", json!({ "command-line": line })).await?;
        Ok(answer.as_str().unwrap_or_default().trim().to_owned())
    }

    /// The name of the next thing that happens by itself. Can be dropped and called again: nothing is lost.
    pub(crate) async fn event(&mut self) -> Result<String, QmpError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            if let Some(event) = Self::read(&mut self.lines).await?.event {
                return Ok(event);
            }
        }
    }

    async fn read(lines: &mut Lines<BufReader<OwnedReadHalf>>) -> Result<Message, QmpError> {
        let line = lines.next_line().await?.ok_or(QmpError::Closed)?;
        Ok(serde_json::from_str(&line)?)
    }
}
