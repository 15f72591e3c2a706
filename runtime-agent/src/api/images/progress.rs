//! Long operations: a status while there is nothing to tell yet, then lines.

use std::io;

use axum::body::Body;
use axum::response::Response;
use futures_util::TryStreamExt as _;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use wharfd_api_types::image::{ProgressDetail, ProgressLine};

use crate::api::error::Result;
use crate::api::stream::{Lines, lines};
use crate::engine::error::Result as Outcome;
use crate::engine::images::progress::{Progress, Reporter};

/// Runs `work`. What fails before it reports anything becomes a status, everything later a line. A client that goes
/// away ends the work.
pub(in crate::api) async fn run<F>(work: impl FnOnce(Reporter) -> F) -> Result<Response>
where
    F: Future<Output = Outcome<()>> + Send + 'static,
{
    let (sender, mut progress) = mpsc::channel(64);
    let mut work = Box::pin(work(Reporter::new(sender)));
    let first = tokio::select! {
        biased;
        Some(first) = progress.recv() => first,
        done = &mut work => {
            // It may have reported and ended within one step.
            let first = progress.try_recv().ok();
            let done = if first.is_some() { done } else { Ok(done?) };
            let rest = |lines: Lines| async move { rest(&lines, first, progress, std::future::ready(done)).await };
            return Ok(lines(rest));
        }
    };
    Ok(lines(move |lines| async move { rest(&lines, Some(first), progress, work).await }))
}

async fn rest(
    lines: &Lines,
    first: Option<Progress>,
    mut progress: mpsc::Receiver<Progress>,
    work: impl Future<Output = Outcome<()>>,
) {
    if let Some(first) = first {
        lines.send(&line(first)).await;
    }
    let retell = async {
        while let Some(progress) = progress.recv().await {
            if !lines.send(&line(progress)).await {
                return;
            }
        }
    };
    let both = async { tokio::join!(retell, work).1 };
    tokio::select! {
        () = lines.closed() => {}
        done = both => {
            if let Err(error) = done {
                lines.fail(&error).await;
            }
        }
    }
}

/// The request's body as bytes to read.
pub(in crate::api) fn body_reader(body: Body) -> impl AsyncRead + Send + Unpin + 'static {
    StreamReader::new(Box::pin(body.into_data_stream().map_err(io::Error::other)))
}

fn line(progress: Progress) -> ProgressLine {
    match progress {
        Progress::Status { id, text } => {
            let replaced = id.is_some() && !text.starts_with("Pulling from");
            let progress_detail = replaced.then(ProgressDetail::default);
            ProgressLine { status: Some(text), progress_detail, id, ..ProgressLine::default() }
        }
        Progress::Bytes { id, action, current, total } => ProgressLine {
            status: Some(action.to_owned()),
            progress_detail: Some(ProgressDetail { current, total }),
            progress: Some(bar(current, total)),
            id: Some(id),
            ..ProgressLine::default()
        },
        Progress::Aux(value) => ProgressLine { aux: Some(value), ..ProgressLine::default() },
        Progress::Stream(text) => ProgressLine { stream: Some(text), ..ProgressLine::default() },
    }
}

/// `[=====>     ]  1.2MB/3MB`, fifty wide, as dockerd draws it.
fn bar(current: u64, total: u64) -> String {
    if total == 0 {
        return size(current);
    }
    let done = usize::try_from((current.min(total) * 50) / total).unwrap_or(50);
    let arrow = if done < 50 { ">" } else { "" };
    let rest = " ".repeat(50_usize.saturating_sub(done + 1));
    format!("[{}{arrow}{rest}] {:>8}/{}", "=".repeat(done), size(current), size(total))
}

/// Four significant digits, decimal units.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "a drawing")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 1000.0 { 0 } else { 3 - value.log10().max(0.0).floor() as usize };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_bars_look_like_dockerds() {
        assert_eq!(
            ["0B", "999B", "1kB", "1.234MB", "12.35MB"],
            [0, 999, 1000, 1_234_000, 12_345_678].map(size).each_ref().map(String::as_str)
        );
        assert_eq!(
            bar(0, 100).len(),
            "[>                                                 ]       0B/100B".len()
        );
        assert_eq!(bar(100, 100), format!("[{}]     100B/100B", "=".repeat(50)));
        assert_eq!(bar(5, 0), "5B");
    }

    #[tokio::test]
    async fn what_fails_at_once_is_a_status_and_what_fails_later_a_line() {
        use crate::engine::error::Error;
        use http_body_util::BodyExt as _;
        let refused = run(|_| async { Err(Error::not_found("nothing here")) }).await;
        assert!(refused.is_err());
        let answer = run(|report| async move {
            report.say("begins").await;
            Err(Error::not_found("gone"))
        });
        let body = answer.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(
            text,
            "{\"status\":\"begins\"}\r\n{\"error\":\"gone\",\"errorDetail\":{\"message\":\"gone\"}}\r\n"
        );
    }
}
