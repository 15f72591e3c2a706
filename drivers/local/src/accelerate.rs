//! Which accelerator works here. That `/dev/kvm` opens says nothing (on some computers no guest boots all the same),
//! so it is tried: our own guest is booted with it once, with a deadline, and the answer is remembered for as long as
//! QEMU, the guest's image and this computer's kernel stay the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;
use wharf_driver::Context;

use crate::config::{Accelerator, Config};
use crate::folder::Folder;
use crate::image::Image;

/// The answer of a trial, and what it holds for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    of: String,
    works: bool,
}

const MEMORY: &str = "local-accelerator.json";
/// A guest that is really accelerated is there in one second.
const DEADLINE: Duration = Duration::from_secs(6);

/// The accelerator to use when nobody chose one.
pub(crate) async fn choose(config: &Config, image: Option<&Image>, cx: &Context) -> Accelerator {
    let Some((candidate, image)) = candidate().zip(image) else { return Accelerator::Tcg };
    let trying = || cx.progress.say(&format!("finding out whether {} works here", candidate.as_str()));
    if works(candidate, config, image, &Folder::at(&cx.places.cache), trying).await {
        candidate
    } else {
        Accelerator::Tcg
    }
}

/// The answer that is remembered for the circumstances, or that of a trial.
async fn works(
    candidate: Accelerator,
    config: &Config,
    image: &Image,
    cache: &Folder,
    trying: impl Fn(),
) -> bool {
    let of = circumstances(config, image);
    let remembered: Option<Remembered> = cache.read(MEMORY).ok().flatten();
    if let Some(remembered) = remembered.filter(|remembered| remembered.of == of) {
        return remembered.works;
    }
    trying();
    let works = boots(&config.qemu, candidate, image).await;
    // Losing it costs another trial.
    cache.write(MEMORY, &Remembered { of, works }).ok();
    works
}

fn candidate() -> Option<Accelerator> {
    if cfg!(target_os = "macos") {
        return Some(Accelerator::Hvf);
    }
    let opens = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    opens.then_some(Accelerator::Kvm)
}

/// Everything that the answer depends on, as text.
fn circumstances(config: &Config, image: &Image) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let qemu = [
        config.qemu.clone(),
        Path::new("/usr/bin").join(&config.qemu),
        Path::new("/usr/local/bin").join(&config.qemu),
    ]
    .iter()
    .find_map(|path: &PathBuf| fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok())
    .map_or(0, |age| age.as_secs());
    format!("{} {qemu} {} {}", config.qemu.display(), image.inputs, kernel.trim())
}

/// Runs its arguments until its standard input ends: when this program is killed, the trial goes with it.
const GUARD: &str = r#""$@" </dev/null & trial=$!; exec >/dev/null; cat; kill -9 "$trial""#;

/// Whether our guest's kernel reaches user space. It is told to say so and stop.
async fn boots(qemu: &Path, accelerator: Accelerator, image: &Image) -> bool {
    let child = Command::new("sh")
        .args(["-c", GUARD, "trial"])
        .arg(qemu)
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-machine",
            "q35",
            "-cpu",
            "host",
            "-m",
            "256M",
        ])
        .args(["-accel", accelerator.as_str(), "-no-reboot", "-serial", "stdio"])
        .args(["-append", "console=ttyS0 quiet loglevel=3 panic=-1 wharf.trial"])
        .arg("-kernel")
        .arg(image.folder.join("kernel"))
        .arg("-initrd")
        .arg(image.folder.join("initramfs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let (Some(out), Some(held)) = (child.stdout.take(), child.stdin.take()) else { return false };
    let mut lines = BufReader::new(out).lines();
    let said = timeout(DEADLINE, async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains("wharf-guest: trial") {
                return true;
            }
        }
        false
    })
    .await
    .unwrap_or(false);
    drop(held);
    // It has nothing left to do but to kill and go.
    timeout(DEADLINE, child.wait()).await.ok();
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trial_ends_with_whoever_began_it() {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "trial", "sh", "-c", "echo $$; exec sleep 60"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(guard.stdout.take().unwrap()).lines();
        let trial = lines.next_line().await.unwrap().unwrap();
        let held = guard.stdin.take().unwrap();
        assert!(rustix::process::test_kill_process(pid(&trial)).is_ok());
        // Closing the pipe is all that a killed program does.
        drop(held);
        timeout(Duration::from_secs(10), guard.wait()).await.unwrap().unwrap();
        let ended = async {
            while rustix::process::test_kill_process(pid(&trial)).is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), ended).await.unwrap();
    }

    /// A QEMU that says `word` and counts how often it was run.
    fn qemu(folder: &Path, word: &str) -> Config {
        let path = folder.join("qemu");
        let script = format!("#!/bin/sh\necho run >>'{}'\necho '{word}'\n", folder.join("runs").display());
        wharf_testkit::script(&path, &script).unwrap();
        let mut config =
            <crate::Local as wharf_driver::Configure>::configure(&wharf_driver::Settings::default()).unwrap();
        config.qemu = path;
        config
    }

    #[tokio::test]
    async fn an_answer_is_remembered_until_something_changes() {
        for (word, answer) in [("wharf-guest: trial", true), ("KVM internal error", false)] {
            let folder = tempfile::tempdir().unwrap();
            let (config, cache) = (qemu(folder.path(), word), Folder::at(folder.path()));
            let runs = || fs::read_to_string(folder.path().join("runs")).unwrap().lines().count();
            let of = |inputs: &str| Image { folder: folder.path().to_owned(), inputs: inputs.to_owned() };
            for _ in 0..3 {
                assert_eq!(works(Accelerator::Kvm, &config, &of("one"), &cache, || ()).await, answer);
                assert_eq!(runs(), 1);
            }
            assert_eq!(works(Accelerator::Kvm, &config, &of("another"), &cache, || ()).await, answer);
            assert_eq!(runs(), 2);
        }
    }

    fn pid(text: &str) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(text.parse().unwrap()).unwrap()
    }
}
