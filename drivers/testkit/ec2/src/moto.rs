//! moto as a process of its own, which ends with its handle, or with the program whose accounts share it.

use std::io::{Error, Result, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    socket: PathBuf,
}

/// So many looks, a tenth of a second apart.
const LOOKS: u32 = 300;
const SERVER: &str = include_str!("../moto.py");

impl Moto {
    /// The one that all accounts of this program share, which spares each the seconds in which moto reads its catalogues.
    /// The first caller starts it; it ends with the program.
    ///
    /// # Errors
    /// When it does not start, or does not answer.
    pub fn shared(python: &Path) -> Result<&'static Self> {
        static SHARED: Mutex<Option<&'static Moto>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = *shared {
            return Ok(there);
        }
        let folder = tempfile::tempdir()?;
        let moto = Box::leak(Box::new(Self::start(python, folder.path())?));
        // From here on moto takes it along.
        let _ = folder.keep();
        Ok(shared.insert(moto))
    }

    /// Starts the moto of this Python, with the images of `images.json` and no others. The folder is its own, and ends with
    /// it.
    ///
    /// # Errors
    /// When it does not start, or does not answer.
    pub fn start(python: &Path, folder: &Path) -> Result<Self> {
        let images = folder.join("images.json");
        std::fs::File::create(&images)?.write_all(include_bytes!("../images.json"))?;
        let socket = folder.join("moto.sock");
        let child = Command::new(python)
            .args(["-u", "-c", SERVER, "-H"])
            .arg(format!("unix://{}", socket.display()))
            .env("MOTO_AMIS_PATH", &images)
            .env("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "1")
            .env("MOTO_ENABLE_KEYPAIR_VALIDATION", "1")
            .env("MOTO_ENABLE_AMI_VALIDATION", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut moto = Self { child, socket };
        moto.wait()?;
        Ok(moto)
    }

    /// Where it answers, in whatever network.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn wait(&mut self) -> Result<()> {
        for _ in 0..LOOKS {
            if UnixStream::connect(&self.socket).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(Error::other(format!("moto ended before it answered: {status}")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(Error::other("moto does not answer"))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
