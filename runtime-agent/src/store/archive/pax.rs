//! Extended headers: `length key=value\n`, over and over.

use super::super::Result;
use super::invalid;
use super::sparse::Segment;

/// What an extended header says about the entry after it.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The real name and length of a sparse file.
    pub(super) sparse_name: Option<Vec<u8>>,
    pub(super) sparse_length: Option<u64>,
    /// Sparse format 1.0: the map stands at the beginning of the data.
    pub(super) sparse_in_data: bool,
    /// Sparse formats 0.0 and 0.1: the map stands here.
    pub(super) segments: Vec<Segment>,
}

impl Pax {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self> {
        let mut pax = Self::default();
        let mut offset = None;
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or_else(|| invalid("extended header"))?;
            bytes = rest;
            // An empty value takes back what a global header said; we heed none.
            if !value.is_empty() {
                pax.take(key, value, &mut offset)?;
            }
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8], offset: &mut Option<u64>) -> Result<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            b"GNU.sparse.major" => self.sparse_in_data = number(value)? == 1,
            b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse_length = Some(number(value)?),
            b"GNU.sparse.map" => self.segments = map(value)?,
            b"GNU.sparse.offset" => *offset = Some(number(value)?),
            b"GNU.sparse.numbytes" => {
                let offset = offset.take().ok_or_else(|| invalid("map of a sparse file"))?;
                self.segments.push(Segment { offset, length: number(value)? });
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// The first record's key and value, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &bytes[length..]))
}

fn number(value: &[u8]) -> Result<u64> {
    let parsed = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| invalid("number in an extended header"))
}

/// `seconds[.fraction]`, before 1970 with a minus.
fn time(value: &[u8]) -> Result<(i64, u32)> {
    let parse = || -> Option<(i64, u32)> {
        let text = std::str::from_utf8(value).ok()?;
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        Some((seconds.parse().ok()?, nine.parse().ok()?))
    };
    let (seconds, nanoseconds) = parse().ok_or_else(|| invalid("time in an extended header"))?;
    // -1.25 is 0.75 after -2.
    Ok(if value.starts_with(b"-") && nanoseconds > 0 {
        (seconds.saturating_sub(1), 1_000_000_000 - nanoseconds)
    } else {
        (seconds, nanoseconds)
    })
}

fn map(value: &[u8]) -> Result<Vec<Segment>> {
    let numbers = value.split(|byte| *byte == b',').map(number).collect::<Result<Vec<_>>>()?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(invalid("map of a sparse file"));
    }
    Ok(pairs.iter().map(|[offset, length]| Segment { offset: *offset, length: *length }).collect())
}
