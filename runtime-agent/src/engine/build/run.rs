//! `RUN`: a container over the image so far, watched to its end.

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

use super::Build;
use super::output::Output;
use super::stage::Stage;
use crate::engine::containers::{Container, Until};
use crate::engine::dockerfile::{CommandLine, command_words};
use crate::engine::error::{Error, Result};
use crate::engine::images::configuration::{Config, Healthcheck};
use crate::runtime::Streams;

impl Build<'_> {
    pub(super) async fn run(&mut self, stage: &mut Stage, line: &CommandLine) -> Result<()> {
        let words = command_words(&stage.config, line);
        let variables = stage.arguments.variables(&stage.config.env);
        // The cache and the history know the step with the arguments' values, which its command does not show.
        let known_as =
            if variables.is_empty() { words.clone() } else { with_arguments(stage, &variables, &words) };
        let key = Config { cmd: Some(known_as), entrypoint: None, ..stage.config.clone() };
        if self.cached(stage, &key).await? {
            return Ok(());
        }
        let mut config = Config {
            cmd: Some(words.clone()),
            // None of the image's own.
            entrypoint: Some(vec![String::new()]),
            healthcheck: Some(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() }),
            ..stage.config.clone()
        };
        config.env.extend(variables);
        let container = self.container(stage, &config).await?;
        match self.watch(&container).await? {
            0 => {}
            code => {
                let text = format!("The command '{}' returned a non-zero code: {code}", words.join(" "));
                return Err(Error::invalid(text).with_code(code));
            }
        }
        let layer = self.engine.containers.difference(&container).await?;
        self.keep(stage, key, &container.id, Some(layer)).await
    }

    /// Runs it to its end and says its exit code. When the client goes away, it is removed.
    async fn watch(&self, container: &Container) -> Result<i64> {
        let streams = Streams { stdin: false, stdout: true, stderr: true };
        let attached = container.attach(streams).await?;
        let ended = container.wait(Until::NextExit);
        container.start().await?;
        let running = async {
            let stream = attached.await.map_err(|e| Error::internal("attaching to the step", e))??;
            relay(stream, self.output).await;
            ended.await
        };
        tokio::select! {
            code = running => code,
            () = self.cancel.cancelled() => {
                if let Err(error) = container.remove(true, true).await {
                    tracing::warn!(%error, container = container.id, "a cancelled build's container stays");
                }
                Err(Error::unavailable("Build cancelled"))
            }
        }
    }
}

fn with_arguments(stage: &Stage, variables: &[String], words: &[String]) -> Vec<String> {
    let name = |line: &String| line.split('=').next().unwrap_or_default().to_owned();
    let mut shown: Vec<_> =
        variables.iter().filter(|line| stage.arguments.is_shown(&name(line))).cloned().collect();
    shown.sort();
    let mut all = vec![format!("|{}", shown.len())];
    all.extend(shown);
    all.extend(words.iter().cloned());
    all
}

/// Both streams, until they end. A frame is a byte for the stream, three zeros, and a length of four bytes.
async fn relay(mut stream: UnixStream, output: &Output) {
    let (mut out, mut err) = (Text::default(), Text::default());
    let mut head = [0; 8];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let mut bytes = vec![0; length as usize];
        if stream.read_exact(&mut bytes).await.is_err() {
            return;
        }
        if head[0] == 2 {
            output.warn(&err.decode(&bytes)).await;
        } else {
            output.say(&out.decode(&bytes)).await;
        }
    }
}

/// Bytes as text, where a piece may end within a character.
#[derive(Debug, Default)]
struct Text(Vec<u8>);

impl Text {
    fn decode(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.0) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.0.len(),
        };
        let rest = self.0.split_off(whole);
        let text = String::from_utf8_lossy(&self.0).into_owned();
        self.0 = rest;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_may_come_in_pieces() {
        let mut text = Text::default();
        assert_eq!(text.decode(&[b'a', 0xc3]), "a");
        assert_eq!(text.decode(&[0xa9, b'b']), "éb");
        assert_eq!(text.decode(&[0xff, b'c']), "\u{fffd}c");
    }
}
