//! A container's log as docker's json-file driver writes it: one `{"log","stream","time"}` a line, long lines in
//! parts, files rotated by size.
//!
//! Promises: a line in the file is whole, also after the disk was full; losing the log never stops the container.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::runtime::LogTarget;

/// Longer lines are written in parts without a newline at the end, as dockerd does.
const LONGEST: usize = 16 << 10;

/// Which of the two a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Stdout,
    Stderr,
}

impl Channel {
    /// As in docker's frames.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The log of one container.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    max_size: u64,
    max_file: u32,
    compress: bool,
    attributes: BTreeMap<String, String>,
    file: Option<File>,
    size: u64,
    /// Lines on their way to the file: written at once for every piece of output.
    lines: Vec<u8>,
    /// What came after the last newline, of stdout and stderr.
    partial: [Vec<u8>; 2],
}

#[derive(Serialize)]
struct Line<'a> {
    log: &'a str,
    stream: &'a str,
    #[serde(rename = "attrs", skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'a BTreeMap<String, String>,
    time: &'a str,
}

impl Log {
    /// None for a container without a log. A file that is there is continued.
    pub(super) fn open(target: &LogTarget) -> io::Result<Option<Self>> {
        let LogTarget::JsonFile { path, max_size, max_file, compress, attributes } = target else {
            return Ok(None);
        };
        let file = append(path)?;
        let size = file.metadata()?.len();
        let (max_size, max_file) = (max_size.unwrap_or(u64::MAX), *max_file);
        let (lines, partial) = (Vec::new(), [Vec::new(), Vec::new()]);
        let (path, compress, attributes) = (path.clone(), *compress, attributes.clone());
        Ok(Some(Self {
            path,
            max_size,
            max_file,
            compress,
            attributes,
            file: Some(file),
            size,
            lines,
            partial,
        }))
    }

    /// Takes output; whole lines are written at once.
    pub(super) fn write(&mut self, channel: Channel, bytes: &[u8]) {
        let now = now();
        let mut partial = std::mem::take(&mut self.partial[index(channel)]);
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let mut piece = piece;
            while partial.len() + piece.len() > LONGEST {
                let (head, tail) = piece.split_at(LONGEST - partial.len());
                partial.extend_from_slice(head);
                self.line(channel, &partial, &now);
                partial.clear();
                piece = tail;
            }
            if piece.ends_with(b"\n") && partial.is_empty() {
                self.line(channel, piece, &now);
                continue;
            }
            partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.line(channel, &partial, &now);
                partial.clear();
            }
        }
        self.flush();
        if partial.is_empty() {
            // Most programs end their lines, so a shim seldom needs to keep memory for this.
            partial = Vec::new();
        }
        self.partial[index(channel)] = partial;
    }

    /// Writes what has no newline and never will have.
    pub(super) fn finish(&mut self) {
        for channel in [Channel::Stdout, Channel::Stderr] {
            let partial = std::mem::take(&mut self.partial[index(channel)]);
            if !partial.is_empty() {
                self.line(channel, &partial, &now());
            }
        }
        self.flush();
    }

    fn line(&mut self, channel: Channel, text: &[u8], time: &str) {
        if self.size + self.lines.len() as u64 >= self.max_size {
            self.flush();
            self.rotate();
        }
        let (log, stream) = (&String::from_utf8_lossy(text), channel.name());
        let line = Line { log, stream, attributes: &self.attributes, time };
        if serde_json::to_writer(&mut self.lines, &line).is_ok() {
            self.lines.push(b'\n');
        }
    }

    /// A line that fits only in part is taken back: whoever reads the log gets lines or nothing.
    fn flush(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if self.file.is_none() {
            self.file = append(&self.path).ok();
        }
        let Some(file) = self.file.as_mut().filter(|_| !lines.is_empty()) else { return };
        let written = write_some(file, &lines);
        let whole = lines[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        self.size += whole as u64;
        if whole < written {
            let _ = file.set_len(self.size);
        }
    }

    /// `log` becomes `log.1`, `log.1` becomes `log.2`, and the last one goes. One file alone is emptied.
    fn rotate(&mut self) {
        let name = |number: u32| with_end(&self.path, &format!(".{number}"));
        let packed = |number: u32| with_end(&self.path, &format!(".{number}.gz"));
        if self.max_file < 2 {
            if self.file.as_ref().is_some_and(|file| file.set_len(0).is_ok()) {
                self.size = 0;
            }
            return;
        }
        for number in (1..self.max_file - 1).rev() {
            // Files that aren't there yet are not moved.
            let _ = std::fs::rename(name(number), name(number + 1));
            let _ = std::fs::rename(packed(number), packed(number + 1));
        }
        if std::fs::rename(&self.path, name(1)).is_ok() {
            self.file = append(&self.path).ok();
            self.size = 0;
            if self.compress {
                // A file that could not be packed stays as it is, and is read as it is.
                let _ = pack(&name(1), &packed(1));
            }
        }
    }
}

