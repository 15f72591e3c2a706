//! Reading tar archives from people we do not know.
//!
//! Field decoding is the `tar` crate's; the framing is ours, because whatever an archive makes us hold in memory (long
//! names, extended headers, maps of sparse files) must be bounded, and sizes above 8 GiB stand in extended headers.
//! Understood: v7, ustar, GNU (long names, base-256 numbers, sparse files) and pax (sparse 0.0, 0.1 and 1.0, extended
//! attributes). Names come out as raw bytes: what they may reach is [`super::tree`]'s business.

pub(crate) mod compression;
mod pax;
mod sparse;
pub(crate) mod write;

use std::io::{self, BufRead, Read};

use tar::{EntryType, Header};

use super::{Error, Result};
use pax::Pax;
pub(crate) use sparse::Segment;

const BLOCK: usize = 512;
/// Longest name, and longest extended header; builders write a few hundred bytes.
const NAME_MAX: u64 = 4096;
const EXTENSION_MAX: u64 = 1024 * 1024;

/// An archive being read. `R` is buffered: headers are read 512 bytes at a time.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    inner: R,
    /// What is left of the current entry's data, and of the padding after it.
    left: u64,
    padding: u64,
}

/// One entry's header, with everything that extended headers said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: EntryKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Bytes of data that follow in the archive.
    pub(crate) size: u64,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the entry makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    /// The file's whole length, and where its data goes.
    Sparse(u64, Vec<Segment>),
    Directory,
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
    Character(u32, u32),
    Block(u32, u32),
    Fifo,
}

impl<R: BufRead> Reader<R> {
    pub(crate) const fn new(inner: R) -> Self {
        Self { inner, left: 0, padding: 0 }
    }

