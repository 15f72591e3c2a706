//! Maps of sparse files: where the data that is in the archive goes, and what stays a hole.

use std::io::{BufRead, Read as _};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::super::Result;
use super::{BLOCK, broken, invalid};

/// A stretch of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// A million stretches are 16 MB of memory; real files have hundreds.
const SEGMENTS_MAX: usize = 1 << 20;

/// Ascending, without overlap, inside the file, and as much as the archive holds.
pub(super) fn check(segments: &[Segment], length: u64, held: u64) -> Result<()> {
    let mut end = 0_u64;
    let mut sum = 0_u64;
    for segment in segments {
        let next = segment.offset.checked_add(segment.length).filter(|next| *next <= length);
        let next = next.filter(|_| segment.offset >= end).ok_or_else(|| invalid("map of a sparse file"))?;
        end = next;
        sum += segment.length;
    }
    if sum == held { Ok(()) } else { Err(invalid("length of a sparse file")) }
}

/// Sparse format 1.0: decimal numbers, one a line, how many first, padded to a whole block.
pub(super) fn read_map(data: &mut impl BufRead) -> Result<Vec<Segment>> {
    let mut read = 0;
    let mut number = || -> Result<u64> {
        let mut line = Vec::new();
        read += data.take(24).read_until(b'\n', &mut line).map_err(broken)?;
        let digits = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| invalid("map of a sparse file"))
    };
    let count = usize::try_from(number()?).ok().filter(|count| *count <= SEGMENTS_MAX);
    let count = count.ok_or_else(|| invalid("map of a sparse file"))?;
    let mut segments = Vec::new();
    for _ in 0..count {
        segments.push(Segment { offset: number()?, length: number()? });
    }
    let padding = (BLOCK - read % BLOCK) % BLOCK;
    data.read_exact(&mut [0; BLOCK][..padding]).map_err(broken)?;
    Ok(segments)
}

/// GNU's own: four stretches in the header, more in blocks that follow it.
pub(super) fn read_gnu(header: &Header, inner: &mut impl BufRead) -> Result<(u64, Vec<Segment>)> {
    let wrong = |_| invalid("map of a sparse file");
    let gnu = header.as_gnu().ok_or_else(|| invalid("map of a sparse file"))?;
    let mut segments = Vec::new();
    take(&mut segments, &gnu.sparse)?;
    let mut more = gnu.is_extended();
    while more {
        let mut next = GnuExtSparseHeader::new();
        inner.read_exact(next.as_mut_bytes()).map_err(broken)?;
        take(&mut segments, next.sparse())?;
        more = next.is_extended();
    }
    Ok((gnu.real_size().map_err(wrong)?, segments))
}

fn take(segments: &mut Vec<Segment>, from: &[GnuSparseHeader]) -> Result<()> {
    let wrong = |_| invalid("map of a sparse file");
    for part in from.iter().filter(|part| !part.is_empty()) {
        segments
            .push(Segment { offset: part.offset().map_err(wrong)?, length: part.length().map_err(wrong)? });
    }
    if segments.len() > SEGMENTS_MAX { Err(invalid("map of a sparse file")) } else { Ok(()) }
}
