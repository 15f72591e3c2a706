//! Lines of a log that is rotated while it is read.

use std::collections::VecDeque;
use std::io::{self, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::engine::error::{Error, Result};

/// Reads the oldest kept file first, then the newer ones, then whatever is written.
pub(super) struct Reader {
    path: PathBuf,
    file: Option<File>,
    /// Older files that are still to be read after this one, oldest first; the current one is not among them.
    behind: VecDeque<File>,
    buffer: Vec<u8>,
    /// How much of the buffer has been handed out.
    used: usize,
}

impl Reader {
    /// Opens all files; with a tail, at the last so many lines of all of them together.
    pub(super) async fn open(path: PathBuf, files: u32, tail: Option<usize>) -> Result<Self> {
        let mut all = VecDeque::new();
        let mut wanted = tail;
        for number in 0..files.max(1) {
            let name = if number == 0 { path.clone() } else { rotated(&path, number) };
            let found = match open(&name).await? {
                None if number > 0 => unpacked(&name).await?,
                found => found,
            };
            let Some(mut file) = found else { continue };
            if let Some(lines) = wanted {
                let found = seek_to_tail(&mut file, lines).await.map_err(|e| failed(&name, e))?;
                wanted = Some(lines - found);
            }
            all.push_front(file);
            if wanted == Some(0) {
                break;
            }
        }
        let file = all.pop_front();
        Ok(Self { path, file, behind: all, buffer: Vec::new(), used: 0 })
    }

    /// The next whole line, without its newline; `None` when there is no more for now.
    pub(super) async fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(length) = self.buffer[self.used..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer[self.used..self.used + length].to_vec();
                self.used += length + 1;
                return Ok(Some(line));
            }
            if !self.fill().await? && !self.turn_over().await? {
                return Ok(None);
            }
        }
    }

    async fn fill(&mut self) -> Result<bool> {
        self.buffer.drain(..std::mem::take(&mut self.used));
        let Some(file) = &mut self.file else { return Ok(false) };
        self.buffer.reserve(CHUNK);
        let read = file.read_buf(&mut self.buffer).await.map_err(|e| failed(&self.path, e))?;
        Ok(read > 0)
    }

    /// Goes on with the next file if this one will never grow again.
    async fn turn_over(&mut self) -> Result<bool> {
        if let Some(next) = self.behind.pop_front() {
            self.file = Some(next);
            self.buffer.clear();
            return Ok(true);
        }
        let Some(newest) = open(&self.path).await? else { return Ok(false) };
        let Some(file) = &self.file else {
            self.file = Some(newest);
            return Ok(true);
        };
        if inode(file).await.map_err(|e| failed(&self.path, e))?
            == inode(&newest).await.map_err(|e| failed(&self.path, e))?
        {
            return Ok(false);
        }
        // It was renamed since; what came between our last read and that is still to be read.
        if self.fill().await? {
            return Ok(true);
        }
        self.file = Some(newest);
        self.buffer.clear();
        Ok(true)
    }
}

async fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path).await {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, error)),
    }
}

/// What a packed file holds, in memory: readers want to go back and forth in it. It is as big as one log file may be.
async fn unpacked(plain: &Path) -> Result<Option<File>> {
    let mut name = plain.as_os_str().to_owned();
    name.push(".gz");
    let name = PathBuf::from(name);
    let Some(packed) = open(&name).await? else { return Ok(None) };
    let packed = packed.into_std().await;
    let unpack = move || -> io::Result<std::fs::File> {
        let memory = rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut memory = std::fs::File::from(memory);
        io::copy(&mut flate2::read::GzDecoder::new(packed), &mut memory)?;
        io::Seek::rewind(&mut memory)?;
        Ok(memory)
    };
    let file = tokio::task::spawn_blocking(unpack).await.map_err(io::Error::other).flatten();
    file.map(File::from_std).map(Some).map_err(|error| failed(&name, error))
}

