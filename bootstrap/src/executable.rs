//! The agent that travels: a static executable, looked at before anything is done with it.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::Error;

/// A processor that an agent is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit Intel and AMD.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// An agent, read.
#[derive(Debug)]
pub(crate) struct Executable {
    pub(crate) architecture: Architecture,
    pub(crate) sha256: String,
    pub(crate) bytes: Vec<u8>,
}

impl Executable {
    /// Reads and checks a file. Blocks.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let unusable = |reason: String| Error::AgentFile { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let architecture = inspect(&bytes).map_err(|reason| unusable(reason.to_owned()))?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Ok(Self { architecture, sha256, bytes })
    }

    /// Kilobytes that it takes on a disk.
    pub(crate) fn kilobytes(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX) / 1024 + 1
    }

    /// Packs it. Blocks. The quickest level: the link must be slower than 20 MB/s for the next to pay.
    pub(crate) fn gzip(&self) -> std::io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::with_capacity(self.bytes.len() / 2), Compression::fast());
        encoder.write_all(&self.bytes)?;
        encoder.finish()
    }
}

impl Architecture {
    /// Whether `uname -m` means this one.
    pub(crate) fn is(self, machine: &str) -> bool {
        match self {
            Self::X86_64 => machine == "x86_64" || machine == "amd64",
            Self::Aarch64 => machine == "aarch64" || machine == "arm64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "Linux on x86_64",
            Self::Aarch64 => "Linux on aarch64",
        })
    }
}

/// Reads the ELF header (`elf(5)`): the processor, and that no interpreter is asked for, which the host may not have.
fn inspect(bytes: &[u8]) -> Result<Architecture, &'static str> {
    let half = |at: usize| bytes.get(at..at + 2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    if bytes.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err("it is no 64-bit Linux executable");
    }
    let architecture = match half(18) {
        Some(62) => Architecture::X86_64,
        Some(183) => Architecture::Aarch64,
        _ => return Err("it is for a processor that is not supported"),
    };
    let table = bytes.get(32..40).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    let (Some(table), Some(size), Some(count)) =
        (table.and_then(|at| usize::try_from(at).ok()), half(54), half(56))
    else {
        return Err("it is cut off");
    };
    for number in 0..count {
        match table.checked_add(number * size).and_then(|at| bytes.get(at..at.checked_add(4)?)) {
            None => return Err("it is cut off"),
            Some([3, 0, 0, 0]) => {
                return Err("it is not static: it needs libraries that the host may not have");
            }
            Some(_) => {}
        }
    }
    Ok(architecture)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one program header of this type.
    fn elf(machine: u16, kind: u8) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes.resize(64 + 56, 0);
        bytes[64] = kind;
        bytes
    }

    #[test]
    fn executables_are_told_apart() {
        assert_eq!(inspect(&elf(62, 1)), Ok(Architecture::X86_64));
        assert_eq!(inspect(&elf(183, 1)), Ok(Architecture::Aarch64));
        assert!(inspect(&elf(62, 3)).unwrap_err().contains("not static"));
        assert!(inspect(&elf(40, 1)).unwrap_err().contains("processor"));
        assert!(inspect(b"#!/bin/sh\n").unwrap_err().contains("no 64-bit"));
        assert!(inspect(&elf(62, 1)[..70]).is_ok());
        assert!(inspect(&elf(62, 1)[..60]).unwrap_err().contains("cut off"));
        assert!(inspect(&elf(62, 1)[..20]).unwrap_err().contains("cut off"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Executable::read(Path::new("/nowhere/wharfd")).unwrap_err().to_string();
        assert!(error.starts_with("the agent /nowhere/wharfd cannot be used"), "{error}");
    }
}
