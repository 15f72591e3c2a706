//! Execs on the wire: further processes in a running container.

use serde::{Deserialize, Serialize};

use crate::container::{nullable, words};

/// `POST /containers/{id}/exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecCreateRequest {
    /// Empty is the container's.
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    /// Everything that the host may do.
    #[serde(deserialize_with = "nullable")]
    pub privileged: bool,
    /// Whether stdio is a terminal.
    #[serde(deserialize_with = "nullable")]
    pub tty: bool,
    /// Height and width of the terminal.
    pub console_size: Option<[u16; 2]>,
    /// Whether stdin is wanted.
    #[serde(deserialize_with = "nullable")]
    pub attach_stdin: bool,
    /// Whether stderr is wanted.
    #[serde(deserialize_with = "nullable")]
    pub attach_stderr: bool,
    /// Whether stdout is wanted.
    #[serde(deserialize_with = "nullable")]
    pub attach_stdout: bool,
    /// The keys that detach.
    #[serde(deserialize_with = "nullable")]
    pub detach_keys: String,
    /// Added to the container's.
    pub env: Option<Vec<String>>,
    /// Empty is the container's.
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
    /// Program and arguments.
    #[serde(deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
}

/// `POST /exec/{id}/start`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecStartRequest {
    /// Whether nobody listens.
    #[serde(deserialize_with = "nullable")]
    pub detach: bool,
    /// Whether the client expects a terminal.
    #[serde(deserialize_with = "nullable")]
    pub tty: bool,
    /// Height and width of the terminal.
    pub console_size: Option<[u16; 2]>,
}

/// The answer to a create that has only an id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IdResponse {
    /// The whole id.
    pub id: String,
}

/// `GET /exec/{id}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecInspect {
    /// The whole id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Whether it runs.
    #[serde(rename = "Running")]
    pub running: bool,
    /// `null` until it ended.
    #[serde(rename = "ExitCode")]
    pub exit_code: Option<i64>,
    /// What runs.
    #[serde(rename = "ProcessConfig")]
    pub process_config: ExecProcess,
    /// Whether stdin is open.
    #[serde(rename = "OpenStdin")]
    pub open_stdin: bool,
    /// Whether stderr is wanted.
    #[serde(rename = "OpenStderr")]
    pub open_stderr: bool,
    /// Whether stdout is wanted.
    #[serde(rename = "OpenStdout")]
    pub open_stdout: bool,
    /// Whether it can be removed: it ended.
    #[serde(rename = "CanRemove")]
    pub can_remove: bool,
    /// Its container's id.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// As it was asked for.
    #[serde(rename = "DetachKeys")]
    pub detach_keys: String,
    /// On the host; zero before the start.
    #[serde(rename = "Pid")]
    pub pid: u32,
}

/// What an exec runs; its names are lower case on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecProcess {
    /// A terminal.
    pub tty: bool,
    /// The program.
    pub entrypoint: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Everything that the host may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// Empty is the container's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_that_never_started_has_a_null_exit_code() {
        let inspect = ExecInspect { id: "x".into(), ..ExecInspect::default() };
        let json = serde_json::to_value(inspect).unwrap();
        assert_eq!(json["ExitCode"], serde_json::Value::Null);
        assert_eq!(
            json["ProcessConfig"],
            serde_json::json!({"tty": false, "entrypoint": "", "arguments": []})
        );
    }

    #[test]
    fn what_the_docker_cli_sends_is_read() {
        let text = r#"{"User":"","Privileged":false,"Tty":true,"ConsoleSize":[24,80],"AttachStdin":true,
            "AttachStderr":true,"AttachStdout":true,"DetachKeys":"","Env":null,"WorkingDir":"","Cmd":["sh"],"New":1}"#;
        let request: ExecCreateRequest = serde_json::from_str(text).unwrap();
        assert_eq!((request.console_size, request.cmd), (Some([24, 80]), Some(vec!["sh".into()])));
    }
}
