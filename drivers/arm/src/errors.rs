//! What a service says when it refuses: `{"error":{code,message,target,details}}` and every other shape that was seen,
//! details that are JSON inside a string among them. A [`Fault`] keeps all of it; [`Fault::into_error`] decides which
//! kind of failure that is and what a person can do about it.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use wharf_driver::{Error, Kind};

/// Why a call did not do what it was for.
#[derive(Debug)]
pub enum Trouble {
    /// The service answered, and said no.
    Said(Box<Fault>),
    /// It did not answer, or something else stood in the way.
    Other(Error),
}

/// What a service said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status; `None` for the end of an operation, whose request itself went well.
    pub status: Option<u16>,
    /// The code, such as `AuthorizationFailed`.
    pub code: String,
    /// The sentence for people.
    pub message: String,
    /// What it is about.
    pub target: Option<String>,
    /// What is behind it, flattened, outermost first.
    pub details: Vec<Detail>,
    /// What was being done.
    pub doing: String,
    /// The service's name for this request.
    pub request_id: Option<String>,
    /// The service's name for everything that belongs together.
    pub correlation_id: Option<String>,
    /// How long it asked us to wait.
    pub retry_after: Option<Duration>,
}

/// One thing behind a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// The code.
    pub code: String,
    /// The sentence for people.
    pub message: String,
}

const DEEPEST: usize = 8;
/// More of a page that is no JSON is of no use to anybody.
const EXCERPT: usize = 200;

impl Fault {
    /// Reads the answer to a request.
    #[must_use]
    pub fn of_answer(doing: &str, status: u16, headers: &HeaderMap, body: &str) -> Self {
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let mut fault = Self {
            status: Some(status),
            doing: doing.to_owned(),
            request_id: header("x-ms-request-id"),
            correlation_id: header("x-ms-correlation-request-id"),
            retry_after: retry_after(headers),
            ..Self::default()
        };
        match serde_json::from_str(body) {
            Ok(json) => fault.read(&json),
            Err(_) => fault.message = body.trim().chars().take(EXCERPT).collect(),
        }
        if fault.code.is_empty() {
            fault.code =
                header("x-ms-error-code").or_else(|| header("x-ms-failure-cause")).unwrap_or_default();
        }
        fault
    }

    /// Reads how an operation ended that did not succeed.
    #[must_use]
    pub fn of_operation(doing: &str, ended: &str, body: &Value, headers: &HeaderMap) -> Self {
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let mut fault = Self {
            doing: doing.to_owned(),
            request_id: header("x-ms-request-id"),
            correlation_id: header("x-ms-correlation-request-id"),
            ..Self::default()
        };
        fault.read(body.pointer("/properties/error").map_or(body, |_| &body["properties"]));
        if fault.message.is_empty() {
            fault.message = format!("the operation ended as `{ended}` and says no more");
        }
        if fault.code.is_empty() {
            ended.clone_into(&mut fault.code);
        }
        fault
    }

