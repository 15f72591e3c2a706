//! The suite that every driver passes: killed at every event and every call, then created or removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use libtest_mimic::Trial;
use wharf_driver::Factory;
use wharf_driver_local::{Accelerator, Config, Local, Virtiofsd};
use wharf_testkit::suite::{self, World};

use crate::world::{make_image, processes};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("suite_contract", async || suite::contract(&Fresh::new).await),
        trial("suite_faults", async || suite::faults(&Fresh::new).await),
        trial("suite_killed_then_created", async || suite::crash_then_create(&Fresh::new).await),
        trial("suite_killed_then_removed", async || suite::crash_then_remove(&Fresh::new).await),
        trial("suite_killed_while_powering", async || suite::crash_while_powering(&Fresh::new).await),
        trial("suite_removal_killed_twice", async || suite::crash_while_removing(&Fresh::new).await),
    ]
}

fn trial(name: &str, test: impl AsyncFnOnce() -> usize + Send + 'static) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let tried = runtime.block_on(test());
        if tried == 0 { Err("nothing was tried".into()) } else { Ok(()) }
    })
}

/// A world whose programs are known by their paths.
struct Fresh {
    folder: tempfile::TempDir,
}

impl Fresh {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("wharf-suite-").tempdir().expect("folder");
        let this = std::env::current_exe().expect("own path");
        for name in ["qemu", "wharf"] {
            symlink(&this, folder.path().join(name)).expect("link");
        }
        make_image(&folder.path().join("image"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl World for Fresh {
    fn factory(&self) -> Factory {
        Factory::of::<Local>()
    }

    fn config(&self) -> serde_json::Value {
        let config = Config {
            cpus: 1,
            memory_mib: 256,
            disk_gib: 1,
            image: None,
            image_dir: Some(self.path("image")),
            accelerator: Some(Accelerator::Tcg),
            qemu: self.path("qemu"),
            offline: true,
            mounts: Vec::new(),
            virtiofsd: Virtiofsd::None,
        };
        serde_json::to_value(config).expect("plain data")
    }

    /// QEMUs, and supervisors. One of the latter that has nothing to do needs a moment to find out.
    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            let patience = Instant::now() + Duration::from_secs(5);
            loop {
                let running: Vec<String> = processes(self.folder.path())
                    .iter()
                    .map(|pid| kind(&pid.as_raw_nonzero().to_string()))
                    .collect();
                let of = |what: &str| running.iter().filter(|kind| *kind == what).count();
                if of("QEMU") == of("supervisor") && of("") == 0 || Instant::now() > patience {
                    return running;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }

    fn program(&self) -> PathBuf {
        self.path("wharf")
    }
}

fn kind(pid: &str) -> String {
    let line = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    if words.contains(&b"-qmp".as_slice()) {
        "QEMU".to_owned()
    } else if words.contains(&b"supervise".as_slice()) {
        "supervisor".to_owned()
    } else {
        String::new()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Only after a failure is there anybody.
        for pid in processes(self.folder.path()) {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        }
    }
}
