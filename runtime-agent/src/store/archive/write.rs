//! Writing tar archives: ustar, with pax records where a name, a number or an attribute needs them.
//!
//! What [`super::Reader`] reads, and every other tar: whole seconds, names as raw bytes, owners as numbers.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::{BLOCK, Entry, EntryKind};

/// The largest numbers that eight and twelve octal characters hold.
const SMALL_MAX: u64 = 0o777_7777;
const LARGE_MAX: u64 = 0o777_7777_7777;
const NAME_MAX: usize = 100;

/// An archive being written.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    pub(crate) const fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Writes a header. Of a file, exactly [`Entry::size`] bytes of [`Writer::data`] must follow.
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let records = records(entry);
        if !records.is_empty() {
            let mut header = blank(EntryType::XHeader, b"././@PaxHeader", 0o644);
            header.set_size(records.len() as u64);
            self.block(&mut header)?;
            self.padded(&records)?;
        }
        let name = &entry.path[..entry.path.len().min(NAME_MAX)];
        let mut header = blank(kind(&entry.kind), name, entry.mode);
        header.set_size(if entry.size > LARGE_MAX { 0 } else { entry.size });
        header.set_uid(if u64::from(entry.uid) > SMALL_MAX { 0 } else { entry.uid.into() });
        header.set_gid(if u64::from(entry.gid) > SMALL_MAX { 0 } else { entry.gid.into() });
        header.set_mtime(u64::try_from(entry.mtime.0).ok().filter(|time| *time <= LARGE_MAX).unwrap_or(0));
        if let EntryKind::Symlink(target) | EntryKind::Hardlink(target) = &entry.kind {
            put(&mut header.as_old_mut().linkname, target);
        }
        if let EntryKind::Character(major, minor) | EntryKind::Block(major, minor) = entry.kind {
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
        }
        self.block(&mut header)
    }

    /// A file's content: cut where it has grown meanwhile, filled with zeros where it has shrunk, since the header
    /// has said how long it is.
    pub(crate) fn data(&mut self, content: impl Read, size: u64) -> io::Result<()> {
        let copied = io::copy(&mut content.take(size), &mut self.inner)?;
        io::copy(&mut io::repeat(0).take(size - copied), &mut self.inner)?;
        self.pad(size)
    }

    /// Two blocks of zeros, and what is still buffered.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK])?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn block(&mut self, header: &mut Header) -> io::Result<()> {
        header.set_cksum();
        self.inner.write_all(header.as_bytes())
    }

    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let rest = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        io::copy(&mut io::repeat(0).take(rest), &mut self.inner).map(drop)
    }
}

fn blank(kind: EntryType, name: &[u8], mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    put(&mut header.as_old_mut().name, name);
    header
}

/// What does not fit is in the records, too.
fn put(field: &mut [u8], value: &[u8]) {
    let length = field.len().min(value.len());
    field[..length].copy_from_slice(&value[..length]);
}

const fn kind(kind: &EntryKind) -> EntryType {
    match kind {
        EntryKind::File | EntryKind::Sparse(..) => EntryType::Regular,
        EntryKind::Directory => EntryType::Directory,
        EntryKind::Symlink(_) => EntryType::Symlink,
        EntryKind::Hardlink(_) => EntryType::Link,
        EntryKind::Character(..) => EntryType::Char,
        EntryKind::Block(..) => EntryType::Block,
        EntryKind::Fifo => EntryType::Fifo,
    }
}

/// Everything about an entry that its header has no room for.
fn records(entry: &Entry) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| record(&mut records, key, value);
    if entry.path.len() > NAME_MAX {
        add(b"path", &entry.path);
    }
    match &entry.kind {
        EntryKind::Symlink(target) | EntryKind::Hardlink(target) if target.len() > NAME_MAX => {
            add(b"linkpath", target);
        }
        _ => {}
    }
    if entry.size > LARGE_MAX {
        add(b"size", entry.size.to_string().as_bytes());
    }
    for (key, id) in [(b"uid", entry.uid), (b"gid", entry.gid)] {
        if u64::from(id) > SMALL_MAX {
            add(key, id.to_string().as_bytes());
        }
    }
    if u64::try_from(entry.mtime.0).ok().is_none_or(|time| time > LARGE_MAX) {
        add(b"mtime", entry.mtime.0.to_string().as_bytes());
    }
    for (name, value) in &entry.xattrs {
        add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    records
}

/// `length key=value\n`, where the length counts itself.
fn record(to: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() > length {
        length = rest + length.to_string().len();
    }
    to.extend_from_slice(length.to_string().as_bytes());
    to.push(b' ');
    to.extend_from_slice(key);
    to.push(b'=');
    to.extend_from_slice(value);
    to.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::archive::Reader;

    fn file(path: &[u8]) -> Entry {
        Entry {
            path: path.to_vec(),
            kind: EntryKind::File,
            mode: 0o4755,
            uid: 7,
            gid: 8,
            mtime: (1_700_000_000, 0),
            size: 5,
            xattrs: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = |letter: u8, length| vec![letter; length];
        let entries = [
            file(b"a"),
            Entry { xattrs: vec![(b"user.x".to_vec(), long(0, 93))], ..file(&long(b'n', 100)) },
            Entry {
                uid: u32::MAX - 1,
                gid: 3_000_000,
                mtime: (-5, 0),
                ..file(&[&long(b'n', 300)[..], b"\xff"].concat())
            },
            Entry { kind: EntryKind::Symlink(long(b't', 101)), size: 0, ..file(b"l") },
            Entry { kind: EntryKind::Hardlink(b"a".to_vec()), size: 0, ..file(b"h") },
            Entry { kind: EntryKind::Character(1, 3), size: 0, ..file(b"c") },
            Entry { kind: EntryKind::Directory, size: 0, ..file(b"d/") },
        ];
        let mut writer = Writer::new(Vec::new());
        for entry in &entries {
            writer.entry(entry).unwrap();
            if entry.kind == EntryKind::File {
                writer.data(&b"hello, and more than was said"[..], 5).unwrap();
            }
        }
        let archive = writer.finish().unwrap();
        assert_eq!(archive.len() % BLOCK, 0);
        let mut reader = Reader::new(archive.as_slice());
        for entry in entries {
            assert_eq!(reader.next().unwrap(), Some(entry));
        }
        assert_eq!(reader.next().unwrap(), None);
    }

    #[test]
    fn a_file_that_shrank_is_filled_up() {
        let mut writer = Writer::new(Vec::new());
        writer.entry(&file(b"a")).unwrap();
        writer.data(&b"he"[..], 5).unwrap();
        let archive = writer.finish().unwrap();
        assert_eq!(archive[BLOCK..BLOCK + 6], *b"he\0\0\0\0");
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in 0..1200 {
            let mut bytes = Vec::new();
            record(&mut bytes, b"k", &vec![b'v'; length]);
            let said = bytes.split(|byte| *byte == b' ').next().unwrap();
            assert_eq!(String::from_utf8_lossy(said).parse::<usize>().unwrap(), bytes.len());
        }
    }
}
