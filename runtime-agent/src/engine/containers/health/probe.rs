//! One check: a process inside, its first output, and its end within a bound.

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use wharfd_api_types::exec::ExecCreateRequest;

use super::{Check, Probe};
use crate::engine::containers::moment::Moment;
use crate::engine::containers::task::{Snapshot, attributes};
use crate::engine::containers::world::World;
use crate::engine::containers::{new_id, place};
use crate::engine::error::{Error, Result};
use crate::engine::events::EventKind;
use crate::runtime::{ExecSpec, ProcessRef, Shim, Streams};

/// Whatever happens is a finding.
pub(super) async fn run(world: &World, shim: &dyn Shim, snapshot: &Snapshot, check: &Check) -> Probe {
    let start = Moment::now();
    let (exit_code, output) = match attempt(world, shim, snapshot, check).await {
        Ok(found) => found,
        Err(error) => (-1, error.to_string()),
    };
    Probe { start, end: Moment::now(), exit_code, output }
}

async fn attempt(
    world: &World,
    shim: &dyn Shim,
    snapshot: &Snapshot,
    check: &Check,
) -> Result<(i32, String)> {
    let record = &snapshot.record;
    let rootfs = snapshot.rootfs.as_ref();
    let rootfs = rootfs.ok_or_else(|| Error::unavailable("the container's files are not mounted"))?;
    let request = ExecCreateRequest { cmd: Some(check.command.clone()), ..ExecCreateRequest::default() };
    let process = place::exec_process(world, record, rootfs, &request).await?;
    let id = new_id()?;
    let streams = Streams { stdin: false, stdout: true, stderr: true };
    let tell = |action: String, code: Option<i32>| {
        let mut told = attributes(record);
        told.insert("execID".to_owned(), id.clone());
        told.extend(code.map(|code| ("exitCode".to_owned(), code.to_string())));
        world.events.publish(EventKind::Container, action, record.id.clone(), told);
    };
    let line = check.command.join(" ");
    tell(format!("exec_create: {line}"), None);
    let spec = ExecSpec { id: id.clone(), process, size: None, streams };
    let executed =
        shim.exec(spec).await.map_err(|error| Error::internal("cannot run the health check", error))?;
    tell(format!("exec_start: {line}"), None);
    let mut output = Vec::new();
    let ends = async {
        if let Some(stream) = executed.stream {
            collect(stream, &mut output).await;
        }
        shim.wait(ProcessRef::Exec(&id)).await
    };
    match tokio::time::timeout(check.timeout, ends).await {
        Ok(ended) => {
            let ended = ended.map_err(|error| Error::internal("waiting for the health check", error))?;
            tell("exec_die".to_owned(), Some(ended.code));
            Ok((ended.code, text(&output)))
        }
        Err(_) => {
            // It ended just now is as good.
            let _ = shim.signal(ProcessRef::Exec(&id), KILL).await;
            let seconds = check.timeout.as_secs_f64();
            let said = text(&output);
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Ok((-1, format!("Health check exceeded timeout ({seconds}s){said}")))
        }
    }
}

/// Both streams in the order in which they came, as far as they are kept; the rest is read and forgotten.
async fn collect(mut stream: UnixStream, output: &mut Vec<u8>) {
    let mut head = [0; 8];
    while stream.read_exact(&mut head).await.is_ok() {
        let [.., a, b, c, d] = head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        let keep = (OUTPUT_MAX + 1).saturating_sub(output.len() as u64).min(length);
        let mut frame = (&mut stream).take(keep);
        if frame.read_to_end(output).await.is_err() {
            return;
        }
        let mut rest = (&mut stream).take(length - keep);
        if tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.is_err() {
            return;
        }
    }
}

fn text(output: &[u8]) -> String {
    let most = usize::try_from(OUTPUT_MAX).unwrap_or(usize::MAX);
    match output.get(..most) {
        Some(kept) if output.len() > most => format!("{}...", String::from_utf8_lossy(kept)),
        _ => String::from_utf8_lossy(output).into_owned(),
    }
}

const OUTPUT_MAX: u64 = 4096;
const KILL: i32 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn output_is_kept_up_to_a_bound() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let writing = tokio::spawn(async move {
            for (stream, bytes) in [(1, b"out ".to_vec()), (2, b"err ".to_vec()), (1, vec![b'x'; 9000])] {
                let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
                theirs.write_all(&[&[stream, 0, 0, 0], &length[..], &bytes].concat()).await.unwrap();
            }
        });
        let mut output = Vec::new();
        collect(ours, &mut output).await;
        writing.await.unwrap();
        let text = text(&output);
        assert!(
            text.starts_with("out err xxx") && text.ends_with("x...") && text.len() == 4099,
            "{}",
            text.len()
        );
    }
}
