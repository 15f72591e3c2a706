//! moto as a process of its own, which ends with its handle.

use std::io::{BufRead as _, BufReader, Error, Result, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    address: SocketAddr,
}

/// So many looks, a tenth of a second apart.
const LOOKS: u32 = 300;
const SERVER: &str = include_str!("../moto.py");

impl Moto {
    /// Starts the moto of this Python, with the images of `images.json` and no others. The folder is its own, and ends with
    /// it.
    ///
    /// # Errors
    /// When it does not start, or does not answer.
    pub fn start(python: &Path, folder: &Path) -> Result<Self> {
        let images = folder.join("images.json");
        std::fs::File::create(&images)?.write_all(include_bytes!("../images.json"))?;
        let mut child = Command::new(python)
            .args(["-u", "-c", SERVER, "-H", "127.0.0.1", "-p", "0"])
            .env("MOTO_AMIS_PATH", &images)
            .env("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "1")
            .env("MOTO_ENABLE_KEYPAIR_VALIDATION", "1")
            .env("MOTO_ENABLE_AMI_VALIDATION", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let Some(said) = child.stderr.take() else { return Err(Error::other("moto has no standard error")) };
        let mut lines = BufReader::new(said).lines();
        let address = lines.by_ref().map_while(std::result::Result::ok).find_map(|line| {
            let (_, address) = line.split_once("http://")?;
            address.trim().parse().ok()
        });
        let Some(address) = address else {
            drop(child.kill());
            drop(child.wait());
            return Err(Error::other("moto ended before it said where it answers"));
        };
        // Read on, or it blocks when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let moto = Self { child, address };
        moto.wait()?;
        Ok(moto)
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    fn wait(&self) -> Result<()> {
        for _ in 0..LOOKS {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return Ok(());
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