    /// Whether this code stands in it, at any depth.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.codes().any(|one| one.eq_ignore_ascii_case(code))
    }

    /// Whether the thing that was asked for is not there. A subscription that is not there is another matter.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404) && !self.has("SubscriptionNotFound") && !self.has("InvalidSubscriptionId")
    }

    fn codes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.code.as_str()).chain(self.details.iter().map(|detail| detail.code.as_str()))
    }

    fn read(&mut self, body: &Value) {
        match body.get("error") {
            // A token endpoint: the code is a word, its sentence stands beside it.
            Some(Value::String(code)) => {
                self.code.clone_from(code);
                self.message = text(body, "error_description").unwrap_or_default();
            }
            Some(error) if error.is_object() => self.read_error(error),
            _ => self.read_error(body),
        }
    }

    fn read_error(&mut self, error: &Value) {
        self.code = text(error, "code").unwrap_or_default();
        self.message = text(error, "message").unwrap_or_default();
        self.target = text(error, "target");
        let mut details = Vec::new();
        gather(error, 0, &mut details);
        self.details = details;
        if inside(&self.message).is_some()
            && let Some(first) = self.details.first()
        {
            self.message.clone_from(&first.message);
        }
    }

    /// The driver's error: a kind to branch on, the facts to read, and what to do now.
    #[must_use]
    pub fn into_error(self) -> Error {
        let (kind, hint) = self.verdict();
        let telling = self.telling();
        let message = if telling.message.is_empty() {
            let status = self.status.map_or_else(String::new, |status| format!(" with status {status}"));
            format!("{} was refused{status}", self.doing)
        } else {
            format!("{} was refused: {}", self.doing, first_lines(&telling.message))
        };
        let mut error = Error::new(kind, message);
        if !telling.code.is_empty() {
            error = error.fact("code", telling.code.clone());
        }
        if telling.code != self.code && !self.code.is_empty() {
            error = error.fact("outer code", self.code.clone());
        }
        let facts = [
            ("target", self.target.clone()),
            ("request id", self.request_id.clone()),
            ("correlation id", self.correlation_id.clone()),
        ];
        for (name, value) in facts {
            if let Some(value) = value {
                error = error.fact(name, value);
            }
        }
        if let Some(wait) = self.retry_after {
            error = error.after(wait);
        }
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// The innermost detail says most; the outer codes are often just `DeploymentFailed`.
    fn telling(&self) -> Detail {
        let outer = Detail { code: self.code.clone(), message: self.message.clone() };
        self.details.iter().rev().find(|detail| !detail.message.is_empty()).cloned().unwrap_or(outer)
    }

    fn verdict(&self) -> (Kind, Option<&'static str>) {
        if let Some((_, kind, hint)) = KNOWN.iter().find(|(code, _, _)| self.has(code)) {
            return (*kind, Some(hint));
        }
        if self.has("OperationNotAllowed") && self.speaks_of("quota") {
            return (Kind::Quota, Some(ASK_FOR_QUOTA));
        }
        match self.status {
            Some(401) => (Kind::NotAllowed, Some(SIGN_IN_AGAIN)),
            Some(403) => (Kind::NotAllowed, Some(ASK_FOR_ROLE)),
            Some(429) => (Kind::Throttled, None),
            Some(408 | 500..) => (Kind::Transient, None),
            // A request that is refused at once has made nothing; the end of an operation promises no such thing.
            Some(400..=499) => (Kind::Refused, None),
            _ => (Kind::Failed, None),
        }
    }

    fn speaks_of(&self, word: &str) -> bool {
        let says = |text: &str| text.to_ascii_lowercase().contains(word);
        says(&self.message) || self.details.iter().any(|detail| says(&detail.message))
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Said(Box::new(fault))
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Said(fault) => fault.into_error(),
            Trouble::Other(error) => error,
        }
    }
}

impl Trouble {
    /// What the service said, where it said something.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Said(fault) => Some(fault),
            Self::Other(_) => None,
        }
    }

    /// Whether the same read may be made again in a moment.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Said(fault) => fault.verdict().0.retryable(),
            Self::Other(error) => error.kind().retryable(),
        }
    }

    /// How long it asked us to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Said(fault) => fault.retry_after,
            Self::Other(error) => error.retry_after(),
        }
    }
}

/// `Retry-After` in seconds, or until a time of day.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    text.parse().ok().map(Duration::from_secs)
}

fn gather(error: &Value, depth: usize, found: &mut Vec<Detail>) {
    if depth > DEEPEST {
        return;
    }
    if let Some(json) = error.get("message").and_then(Value::as_str).and_then(inside) {
        nested(&json, depth, found);
    }
    let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
    for detail in details {
        nested(detail, depth, found);
    }
    if let Some(inner) = error.get("innererror").filter(|inner| inner.get("code").is_some()) {
        nested(inner, depth, found);
    }
}

fn nested(value: &Value, depth: usize, found: &mut Vec<Detail>) {
    let value = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
    let (code, message) =
        (text(value, "code").unwrap_or_default(), text(value, "message").unwrap_or_default());
    // A message that is JSON itself is said by what is in it.
    let message = if inside(&message).is_some() { String::new() } else { message };
    if !code.is_empty() || !message.is_empty() {
        found.push(Detail { code, message });
    }
    gather(value, depth + 1, found);
}

