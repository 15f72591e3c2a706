//! Attaching: frames, terminals, stdin, several clients at once.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wharfd::runtime::{Error, ProcessRef, Size};

use crate::support::{ALL, OUTPUT, World, bounded, eventually, log, read_all, unframe};

#[tokio::test]
async fn output_comes_in_frames_and_ends_with_the_process() {
    let Some(world) = World::new() else { return };
    let shim = world.create(world.bundle("a", &["sh", "-c", "echo out; echo err >&2"])).await;
    let mut one = shim.attach(OUTPUT).await.unwrap();
    let mut two = shim.attach(OUTPUT).await.unwrap();
    shim.start().await.unwrap();
    for stream in [&mut one, &mut two] {
        assert_eq!(unframe(&read_all(stream).await), ("out\n".to_owned(), "err\n".to_owned()));
    }
    let mut late = shim.attach(OUTPUT).await.unwrap();
    assert!(read_all(&mut late).await.is_empty(), "the end, at once");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn the_end_of_stdin_ends_the_containers_once() {
    let Some(world) = World::new() else { return };
    let mut bundle = world.bundle("a", &["cat"]);
    (bundle.open_stdin, bundle.stdin_once) = (true, true);
    let shim = world.create(bundle).await;
    let mut stream = shim.attach(ALL).await.unwrap();
    shim.start().await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(unframe(&read_all(&mut stream).await).0, "hello");
    assert_eq!(bounded(shim.wait(ProcessRef::Init)).await.unwrap().code, 0);
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn without_stdin_once_stdin_stays_open_for_the_next() {
    let Some(world) = World::new() else { return };
    let mut bundle = world.bundle("a", &["sh", "-c", "read a; read b; echo $a$b"]);
    bundle.open_stdin = true;
    let dir = bundle.dir.clone();
    let shim = world.create(bundle).await;
    shim.start().await.unwrap();
    for word in ["one\n", "two\n"] {
        let mut stream = shim.attach(ALL).await.unwrap();
        stream.write_all(word.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    bounded(shim.wait(ProcessRef::Init)).await.unwrap();
    assert_eq!(log(&dir), "onetwo\n");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_megabyte_goes_through_and_comes_back() {
    let Some(world) = World::new() else { return };
    let mut bundle = world.bundle("a", &["cat"]);
    (bundle.open_stdin, bundle.stdin_once) = (true, true);
    let shim = world.create(bundle).await;
    let stream = shim.attach(ALL).await.unwrap();
    shim.start().await.unwrap();
    let text: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    let (mut reader, mut writer) = stream.into_split();
    let sent = text.clone();
    let feeding = tokio::spawn(async move {
        writer.write_all(sent.as_bytes()).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut bytes = Vec::new();
    bounded(reader.read_to_end(&mut bytes)).await.unwrap();
    feeding.await.unwrap();
    assert!(unframe(&bytes).0 == text, "what came back differs");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_terminal_is_one_and_takes_sizes() {
    let Some(world) = World::new() else { return };
    let script = "test -t 0 && test -t 1 && echo tty; stty size; read x; stty size; echo got $x";
    let mut bundle = world.bundle("a", &["sh", "-c", script]);
    (bundle.terminal, bundle.open_stdin) = (true, true);
    bundle.size = Some(Size { rows: 33, columns: 77 });
    let dir = bundle.dir.clone();
    let shim = world.create(bundle).await;
    let mut stream = shim.attach(ALL).await.unwrap();
    shim.start().await.unwrap();
    eventually("the first size is told", || log(&dir).contains("33 77")).await;
    shim.resize(ProcessRef::Init, Size { rows: 44, columns: 88 }).await.unwrap();
    stream.write_all(b"word\n").await.unwrap();
    let text = String::from_utf8(read_all(&mut stream).await).unwrap();
    assert!(text.contains("tty\r\n33 77\r\n") && text.contains("44 88\r\ngot word\r\n"), "{text:?}");
    assert_eq!(bounded(shim.wait(ProcessRef::Init)).await.unwrap().code, 0);
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_process_without_a_terminal_has_no_size() {
    let Some(world) = World::new() else { return };
    let shim = world.create(world.bundle("a", &["sleep", "100"])).await;
    let refused = shim.resize(ProcessRef::Init, Size { rows: 1, columns: 1 }).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_output_back_and_loses_none() {
    let Some(world) = World::new() else { return };
    let bundle = world.bundle("a", &["sh", "-c", "head -c 3000000 /dev/zero; echo; echo end >&2"]);
    let shim = world.create(bundle).await;
    let mut lazy = shim.attach(OUTPUT).await.unwrap();
    shim.start().await.unwrap();
    let early =
        tokio::time::timeout(std::time::Duration::from_millis(300), shim.wait(ProcessRef::Init)).await;
    assert!(early.is_err(), "the process waits for its reader");
    let (stdout, stderr) = unframe(&read_all(&mut lazy).await);
    assert_eq!((stdout.len(), stderr.as_str()), (3_000_001, "end\n"));
    shim.delete().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_matter() {
    let Some(world) = World::new() else { return };
    let bundle = world.bundle("a", &["sh", "-c", "head -c 3000000 /dev/zero; exit 3"]);
    let shim = world.create(bundle).await;
    let stream = shim.attach(OUTPUT).await.unwrap();
    shim.start().await.unwrap();
    drop(stream);
    assert_eq!(bounded(shim.wait(ProcessRef::Init)).await.unwrap().code, 3);
    shim.delete().await.unwrap();
}