/// Packs a file that nobody writes to any more; whoever reads it still may go on. The quickest level: output waits for
/// it meanwhile.
fn pack(plain: &Path, packed: &Path) -> io::Result<()> {
    let unfinished = with_end(packed, ".new");
    let target = OpenOptions::new().create(true).truncate(true).write(true).mode(0o640).open(&unfinished)?;
    let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::fast());
    let written = File::open(plain).and_then(|mut source| io::copy(&mut source, &mut encoder));
    match written.and_then(|_| encoder.finish()).and_then(|_| std::fs::rename(&unfinished, packed)) {
        Ok(()) => std::fs::remove_file(plain),
        Err(error) => std::fs::remove_file(&unfinished).and(Err(error)),
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(end);
    name.into()
}

/// As much as the disk takes.
fn write_some(file: &mut File, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => break,
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

const fn index(channel: Channel) -> usize {
    channel.number() as usize - 1
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path, max_size: Option<u64>, max_file: u32) -> Log {
        Log::open(&target(dir.join("log"), max_size, max_file)).unwrap().unwrap()
    }

    fn target(path: PathBuf, max_size: Option<u64>, max_file: u32) -> LogTarget {
        LogTarget::JsonFile { path, max_size, max_file, compress: false, attributes: BTreeMap::new() }
    }

    fn lines(path: &Path) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(path).unwrap();
        let parse = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(OffsetDateTime::parse(line["time"].as_str().unwrap(), &Rfc3339).is_ok());
            (line["stream"].as_str().unwrap().to_owned(), line["log"].as_str().unwrap().to_owned())
        };
        text.lines().map(parse).collect()
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), None, 1);
        log.write(Channel::Stdout, b"one\ntw");
        log.write(Channel::Stderr, b"err\xff\n");
        log.write(Channel::Stdout, b"o\nthree");
        log.finish();
        let expected =
            [("stdout", "one\n"), ("stderr", "err\u{fffd}\n"), ("stdout", "two\n"), ("stdout", "three")];
        assert_eq!(lines(&dir.path().join("log")), expected.map(|(s, l)| (s.to_owned(), l.to_owned())));
    }

    #[test]
    fn long_lines_come_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), None, 1);
        let mut text = vec![b'x'; LONGEST * 2 + 5];
        text.push(b'\n');
        text.chunks(1000).for_each(|chunk| log.write(Channel::Stdout, chunk));
        let lengths: Vec<_> = lines(&dir.path().join("log")).iter().map(|(_, l)| l.len()).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, 6]);
    }

    #[test]
    fn files_are_rotated_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), Some(10), 3);
        for number in 0..5 {
            log.write(Channel::Stdout, format!("{number}\n").as_bytes());
        }
        let texts = ["log", "log.1", "log.2"].map(|name| lines(&dir.path().join(name))[0].1.clone());
        assert_eq!(texts, ["4\n", "3\n", "2\n"]);
        assert!(!dir.path().join("log.3").exists());
    }

    #[test]
    fn full_files_are_packed_and_lines_carry_their_attributes() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), Some(10), 3);
        (log.compress, log.attributes) = (true, [("tag".to_owned(), "web".to_owned())].into());
        for number in 0..5 {
            log.write(Channel::Stdout, format!("{number}\n").as_bytes());
        }
        for (name, expected) in [("log.1.gz", "3\n"), ("log.2.gz", "2\n")] {
            let packed = File::open(dir.path().join(name)).unwrap();
            let line: serde_json::Value =
                serde_json::from_reader(flate2::read::GzDecoder::new(packed)).unwrap();
            assert_eq!((line["log"].as_str(), line["attrs"]["tag"].as_str()), (Some(expected), Some("web")));
        }
        let names = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!((names, lines(&dir.path().join("log"))[0].1.as_str()), (3, "4\n"));
    }

    #[test]
    fn one_file_alone_starts_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), Some(10), 1);
        log.write(Channel::Stdout, b"1\n2\n");
        assert_eq!(lines(&dir.path().join("log")), [("stdout".to_owned(), "2\n".to_owned())]);
        assert!(!dir.path().join("log.1").exists());
    }

    #[test]
    fn a_log_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), None, 1).write(Channel::Stdout, b"1\n");
        log(dir.path(), None, 1).write(Channel::Stdout, b"2\n");
        assert_eq!(lines(&dir.path().join("log")).len(), 2);
    }

    #[test]
    fn a_full_disk_is_survived() {
        let mut log = Log::open(&target("/dev/full".into(), None, 1)).unwrap().unwrap();
        log.write(Channel::Stdout, b"lost\n");
        assert_eq!(log.size, 0);
    }
}