    /// The next entry, skipping what was not read of the last; `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        let mut pax = Pax::default();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.entry_type();
            let size = number(&header.as_old().size, header.entry_size(), "size")?;
            match kind {
                EntryType::XHeader => pax = Pax::parse(&self.extension(size, EXTENSION_MAX)?)?,
                EntryType::XGlobalHeader => drop(self.extension(size, EXTENSION_MAX)?),
                EntryType::GNULongName => long_name = Some(until_zero(self.extension(size, NAME_MAX)?)),
                EntryType::GNULongLink => long_link = Some(until_zero(self.extension(size, NAME_MAX)?)),
                _ => {
                    let path = long_name
                        .or_else(|| pax.path.take())
                        .unwrap_or_else(|| header.path_bytes().into_owned());
                    let link = long_link.or_else(|| pax.link.take());
                    let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
                    return self.entry(&header, path, link.unwrap_or_default(), pax).map(Some);
                }
            }
        }
    }

    /// The current entry's data; what is left unread is skipped by [`Reader::next`].
    pub(crate) fn data(&mut self) -> Data<'_, R> {
        Data { reader: self }
    }

    /// What follows the archive, which belongs to the layer's digest all the same.
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    fn entry(&mut self, header: &Header, path: Vec<u8>, link: Vec<u8>, mut pax: Pax) -> Result<Entry> {
        let old = header.as_old();
        let id = |value: u64, what| u32::try_from(value).map_err(|_| invalid(what));
        let size = pax.size.map_or_else(|| number(&old.size, header.entry_size(), "size"), Ok)?;
        let path = pax.sparse_name.take().unwrap_or(path);
        if path.contains(&0)
            || link.contains(&0)
            || path.len() as u64 > NAME_MAX
            || link.len() as u64 > NAME_MAX
        {
            return Err(invalid("name"));
        }
        let device = || -> Result<(u32, u32)> {
            let part = |part: io::Result<Option<u32>>| {
                part.map_err(|_| invalid("device number")).map(Option::unwrap_or_default)
            };
            Ok((part(header.device_major())?, part(header.device_minor())?))
        };
        self.expect(if has_data(header.entry_type()) { size } else { 0 });
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => EntryKind::Directory,
            EntryType::Regular | EntryType::Continuous => self.file(&mut pax)?,
            EntryType::GNUSparse => self.gnu_sparse(header)?,
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink => EntryKind::Symlink(link),
            EntryType::Link => EntryKind::Hardlink(link),
            EntryType::Char => device().map(|(major, minor)| EntryKind::Character(major, minor))?,
            EntryType::Block => device().map(|(major, minor)| EntryKind::Block(major, minor))?,
            EntryType::Fifo => EntryKind::Fifo,
            _ => return Err(Error::archive(&path, "unknown type of entry")),
        };
        let mtime =
            pax.mtime.unwrap_or_else(|| (header.mtime().map_or(0, |t| i64::try_from(t).unwrap_or(0)), 0));
        Ok(Entry {
            kind,
            mode: number(&old.mode, header.mode(), "mode")? & 0o7777,
            uid: id(pax.uid.map_or_else(|| number(&old.uid, header.uid(), "owner"), Ok)?, "owner")?,
            gid: id(pax.gid.map_or_else(|| number(&old.gid, header.gid(), "group"), Ok)?, "group")?,
            mtime,
            size: self.left,
            xattrs: pax.xattrs,
            path,
        })
    }

    fn file(&mut self, pax: &mut Pax) -> Result<EntryKind> {
        let Some(length) = pax.sparse_length else { return Ok(EntryKind::File) };
        let segments = if pax.sparse_in_data {
            sparse::read_map(&mut self.data())?
        } else {
            std::mem::take(&mut pax.segments)
        };
        sparse::check(&segments, length, self.left)?;
        Ok(EntryKind::Sparse(length, segments))
    }

    fn gnu_sparse(&mut self, header: &Header) -> Result<EntryKind> {
        let size = self.left;
        // The rest of the map stands between the header and the data.
        let (length, segments) = sparse::read_gnu(header, &mut self.inner)?;
        self.expect(size);
        sparse::check(&segments, length, size)?;
        Ok(EntryKind::Sparse(length, segments))
    }

    /// `None` at a block of zeros or at the end of the input between entries, which some writers leave it at.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut block = [0; BLOCK];
        if self.inner.fill_buf().map_err(broken)?.is_empty() {
            return Ok(None);
        }
        self.inner.read_exact(&mut block).map_err(broken)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) })
            .sum();
        if header.cksum().ok() != Some(sum) {
            return Err(invalid("header checksum"));
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size: u64, most: u64) -> Result<Vec<u8>> {
        if size > most {
            return Err(invalid("extended header: it is too long"));
        }
        self.expect(size);
        let mut bytes = Vec::new();
        self.data().read_to_end(&mut bytes).map_err(broken)?;
        Ok(bytes)
    }

    const fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn skip_rest(&mut self) -> Result<()> {
        let rest = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut self.inner.by_ref().take(rest), &mut io::sink()).map_err(broken)?;
        if skipped == rest { Ok(()) } else { Err(broken(io::ErrorKind::UnexpectedEof.into())) }
    }
}

/// The data of the current entry: exactly as long as its header said, or an error.
#[derive(Debug)]
pub(crate) struct Data<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R: BufRead> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.reader.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.reader.inner.read(&mut buffer[..most])?;
        self.consumed(read)?;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Data<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.reader.left).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(&[]);
        }
        let buffer = self.reader.inner.fill_buf()?;
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(&buffer[..buffer.len().min(left)])
    }

    fn consume(&mut self, amount: usize) {
        self.reader.inner.consume(amount);
        self.reader.left -= amount as u64;
    }
}

impl<R> Data<'_, R> {
    fn consumed(&mut self, amount: usize) -> io::Result<()> {
        if amount == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.reader.left -= amount as u64;
        Ok(())
    }
}

/// Some writers give a size to links and folders, and no data.
fn has_data(kind: EntryType) -> bool {
    matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse)
}

/// A number of the header; a field that was left blank is zero.
fn number<N: Default>(field: &[u8], value: io::Result<N>, what: &'static str) -> Result<N> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(N::default());
    }
    value.map_err(|_| invalid(what))
}

fn invalid(what: &'static str) -> Error {
    Error::InvalidArchive(what)
}

fn broken(source: io::Error) -> Error {
    Error::ArchiveBroke(source)
}

fn until_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

#[cfg(test)]
mod tests;