/// The JSON that a sentence is.
fn inside(message: &str) -> Option<Value> {
    let trimmed = message.trim();
    let json: Value = trimmed.starts_with('{').then(|| serde_json::from_str(trimmed).ok()).flatten()?;
    json.is_object().then_some(json)
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned).filter(|text| !text.is_empty())
}

/// A message for one line: services add traces and correlation ids below, which are facts of their own.
fn first_lines(message: &str) -> String {
    let end =
        ["Trace ID:", "Correlation ID:", "Timestamp:"].iter().filter_map(|noise| message.find(noise)).min();
    let kept = message.get(..end.unwrap_or(message.len())).unwrap_or(message).lines().map(str::trim);
    kept.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

const SIGN_IN_AGAIN: &str =
    "sign in again: `az login`, or check AZURE_CLIENT_ID and its secret or certificate";
const ASK_FOR_ROLE: &str = "ask for the role `Contributor` on the subscription or the resource group";
const ASK_FOR_QUOTA: &str =
    "free something, choose a smaller size or another location, or ask for a higher quota";
const TRY_ELSEWHERE: &str = "choose another size, zone or location, or try again later";

/// Codes whose meaning does not follow from the status, with what to do.
const KNOWN: &[(&str, Kind, &str)] = &[
    (
        "RequestDisallowedByPolicy",
        Kind::Refused,
        "a policy of the subscription forbids it; change what it names, or ask whoever assigned it",
    ),
    ("ScopeLocked", Kind::NotAllowed, "a lock protects it; ask whoever placed the lock"),
    ("QuotaExceeded", Kind::Quota, ASK_FOR_QUOTA),
    ("ResourceQuotaExceeded", Kind::Quota, ASK_FOR_QUOTA),
    ("PublicIPCountLimitReached", Kind::Quota, "free a public address, or use --azure-no-public-ip"),
    (
        "IPv4StandardSkuPublicIpCountLimitReached",
        Kind::Quota,
        "free a public address, or use --azure-no-public-ip",
    ),
    ("IPv4BasicSkuPublicIpCountLimitReached", Kind::Refused, "this cloud takes Standard addresses only"),
    ("SkuNotAvailable", Kind::Quota, TRY_ELSEWHERE),
    ("AllocationFailed", Kind::Quota, TRY_ELSEWHERE),
    ("ZonalAllocationFailed", Kind::Quota, TRY_ELSEWHERE),
    ("OverconstrainedAllocationRequest", Kind::Quota, TRY_ELSEWHERE),
    ("OverconstrainedZonalAllocationRequest", Kind::Quota, TRY_ELSEWHERE),
    ("SubscriptionNotFound", Kind::NotAllowed, "check the subscription, and that the account may see it"),
    ("InvalidSubscriptionId", Kind::NotAllowed, "check the subscription, and that the account may see it"),
    (
        "InvalidAuthenticationTokenTenant",
        Kind::NotAllowed,
        "the subscription belongs to another tenant: name it with --azure-tenant-id",
    ),
    ("ExpiredAuthenticationToken", Kind::NotAllowed, SIGN_IN_AGAIN),
    (
        "ReadOnlyDisabledSubscription",
        Kind::NotAllowed,
        "the subscription is disabled; enable it, or use another one",
    ),
    (
        "PlatformImageNotFound",
        Kind::Refused,
        "`az vm image list` shows the images; on an Azure Stack Hub its operator must have added it",
    ),
    (
        "ImageNotFound",
        Kind::Refused,
        "`az vm image list` shows the images; on an Azure Stack Hub its operator must have added it",
    ),
    (
        "MarketplacePurchaseEligibilityFailed",
        Kind::Refused,
        "accept the terms of this image with `az vm image terms accept`",
    ),
    ("AnotherOperationInProgress", Kind::Transient, "another command works on it; try again in a moment"),
    ("RetryableError", Kind::Transient, "try again in a moment"),
    (
        "RetryableErrorDueToAnotherOperation",
        Kind::Transient,
        "another command works on it; try again in a moment",
    ),
    ("ConcurrentUpdateError", Kind::Transient, "another command works on it; try again in a moment"),
    (
        "CanceledAndSupersededDueToAnotherOperation",
        Kind::Transient,
        "another command works on it; try again in a moment",
    ),
    ("ReferencedResourceNotProvisioned", Kind::Transient, "try again in a moment"),
    (
        "NicReservedForAnotherVm",
        Kind::Transient,
        "a failed VM keeps its network interface for about three minutes; try again then",
    ),
    ("TooManyRequests", Kind::Throttled, "try again in a moment"),
    ("ResourceGroupBeingDeleted", Kind::Transient, "wait until the resource group is gone, and try again"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(status: u16, body: &Value) -> Fault {
        Fault::of_answer("making the machine", status, &HeaderMap::new(), &body.to_string())
    }

    #[test]
    fn a_plain_error_keeps_its_words() {
        let body = json!({"error": {"code": "ResourceNotFound", "message": "The Resource 'x' was not found.", "target": "x"}});
        let fault = fault(404, &body);
        assert!(fault.is_not_found());
        assert_eq!((fault.code.as_str(), fault.target.as_deref()), ("ResourceNotFound", Some("x")));
        let error = fault.into_error();
        assert_eq!(error.to_string(), "making the machine was refused: The Resource 'x' was not found.");
        assert_eq!(error.kind(), Kind::Refused);
    }

    #[test]
    fn json_inside_a_string_is_read_to_the_bottom() {
        let innermost = json!({"error": {"code": "OperationNotAllowed", "message":
            "Operation could not be completed as it results in exceeding approved Total Regional Cores quota."}});
        let body = json!({"error": {"code": "DeploymentFailed", "message": "At least one operation failed.",
            "details": [{"code": "BadRequest", "message": innermost.to_string()}]}});
        let fault = fault(409, &body);
        assert!(fault.has("OperationNotAllowed") && fault.has("deploymentfailed"));
        let error = fault.into_error();
        assert_eq!(error.kind(), Kind::Quota);
        assert!(error.to_string().contains("Total Regional Cores"), "{error}");
        let facts: Vec<_> = error.facts().iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(facts, [("code", "OperationNotAllowed"), ("outer code", "DeploymentFailed")]);
    }

    #[test]
    fn every_other_shape_is_taken() {
        let token = fault(
            401,
            &json!({"error": "invalid_client", "error_description": "AADSTS7000222: expired. Trace ID: 1 Timestamp: now"}),
        );
        assert_eq!(token.code, "invalid_client");
        assert!(token.into_error().to_string().ends_with("AADSTS7000222: expired."));
        let bare = fault(400, &json!({"code": "BadRequest", "message": "no."}));
        assert_eq!(bare.code, "BadRequest");
        let page = Fault::of_answer("x", 502, &HeaderMap::new(), "<html>bad gateway</html>");
        assert_eq!(page.into_error().kind(), Kind::Transient);
        let empty = Fault::of_answer("x", 403, &HeaderMap::new(), "");
        assert_eq!(empty.into_error().to_string(), "x was refused with status 403");
    }

    #[test]
    fn a_nest_without_end_ends() {
        let mut body = json!({"code": "Deep", "message": "bottom"});
        for _ in 0..100 {
            body = json!({"code": "Level", "message": "m", "details": [body]});
        }
        assert!(fault(400, &json!({ "error": body })).details.len() <= DEEPEST + 2);
    }

    #[test]
    fn the_end_of_an_operation_never_promises_that_nothing_was_made() {
        let body =
            json!({"status": "Failed", "error": {"code": "OSProvisioningTimedOut", "message": "slow"}});
        let ended = Fault::of_operation("making it", "Failed", &body, &HeaderMap::new());
        assert_eq!(ended.clone().into_error().kind(), Kind::Failed);
        assert_eq!(ended.code, "OSProvisioningTimedOut");
        let silent = Fault::of_operation("making it", "Canceled", &json!({}), &HeaderMap::new());
        assert_eq!(silent.code, "Canceled");
    }

    #[test]
    fn waits_and_ids_are_facts() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        headers.insert("x-ms-request-id", "r-1".parse().unwrap());
        let error = Fault::of_answer("x", 429, &headers, "{}").into_error();
        assert_eq!((error.kind(), error.retry_after()), (Kind::Throttled, Some(Duration::from_secs(7))));
        assert!(error.facts().contains(&("request id", "r-1".to_owned())));
    }
}
