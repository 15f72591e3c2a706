//! Logs of containers that live and end.

use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::engine::logs::{Entry, Wanted};

fn log_of(host: &Host, container: &Container) -> PathBuf {
    let name = format!("{}-json.log", container.id);
    host.folder.path().join("containers").join(&container.id).join(name)
}

fn write(host: &Host, container: &Container, stream: &str, text: &str, second: u32) {
    let path = log_of(host, container);
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    let line = serde_json::json!({ "log": text, "stream": stream, "time": format!("2026-01-01T00:00:{second:02}Z") });
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn wanted() -> Wanted {
    Wanted { stdout: true, stderr: true, ..Wanted::default() }
}

async fn all(mut lines: tokio::sync::mpsc::Receiver<Result<Entry>>) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(entry) = lines.recv().await {
        texts.push(entry.unwrap().text);
    }
    texts
}

#[tokio::test]
async fn lines_are_chosen_by_stream_time_and_number() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", "{}").await;
    for (stream, text, second) in [("stdout", "one\n", 1), ("stderr", "two\n", 2), ("stdout", "three\n", 3)] {
        write(&host, &web, stream, text, second);
    }
    let read = async |wanted| all(daemon.logs(&web, wanted).unwrap()).await;
    assert_eq!(read(wanted()).await, ["one\n", "two\n", "three\n"]);
    assert_eq!(read(Wanted { stdout: false, ..wanted() }).await, ["two\n"]);
    assert_eq!(read(Wanted { tail: Some(1), ..wanted() }).await, ["three\n"]);
    let at = |text: &str| super::super::moment::parameter(text);
    let between =
        Wanted { since: at("2026-01-01T00:00:02Z"), until: at("2026-01-01T00:00:02.5Z"), ..wanted() };
    assert_eq!(read(between).await, ["two\n"]);
    assert!(daemon.logs(&web, Wanted::default()).unwrap_err().to_string().contains("at least one stream"));
}

#[tokio::test]
async fn a_follower_sees_what_comes_and_ends_with_the_container() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", "{}").await;
    write(&host, &web, "stdout", "before\n", 1);
    let mut lines = daemon.logs(&web, Wanted { follow: true, ..wanted() }).unwrap();
    let next = async |lines: &mut tokio::sync::mpsc::Receiver<Result<Entry>>| {
        tokio::time::timeout(Duration::from_secs(10), lines.recv()).await.expect("no line came")
    };
    assert_eq!(next(&mut lines).await.unwrap().unwrap().text, "before\n");
    write(&host, &web, "stdout", "later\n", 2);
    assert_eq!(next(&mut lines).await.unwrap().unwrap().text, "later\n");
    std::fs::rename(log_of(&host, &web), log_of(&host, &web).with_extension("log.1")).unwrap();
    write(&host, &web, "stdout", "rotated\n", 3);
    assert_eq!(next(&mut lines).await.unwrap().unwrap().text, "rotated\n");
    write(&host, &web, "stdout", "last\n", 4);
    host.ends(&web.id, 0);
    assert_eq!(next(&mut lines).await.unwrap().unwrap().text, "last\n");
    assert!(next(&mut lines).await.is_none());
}

#[tokio::test]
async fn without_a_log_there_is_an_error_and_not_silence() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", r#"{"HostConfig":{"LogConfig":{"Type":"none"}}}"#).await;
    let error = daemon.logs(&web, wanted()).unwrap_err().to_string();
    assert_eq!(error, "configured logging driver does not support reading");
}
