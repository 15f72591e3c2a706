//! Long-running operations, by the headers that the real providers answer with.
//!
//! ```text
//! InProgress ──► Succeeded
//!      │ ├─────► Failed      (with an error)
//!      │ └─────► Canceled
//!      └────────► InProgress for ever, when a fault says so
//! ```

use std::time::Duration;

use serde_json::{Value, json};

use super::Cloud;
use crate::error::ArmError;
use crate::http::Answer;

/// One piece of work that outlives its request.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) style: Style,
    pub(crate) location: String,
    pub(crate) version: String,
    pub(crate) status: Status,
    pub(crate) began: Duration,
    pub(crate) ended: Option<Duration>,
    /// What is done when it ends.
    pub(crate) deed: Deed,
    /// What else the fault that struck it decides.
    pub(crate) fate: Fate,
}

/// Whose headers and bodies it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Compute,
    Disk,
    Network,
    Group,
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    InProgress,
    Succeeded,
    Failed(ArmError),
    Canceled,
}

/// What an operation does at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The resource is ready.
    Ready(String),
    /// The machine is ready, once its body is.
    MachineReady(String),
    /// The resource goes.
    Remove(String),
    /// The group goes, with everything in it.
    RemoveGroup(String),
    /// The machine's power is so.
    Power(String, &'static str),
}

/// How it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Good,
    Fails(ArmError),
    Cancels,
    Never,
}

impl Style {
    /// The path of the operation's status below the subscription.
    fn path(self, location: &str, id: &str) -> String {
        match self {
            Self::Compute => format!("providers/Microsoft.Compute/locations/{location}/operations/{id}"),
            Self::Disk => format!("providers/Microsoft.Compute/locations/{location}/DiskOperations/{id}"),
            Self::Network => format!("providers/Microsoft.Network/locations/{location}/operations/{id}"),
            Self::Group => format!("operationresults/{id}"),
        }
    }
}

impl Operation {
    fn url(&self, cloud: &Cloud) -> String {
        let (arm, subscription) = (&cloud.names.arm, &cloud.config.account.subscription);
        let path = self.style.path(&self.location, &self.id);
        format!("{arm}/subscriptions/{subscription}/{path}?api-version={}", self.version)
    }

    fn monitor(&self, cloud: &Cloud) -> String {
        match self.style {
            Style::Compute | Style::Disk => {
                format!("{}&monitor=true", self.url(cloud).replacen('?', "?p=7f3c&", 1))
            }
            Style::Network => self.url(cloud).replacen("/operations/", "/operationResults/", 1),
            Style::Group => self.url(cloud),
        }
    }

    /// The status's address, for messages that name it.
    pub(crate) fn address(&self, cloud: &Cloud) -> String {
        self.url(cloud)
    }

    /// Puts the headers on the answer that began it.
    pub(crate) fn announce(&self, answer: Answer, cloud: &Cloud, with_location: bool) -> Answer {
        let wait = cloud.clock().retry_after(self.wait_seconds());
        let mut answer = answer.header("retry-after", wait.to_string());
        if self.style != Style::Group {
            answer = answer.header("azure-asyncoperation", self.url(cloud));
        }
        if with_location || self.style == Style::Group {
            answer = answer.header("location", self.monitor(cloud));
        }
        answer.header("azure-asyncnotification", "Enabled")
    }

    fn wait_seconds(&self) -> u64 {
        if self.style == Style::Group { 15 } else { 10 }
    }

    /// Answers a poll of the status.
    pub(crate) fn status(&self, cloud: &Cloud) -> Answer {
        let stamp = |moment| cloud.clock().stamp(moment);
        let mut body = match self.style {
            Style::Network => json!({}),
            _ => json!({"startTime": stamp(self.began), "name": self.id}),
        };
        body["status"] = json!(self.status.name());
        if let (Some(ended), false) = (self.ended, self.style == Style::Network) {
            body["endTime"] = json!(stamp(ended));
        }
        match &self.status {
            Status::Failed(error) => body["error"] = error.inner(),
            Status::Canceled => {
                body["error"] = json!({"code": "Canceled", "message": "Operation was canceled."});
            }
            _ => {}
        }
        let answer = Answer::json(200, body);
        match self.status {
            Status::InProgress => answer.header("retry-after", cloud.clock().retry_after(10).to_string()),
            _ => answer,
        }
    }

    /// Answers a poll of the `Location`. `result` is what the finished operation left.
    pub(crate) fn result(&self, cloud: &Cloud, result: Option<Value>) -> Answer {
        match &self.status {
            Status::InProgress => {
                let wait = cloud.clock().retry_after(self.wait_seconds());
                let answer = Answer::empty(202).header("location", self.monitor(cloud));
                answer.header("retry-after", wait.to_string())
            }
            Status::Failed(error) => error.clone().into(),
            Status::Canceled => ArmError::conflict("Canceled", "Operation was canceled.").into(),
            Status::Succeeded => match (result, self.style) {
                (Some(body), _) => Answer::json(200, body),
                (None, Style::Network) => Answer::empty(204),
                (None, _) => Answer::empty(200),
            },
        }
    }
}

impl Status {
    /// As it is written.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::Failed(_) => "Failed",
            Self::Canceled => "Canceled",
        }
    }
}
