//! What the engine itself fetches: `ADD https://…`, a context that is an address, an archive to import.

use std::io::{Read as _, Seek as _, Write as _};
use std::time::Duration;

use futures_util::StreamExt as _;
use tempfile::NamedTempFile;

use crate::engine::error::{Error, Result};
use crate::store::Store;
use crate::store::archive::Reader;
use crate::store::archive::compression::{Compression, decompress};

/// A file from the network.
pub(crate) struct Download {
    pub(crate) file: NamedTempFile,
    /// What its address, or the server, calls it.
    pub(crate) name: Option<String>,
}

/// Fetches a file. Whoever has no right to the host has none to what only the host can reach.
/// `begun` is done once the server has something to give.
pub(crate) async fn fetch(
    url: &str,
    store: &Store,
    allowed: bool,
    begun: impl Future<Output = ()>,
) -> Result<Download> {
    if !allowed {
        return Err(Error::forbidden(format!(
            "the role operator may not have the engine fetch {url}: fetch it yourself, and send it"
        )));
    }
    let failed = |error: reqwest::Error| Error::invalid(format!("failed to fetch {url}: {}", causes(&error)));
    let client = crate::registry::plain_client().map_err(Error::from)?;
    let answer = client.get(url).timeout(LONGEST).send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(Error::invalid(format!("failed to GET {url} with status {status}")));
    }
    let said = answer.headers().get(reqwest::header::CONTENT_DISPOSITION);
    let name = name_in(answer.url().path()).or_else(|| said_name(said?.to_str().ok()?));
    let ingest = store.ingest();
    let mut file = NamedTempFile::new_in(&ingest).map_err(|e| Error::internal("making a file", e))?;
    let mut body = answer.bytes_stream();
    begun.await;
    while let Some(piece) = body.next().await {
        file.write_all(&piece.map_err(failed)?).map_err(|e| Error::internal("writing a download", e))?;
        store.leave_a_reserve()?;
    }
    file.rewind().map_err(|e| Error::internal("reading a download", e))?;
    Ok(Download { file, name })
}

impl Download {
    /// Whether it can be unpacked; otherwise it is taken for text.
    pub(crate) fn is_archive(&mut self) -> bool {
        let mut first = [0; 6];
        let packed = self.file.read_exact(&mut first).is_ok() && Compression::of(&first) != Compression::None;
        let rewound = self.file.rewind().is_ok();
        rewound && (packed || self.file.reopen().is_ok_and(is_archive))
    }
}

/// Whether it begins with an archive's entry, packed or not.
pub(crate) fn is_archive(file: std::fs::File) -> bool {
    let Ok((contents, _)) = decompress(std::io::BufReader::new(file)) else { return false };
    matches!(Reader::new(std::io::BufReader::new(contents)).next(), Ok(Some(_)))
}

/// Whether a source is to be fetched.
pub(crate) fn is_url(source: &str) -> bool {
    let lower = source.get(..8).unwrap_or(source).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

fn name_in(path: &str) -> Option<String> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(last).decode_utf8().ok()?;
    is_name(&name).then(|| name.into_owned())
}

/// `attachment; filename="x"`.
fn said_name(header: &str) -> Option<String> {
    let value = header.split(';').find_map(|part| part.trim().strip_prefix("filename="))?;
    let name = value.trim_matches('"').rsplit(['/', '\\']).next().unwrap_or_default();
    is_name(name).then(|| name.to_owned())
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// A transfer may be slow, but not endless.
const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_address_or_the_server() {
        assert_eq!(name_in("/a/b%20c.tar").as_deref(), Some("b c.tar"));
        assert_eq!((name_in("/a/"), name_in("/a/.."), name_in("/%2Fetc")), (None, None, None));
        assert_eq!(said_name("attachment; filename=\"../x\"").as_deref(), Some("x"));
        assert_eq!(said_name("inline"), None);
        assert!(is_url("HTTPS://x") && !is_url("httpx") && !is_url("é"));
    }
}
