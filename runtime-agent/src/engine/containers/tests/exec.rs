//! Execs.

use tokio::io::AsyncReadExt as _;
use wharfd_api_types::exec::ExecCreateRequest;

use super::*;
use crate::engine::error::Kind;
use crate::runtime;

fn request(json: &str) -> ExecCreateRequest {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn an_exec_runs_once_and_its_code_is_known_when_its_stream_ends() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", r#"{"Env":["A=1"],"WorkingDir":"/srv"}"#).await;
    let wanted = request(r#"{"Cmd":["echo","hi"],"AttachStdout":true,"Env":["B=2"]}"#);
    let id = daemon.create_exec(&web, wanted).unwrap();
    let exec = daemon.exec(&id).unwrap();
    assert_eq!(exec.inspect().exit_code, None);
    let mut stream = daemon.start_exec(&exec, false, None).await.unwrap().unwrap();
    assert!(exec.inspect().running && daemon.execs.running_in(&web.id).is_some());
    let spec = host.runtime.shim(&web.id).unwrap().exec_spec(&id).unwrap();
    let process = serde_json::to_value(&spec.process).unwrap();
    assert_eq!(process["cwd"], "/srv");
    assert!(process["env"].as_array().unwrap().contains(&serde_json::json!("B=2")));
    host.runtime.shim(&web.id).unwrap().exit_exec(&id, Exit::status(4));
    let mut nothing = Vec::new();
    stream.read_to_end(&mut nothing).await.unwrap();
    exec.ended().await;
    assert_eq!((exec.inspect().exit_code, exec.inspect().running), (Some(4), false));
    assert_eq!(daemon.start_exec(&exec, false, None).await.unwrap_err().kind(), Kind::Conflict);
    let events = told(&daemon);
    assert_eq!(events[2..], ["exec_create: echo hi", "exec_start: echo hi", "exec_die:4"]);
}

#[tokio::test]
async fn an_exec_needs_a_running_container_and_a_command() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = create(&daemon, "web", "{}").await.unwrap();
    let refused = daemon.create_exec(&web, request(r#"{"Cmd":["sh"]}"#)).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.to_string()),
        (Kind::Conflict, format!("container {} is not running", web.id))
    );
    web.start().await.unwrap();
    assert_eq!(daemon.create_exec(&web, request("{}")).unwrap_err().to_string(), "No exec command specified");
    assert_eq!(daemon.exec("nobody").unwrap_err().to_string(), "No such exec instance: nobody");
}

#[tokio::test]
async fn a_missing_program_is_127_and_an_unknown_user_an_error() {
    let host = Host::new();
    let daemon = host.daemon().await;
    let web = run(&daemon, "web", "{}").await;
    let id = daemon.create_exec(&web, request(r#"{"Cmd":["nope"],"AttachStdout":true}"#)).unwrap();
    let text = r#"exec: "nope": executable file not found in $PATH"#;
    host.runtime.fail_exec(runtime::Error::Executable(text.to_owned()));
    let exec = daemon.exec(&id).unwrap();
    let error = daemon.start_exec(&exec, false, None).await.unwrap_err().to_string();
    assert!(error.starts_with("OCI runtime exec failed") && error.ends_with(text), "{error}");
    assert_eq!(exec.inspect().exit_code, Some(127));
    let id = daemon.create_exec(&web, request(r#"{"Cmd":["id"],"User":"nobody"}"#)).unwrap();
    let exec = daemon.exec(&id).unwrap();
    let error = daemon.start_exec(&exec, true, None).await.unwrap_err().to_string();
    assert!(error.contains("unable to find user nobody"), "{error}");
}
