//! What EC2 says when something is wrong, as a kind, a message and a hint. Every code that its callers meet in practice
//! is in one table; `Client.` and `Server.` in front of a code only say whose fault it is.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use wharf_driver::{Error, Kind, Result};

/// What a call came to when it did not succeed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// EC2 answered, and refused.
    Said(Fault),
    /// No answer came, or the call could not be made.
    Lost(Error),
}

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// The action, such as `RunInstances`.
    pub(crate) api: &'static str,
    /// The service that it is of, as permissions spell it.
    pub(crate) service: &'static str,
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request: Option<String>,
}

impl Trouble {
    /// Sorts what the SDK returns.
    pub(crate) fn of<E>(service: &'static str, api: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map_or(0, |answer| answer.status().as_u16());
        if let SdkError::ServiceError(_) = &error {
            let meta = error.meta();
            return Self::Said(Fault {
                api,
                service,
                status,
                code: meta.code().unwrap_or_default().to_owned(),
                message: meta.message().unwrap_or("it does not say why").to_owned(),
                request: meta.extra("aws_request_id").map(str::to_owned),
            });
        }
        Self::Lost(lost(service, api, error))
    }

    /// Whether it is this refusal.
    pub(crate) fn is(&self, code: &str) -> bool {
        matches!(self, Self::Said(fault) if fault.code == code)
    }

    /// Whether it says that something is not there (yet).
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Said(fault) if fault.is_not_found())
    }

    /// What became of the one call that would have made something: a clear no leaves nothing.
    pub(crate) fn of_making(self) -> Error {
        match self {
            Self::Said(fault) if fault.is_no() => fault.into_error().leaving_nothing(),
            trouble => trouble.into(),
        }
    }
}

impl Fault {
    fn is_not_found(&self) -> bool {
        self.code.ends_with(".NotFound")
    }

    /// Whether a zone has no room for the machine, and another one may.
    pub(crate) fn is_capacity(&self) -> bool {
        CAPACITY.contains(&self.code.as_str())
    }

    /// Whether the call was not carried out, and will not be: what fails on the way may have been.
    fn is_no(&self) -> bool {
        self.status < 500 || self.is_capacity() || judge(&self.code, self.status).0 == Kind::Throttled
    }

    /// As what the engine branches on.
    pub(crate) fn into_error(self) -> Error {
        let (kind, hint) = judge(&self.code, self.status);
        let Self { api, service, code, message, request, .. } = &self;
        let sentence = message.trim_end_matches('.');
        let text = match kind {
            Kind::NotAllowed if DENIED.contains(&code.as_str()) => {
                format!("the account may not {service}:{api}: {sentence}")
            }
            _ if code.is_empty() => format!("{api} failed with status {}: {sentence}", self.status),
            _ => format!("{api} was refused: {sentence} ({code})"),
        };
        let mut error = Error::new(kind, text).fact("code", code.clone());
        if let Some(request) = request {
            error = error.fact("request", request.clone());
        }
        if hint.is_empty() { error } else { error.hint(hint) }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Said(fault) => fault.into_error(),
            Trouble::Lost(error) => error,
        }
    }
}

fn lost<E>(service: &str, api: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    let why = deepest(&error);
    match &error {
        // Before anything is sent, the SDK asks for credentials.
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_)
            if mentions(&error, &["credential", "identity", "token", "profile"]) =>
        {
            no_credentials(&error).caused_by(error)
        }
        // Cut off in the middle of its answer.
        SdkError::ResponseError(_) => {
            Error::new(Kind::Transient, format!("the answer to {api} was cut off: {why}")).caused_by(error)
        }
        SdkError::TimeoutError(_) => {
            Error::new(Kind::Transient, format!("{service} did not answer {api} in time")).caused_by(error)
        }
        SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
            Error::new(Kind::Unreachable, format!("{service} cannot be reached for {api}: {why}"))
                .hint("check the region or --aws-endpoint-url, this computer's network, and HTTPS_PROXY")
                .caused_by(error)
        }
        // The connection ended in the middle; whatever was asked for may have been done.
        SdkError::DispatchFailure(failure) if !failure.is_user() => {
            Error::new(Kind::Transient, format!("the connection for {api} was cut: {why}")).caused_by(error)
        }
        _ => Error::new(Kind::Failed, format!("{api} could not be called: {why}")).caused_by(error),
    }
}

/// That nobody could be signed in as.
pub(crate) fn no_credentials(error: &dyn std::error::Error) -> Error {
    Error::new(Kind::NotAllowed, format!("no credentials for AWS: {}", deepest(error))).hint(SIGN_IN)
}

