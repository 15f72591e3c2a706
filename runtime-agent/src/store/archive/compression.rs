//! What a layer is packed with, seen from its first bytes: media types lie, and `docker load` has none.

use std::io::{self, BufRead, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl Compression {
    /// From the first bytes of a stream; six are enough.
    pub(crate) fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // Zstandard, or one of its skippable frames.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

/// Unpacks whatever `inner` turns out to be.
pub(crate) fn decompress<'a>(mut inner: impl BufRead + 'a) -> io::Result<(Box<dyn Read + 'a>, Compression)> {
    let compression = Compression::of(inner.fill_buf()?);
    let reader: Box<dyn Read + 'a> = match compression {
        Compression::None => Box::new(inner),
        Compression::Gzip => Box::new(MultiGzDecoder::new(inner)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(inner)?),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(inner)),
        Compression::Xz => Box::new(XzReader::new_mem_limit(inner, true, XZ_MEMORY)),
    };
    Ok((reader, compression))
}

/// KiB that an archive may make us hold: as much as `xz -9` needs.
const XZ_MEMORY: u32 = 66 << 10;