async fn inode(file: &File) -> io::Result<u64> {
    Ok(file.metadata().await?.ino())
}

/// Leaves the file at the beginning of its last lines, and says how many there are, at most as many as wanted.
async fn seek_to_tail(file: &mut File, lines: usize) -> io::Result<usize> {
    let end = file.seek(SeekFrom::End(0)).await?;
    let mut position = end;
    let mut found = 0;
    let mut chunk = vec![0; CHUNK];
    while position > 0 {
        let length = position.min(CHUNK as u64);
        position -= length;
        let part = &mut chunk[..usize::try_from(length).unwrap_or(CHUNK)];
        file.seek(SeekFrom::Start(position)).await?;
        file.read_exact(part).await?;
        for at in (0..part.len()).rev() {
            let here = position + at as u64;
            // The newline at the very end closes the last line and begins none.
            if part[at] != b'\n' || here + 1 == end {
                continue;
            }
            found += 1;
            if found == lines {
                file.seek(SeekFrom::Start(here + 1)).await?;
                return Ok(found);
            }
        }
    }
    if lines == 0 {
        file.seek(SeekFrom::Start(end)).await?;
        return Ok(0);
    }
    file.seek(SeekFrom::Start(0)).await?;
    Ok(if end > 0 { found + 1 } else { 0 })
}

fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::internal(&format!("reading {}", path.display()), error)
}

const CHUNK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    async fn rest(reader: &mut Reader) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().await.unwrap() {
            lines.push(String::from_utf8(line).unwrap());
        }
        lines
    }

    async fn tail(path: &Path, lines: usize) -> Vec<String> {
        rest(&mut Reader::open(path.to_owned(), 3, Some(lines)).await.unwrap()).await
    }

    #[tokio::test]
    async fn the_tail_reaches_into_older_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&rotated(&path, 2), "1\n2\n");
        append(&rotated(&path, 1), "3\n4\n");
        append(&path, "5\n6\n");
        assert_eq!(tail(&path, 0).await, Vec::<String>::new());
        assert_eq!(tail(&path, 1).await, ["6"]);
        assert_eq!(tail(&path, 2).await, ["5", "6"]);
        assert_eq!(tail(&path, 3).await, ["4", "5", "6"]);
        assert_eq!(tail(&path, 99).await, ["1", "2", "3", "4", "5", "6"]);
        let mut all = Reader::open(path, 3, None).await.unwrap();
        assert_eq!(rest(&mut all).await.len(), 6);
    }

    #[tokio::test]
    async fn packed_files_are_read_like_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut name = rotated(&path, 1).into_os_string();
        name.push(".gz");
        let mut packed =
            flate2::write::GzEncoder::new(std::fs::File::create(name).unwrap(), flate2::Compression::fast());
        packed.write_all(b"1\n2\n").unwrap();
        packed.finish().unwrap();
        append(&path, "3\n");
        assert_eq!(tail(&path, 2).await, ["2", "3"]);
        assert_eq!(rest(&mut Reader::open(path, 3, None).await.unwrap()).await, ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn a_line_is_given_once_it_is_whole_and_rotation_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut reader = Reader::open(path.clone(), 2, None).await.unwrap();
        assert!(rest(&mut reader).await.is_empty(), "a log that is not there yet is empty");
        append(&path, "on");
        assert!(rest(&mut reader).await.is_empty());
        append(&path, "e\ntwo\n");
        assert_eq!(rest(&mut reader).await, ["one", "two"]);
        append(&path, "three\n");
        std::fs::rename(&path, rotated(&path, 1)).unwrap();
        append(&path, "four\n");
        assert_eq!(rest(&mut reader).await, ["three", "four"]);
    }

    #[tokio::test]
    async fn a_long_log_is_found_from_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let long: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        append(&path, &long);
        assert_eq!(tail(&path, 2).await, ["line 19998", "line 19999"]);
        assert_eq!(tail(&path, 20_000).await.len(), 20_000);
    }
}
