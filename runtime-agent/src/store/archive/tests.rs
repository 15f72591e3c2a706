//! What real, old, sloppy and malicious archives look like, entry by entry.

use std::io::{Read as _, Write as _};

use super::compression::{Compression, decompress};
use super::*;

fn names(tar: &[u8]) -> Result<Vec<(String, String)>> {
    let mut reader = Reader::new(tar);
    let mut found = Vec::new();
    while let Some(entry) = reader.next()? {
        let mut text = String::new();
        reader.data().read_to_string(&mut text).map_err(Error::ArchiveBroke)?;
        found.push((String::from_utf8_lossy(&entry.path).into_owned(), text));
    }
    Ok(found)
}

#[test]
fn reads_long_names_of_both_kinds() {
    let long = "d/".repeat(120) + "file";
    let mut gnu = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    gnu.append_data(&mut header, &long, &b"ok"[..]).unwrap();
    let mut pax = tar::Builder::new(Vec::new());
    pax.append_pax_extensions([("path", long.as_bytes()), ("size", b"2".as_slice())]).unwrap();
    let mut header = Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(2);
    header.set_cksum();
    pax.append(&header, &b"ok"[..]).unwrap();
    for tar in [gnu.into_inner().unwrap(), pax.into_inner().unwrap()] {
        assert_eq!(names(&tar).unwrap(), [(long.clone(), "ok".to_owned())]);
    }
}

#[test]
fn data_that_was_not_read_is_skipped() {
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["a", "b"] {
        let mut header = Header::new_gnu();
        header.set_size(700);
        tar.append_data(&mut header, name, &[b'x'; 700][..]).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let mut reader = Reader::new(tar.as_slice());
    assert_eq!(reader.next().unwrap().unwrap().path, b"a");
    assert_eq!(reader.next().unwrap().unwrap().path, b"b");
    assert!(reader.next().unwrap().is_none());
}

/// `hello`, packed by the programs of these names.
const BZIP2: &str = "425a68393141592653591931653d00000081000244a000219a68334d07338bb9229c28480c98b29e80";
const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a301000468656c6c6f00000000b137b9dbe5da1e9b00011d05b82d80af1fb6f37d010000000004595a";

#[test]
fn knows_packings_by_their_first_bytes() {
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"hello").unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(&b"hello"[..], 1).unwrap();
    let twice = [gzip.clone(), gzip.clone()].concat();
    for (packed, expected, text) in [
        (&b"hello"[..], Compression::None, "hello"),
        (&gzip, Compression::Gzip, "hello"),
        (&zstd, Compression::Zstd, "hello"),
        (&twice, Compression::Gzip, "hellohello"),
        (&hex::decode(BZIP2).unwrap(), Compression::Bzip2, "hello"),
        (&hex::decode(XZ).unwrap(), Compression::Xz, "hello"),
        (&b""[..], Compression::None, ""),
    ] {
        let (mut reader, compression) = decompress(packed).unwrap();
        let mut unpacked = String::new();
        reader.read_to_string(&mut unpacked).unwrap();
        assert_eq!((compression, unpacked.as_str()), (expected, text));
    }
    let cut = decompress(&b"BZh91AY"[..]).unwrap().0.read_to_end(&mut Vec::new());
    assert!(cut.is_err());
}

#[test]
fn fuzz_archives_are_read_or_refused() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = names(bytes);
    });
}

#[test]
fn no_changed_byte_makes_it_panic() {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_pax_extensions([("path", b"long".as_slice()), ("GNU.sparse.major", b"1")]).unwrap();
    let mut header = Header::new_gnu();
    header.set_size(5);
    tar.append_data(&mut header, "x", &b"12345"[..]).unwrap();
    let whole = tar.into_inner().unwrap();
    for at in 0..whole.len() {
        for value in [0, b'9', 0xff] {
            let mut changed = whole.clone();
            changed[at] = value;
            let _ = names(&changed);
        }
    }
}
