//! Token buckets: Resource Manager's, a subscription, principal and region, and the compute provider's, a subscription
//! and region and a resource. Figures as published. Whether they refill in the cloud's own time
//! or this computer's is the configuration's to say.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::ArmError;

/// A bucket's size and how fast it fills, in tokens a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    most: f64,
    refill: f64,
}

/// Every bucket that has been touched.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<String, (f64, Duration)>);

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Put,
    Update,
    Delete,
    LowCostGet,
    HighCostGet,
    Operation,
}

const READS: Size = Size { most: 250.0, refill: 25.0 };
const WRITES: Size = Size { most: 200.0, refill: 10.0 };
const DELETES: Size = Size { most: 200.0, refill: 10.0 };

impl Policy {
    /// As the headers name it.
    fn name(self) -> &'static str {
        match self {
            Self::Put => "PutVM",
            Self::Update => "UpdateVM",
            Self::Delete => "DeleteVM",
            Self::LowCostGet => "LowCostGet",
            Self::HighCostGet => "HighCostGet",
            Self::Operation => "GetOperation",
        }
    }

    /// The subscription's bucket.
    fn subscription(self) -> Size {
        let (most, a_minute) = match self {
            Self::Put | Self::Update | Self::Delete => (1500.0, 500.0),
            Self::LowCostGet => (24_000.0, 8000.0),
            Self::HighCostGet => (90.0, 30.0),
            Self::Operation => (15_000.0, 5000.0),
        };
        Size { most, refill: a_minute / 60.0 }
    }

    /// One resource's bucket.
    fn resource(self) -> Option<Size> {
        let (most, a_minute) = match self {
            Self::Put | Self::Update | Self::Delete => (12.0, 4.0),
            Self::LowCostGet => (36.0, 12.0),
            Self::Operation => (45.0, 15.0),
            Self::HighCostGet => return None,
        };
        Some(Size { most, refill: a_minute / 60.0 })
    }
}

impl Buckets {
    /// Takes a token: what remains, or how long until there is one.
    fn take(&mut self, key: &str, size: Size, now: Duration) -> Result<u32, Duration> {
        let (tokens, since) = self.0.entry(key.to_owned()).or_insert((size.most, now));
        *tokens = (*tokens + now.saturating_sub(*since).as_secs_f64() * size.refill).min(size.most);
        *since = now;
        if *tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - *tokens) / size.refill));
        }
        *tokens -= 1.0;
        Ok(*tokens as u32)
    }

    /// Counts a request against Resource Manager's buckets: the header that the answer must carry.
    pub(crate) fn arm(
        &mut self,
        method: &str,
        who: &str,
        now: Duration,
    ) -> Result<(String, String), ArmError> {
        let (kind, size) = match method {
            "GET" | "HEAD" => ("reads", READS),
            "DELETE" => ("deletes", DELETES),
            _ => ("writes", WRITES),
        };
        let header = format!("x-ms-ratelimit-remaining-subscription-{kind}");
        match self.take(&format!("{kind} {who}"), size, now) {
            Ok(left) => Ok((header, left.to_string())),
            Err(wait) => {
                let (seconds, kind) = (seconds(wait), kind.trim_end_matches('s'));
                let message = format!(
                    "Number of '{kind}' requests for subscription actor '{who}' exceeded. Please try again after \
                     '{seconds}' seconds after additional tokens are available. Refer to \
                     https://aka.ms/arm-throttling for additional information."
                );
                let refusal = ArmError::new(429, "SubscriptionRequestsThrottled", message);
                Err(refusal.header("retry-after", seconds.to_string()))
            }
        }
    }

    /// Counts a request against the compute provider's buckets: the header that the answer must carry.
    pub(crate) fn compute(
        &mut self,
        policy: Policy,
        region: &str,
        resource: &str,
        now: Duration,
    ) -> Result<(String, String), ArmError> {
        let name = policy.name();
        let mut left = Vec::new();
        if let Some(size) = policy.resource() {
            let key = format!("compute {name} {resource}");
            let tokens = self.take(&key, size, now).map_err(|wait| refusal(name, "Resource", size, wait))?;
            left.push(format!("Microsoft.Compute/{name}Resource;{tokens}"));
        }
        let size = policy.subscription();
        let tokens = self
            .take(&format!("compute {name} {region}"), size, now)
            .map_err(|wait| refusal(name, "Subscription", size, wait))?;
        left.push(format!("Microsoft.Compute/{name}Subscription;{tokens}"));
        Ok(("x-ms-ratelimit-remaining-resource".to_owned(), left.join(",")))
    }
}

fn seconds(wait: Duration) -> u64 {
    (wait.as_secs_f64().ceil() as u64).max(1)
}

fn refusal(name: &str, level: &str, size: Size, wait: Duration) -> ArmError {
    let message = format!(
        "{{\"operationGroup\":\"{name}{level}\",\"allowedRequestCount\":{},\"measuredRequestCount\":{}}}",
        size.most,
        size.most + 1.0
    );
    ArmError::new(
        429,
        "OperationNotAllowed",
        "The server rejected the request because too many requests have been received for this subscription.",
    )
    .detail("TooManyRequests", message)
    .header("retry-after", seconds(wait).to_string())
    .header("x-ms-ratelimit-remaining-resource", format!("Microsoft.Compute/{name}{level};0"))
}
