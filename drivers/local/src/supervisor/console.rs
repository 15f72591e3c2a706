//! What the guest says of itself on its console: lines that begin with `wharf-guest: `. They are the guest's words, so
//! they are shown and never acted upon, except that "ready" ends the waiting.

use std::path::PathBuf;
use std::time::Duration;

use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

/// A console that is being read.
pub(super) struct Console {
    path: PathBuf,
    file: Option<File>,
    rest: String,
    warnings: usize,
    /// How long until the next look: short while the guest boots, long once it runs.
    pace: Duration,
}

/// One thing that the guest said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It answers SSH from now on.
    Ready,
    /// Something is wrong with it.
    Warning(String),
}

const BOOTING: Duration = Duration::from_millis(20);
const RUNNING: Duration = Duration::from_secs(5);
/// A guest that talks too much is not listened to.
const LONGEST: usize = 200;
const MOST: usize = 8;

impl Console {
    pub(super) fn follow(path: PathBuf) -> Self {
        Self { path, file: None, rest: String::new(), warnings: 0, pace: BOOTING }
    }

    /// The next thing the guest says. Can be dropped and called again.
    pub(super) async fn next(&mut self) -> Said {
        loop {
            while let Some(said) = self.line() {
                match said {
                    Said::Ready => self.pace = RUNNING,
                    Said::Warning(_) if self.warnings >= MOST => continue,
                    Said::Warning(_) => self.warnings += 1,
                }
                return said;
            }
            if self.read().await == 0 {
                sleep(self.pace).await;
            }
        }
    }

    /// Takes the next line that is for us out of what was read.
    fn line(&mut self) -> Option<Said> {
        while let Some(end) = self.rest.find('\n') {
            let line: String = self.rest.drain(..=end).collect();
            if let Some(said) = understand(line.trim()) {
                return Some(said);
            }
        }
        if self.rest.len() > 4096 {
            self.rest.clear();
        }
        None
    }

    async fn read(&mut self) -> usize {
        if self.file.is_none() {
            self.file = File::open(&self.path).await.ok();
        }
        let Some(file) = &mut self.file else { return 0 };
        let mut bytes = [0; 4096];
        let count = file.read(&mut bytes).await.unwrap_or(0);
        self.rest.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()));
        count
    }
}

fn understand(line: &str) -> Option<Said> {
    let (_, words) = line.split_once("wharf-guest: ")?;
    if words.starts_with("ready") {
        return Some(Said::Ready);
    }
    let warning = words.strip_prefix("warning: ")?;
    let shown = warning.chars().filter(|character| !character.is_control()).take(LONGEST).collect();
    Some(Said::Warning(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_lines_count() {
        assert_eq!(understand("wharf-guest: ready after 3 s"), Some(Said::Ready));
        assert_eq!(
            understand("wharf-guest: warning: the data disk is damaged\u{1b}[31m"),
            Some(Said::Warning("the data disk is damaged[31m".to_owned()))
        );
        assert_eq!(understand("login: "), None);
    }

    #[tokio::test]
    async fn a_chatty_guest_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        let mut text = "wharf-guest: warning: x\n".repeat(MOST + 5);
        text.push_str("wharf-guest: ready\n");
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
        let mut console = Console::follow(path);
        for _ in 0..MOST {
            assert!(matches!(console.next().await, Said::Warning(_)));
        }
        assert_eq!(console.next().await, Said::Ready);
    }
}