/// Whether any cause speaks of one of the words.
fn mentions(error: &dyn std::error::Error, words: &[&str]) -> bool {
    let mut cause = Some(error);
    while let Some(one) = cause {
        let text = one.to_string().to_ascii_lowercase();
        if words.iter().any(|word| text.contains(word)) {
            return true;
        }
        cause = one.source();
    }
    false
}

/// What happened, in the words of the first cause.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// How to sign in.
pub(crate) const SIGN_IN: &str =
    "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`";
const DENIED: &[&str] = &["UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "OptInRequired"];
const CAPACITY: &[&str] = &[
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "InsufficientCapacity",
];

/// The kind of a refusal and what to do about it.
fn judge(code: &str, status: u16) -> (Kind, &'static str) {
    match code {
        "AuthFailure" | "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => (
            Kind::NotAllowed,
            "check the access key and its secret; the key may be of another partition, disabled, or mistyped",
        ),
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => (
            Kind::NotAllowed,
            "the secret key does not fit the access key; and this computer's clock must not be wrong",
        ),
        "RequestExpired" => (
            Kind::NotAllowed,
            "sign in again, as with `aws sso login`; and this computer's clock must not be wrong",
        ),
        "ExpiredToken" | "ExpiredTokenException" => {
            (Kind::NotAllowed, "sign in again, as with `aws sso login`, or ask for a new session token")
        }
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            (Kind::NotAllowed, "ask whoever manages the account for a policy that allows this action")
        }
        "OptInRequired" => (Kind::NotAllowed, "the account has not accepted this image or region yet"),
        "RequestLimitExceeded" | "Throttling" | "ThrottlingException" | "EC2ThrottledException" => {
            (Kind::Throttled, "")
        }
        _ if CAPACITY.contains(&code) => (
            Kind::Quota,
            "try another --aws-instance-type or --aws-zone, or leave the zone open, or try later",
        ),
        "InsufficientFreeAddressesInSubnet" => (Kind::Quota, "name another subnet with --aws-subnet-id"),
        "VcpuLimitExceeded" | "InstanceLimitExceeded" | "MaxSpotInstanceCountExceeded" => {
            (Kind::Quota, "remove machines, take a smaller type, or ask for more with Service Quotas")
        }
        "SpotMaxPriceTooLow" => {
            (Kind::Quota, "leave --aws-spot-price out, which pays no more than the usual price")
        }
        _ if code.ends_with("LimitExceeded") || code.ends_with("QuotaExceeded") => {
            (Kind::Quota, "remove what is not needed, or ask for more with Service Quotas")
        }
        "InternalError" | "InternalFailure" | "ServiceUnavailable" | "Unavailable" | "RequestTimeout" => {
            (Kind::Transient, "")
        }
        "VPCIdNotSpecified" => (Kind::Refused, "name a network with --aws-vpc-id or --aws-subnet-id"),
        _ if status >= 500 => (Kind::Transient, ""),
        _ if status == 429 => (Kind::Throttled, ""),
        _ if code.ends_with(".NotFound") => (Kind::Failed, "it may have been removed meanwhile"),
        _ if code.starts_with("Invalid")
            || code.starts_with("Missing")
            || code.starts_with("Unsupported") =>
        {
            (Kind::Refused, "")
        }
        _ => (Kind::Failed, ""),
    }
}

/// Calls one action.
///
/// # Errors
/// What it was refused with, or why no answer came.
pub(crate) fn sort<T, E>(
    service: &'static str,
    api: &'static str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<T, Trouble>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    answer.map_err(|error| Trouble::of(service, api, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, status: u16) -> Error {
        Fault {
            api: "RunInstances",
            service: "ec2",
            status,
            code: code.to_owned(),
            message: "It is so.".to_owned(),
            request: None,
        }
        .into_error()
    }

    #[test]
    fn every_refusal_has_its_kind() {
        for (code, status, kind) in [
            ("UnauthorizedOperation", 403, Kind::NotAllowed),
            ("ExpiredToken", 400, Kind::NotAllowed),
            ("RequestLimitExceeded", 503, Kind::Throttled),
            ("InsufficientInstanceCapacity", 500, Kind::Quota),
            ("VcpuLimitExceeded", 400, Kind::Quota),
            ("SecurityGroupLimitExceeded", 400, Kind::Quota),
            ("Unavailable", 503, Kind::Transient),
            ("", 502, Kind::Transient),
            ("InvalidParameterValue", 400, Kind::Refused),
            ("InvalidInstanceID.NotFound", 400, Kind::Failed),
            ("SomethingNew", 400, Kind::Failed),
        ] {
            assert_eq!(error(code, status).kind(), kind, "{code}");
        }
    }

    #[test]
    fn who_may_not_is_told_what() {
        let error = error("UnauthorizedOperation", 403);
        assert_eq!(error.to_string(), "the account may not ec2:RunInstances: It is so");
        assert!(error.advice().is_some());
    }
}
