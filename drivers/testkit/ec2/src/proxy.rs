//! The HTTP in between: calls come in, are read, and go on to moto.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The way to moto, as one account.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
    account: String,
    busy: Arc<Mutex<Busy>>,
}

/// For how long moto had calls to answer, however many at once.
#[derive(Debug, Default)]
struct Busy {
    calls: usize,
    since: Option<Instant>,
    before: Duration,
}

impl Busy {
    fn all(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// One call that moto has.
struct Computing(Arc<Mutex<Busy>>);

impl Computing {
    fn new(busy: &Arc<Mutex<Busy>>) -> Self {
        let mut now = busy.lock().unwrap_or_else(PoisonError::into_inner);
        now.calls += 1;
        now.since.get_or_insert_with(Instant::now);
        drop(now);
        Self(Arc::clone(busy))
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.calls -= 1;
        if now.calls == 0 {
            now.before = now.all();
            now.since = None;
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The parameters of a call, by name.
pub(crate) type Params = BTreeMap<String, String>;

impl Upstream {
    pub(crate) fn new(address: String, account: String) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, address, account, busy: Arc::default() }
    }

    /// For how long moto has computed for this account.
    pub(crate) fn computed(&self) -> Duration {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    /// Sends a call on, signed as it came.
    pub(crate) async fn send(&self, headers: &HeaderMap, body: String) -> Answer {
        let _computing = Computing::new(&self.busy);
        let mut request = Request::builder().method("POST").uri(format!("http://{}/", self.address));
        for name in ["authorization", "content-type", "x-amz-target", "x-amz-date", "x-amz-security-token"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let request = request.header("x-moto-account-id", &self.account).body(Full::new(Bytes::from(body)));
        let Ok(request) = request else { return Answer::broken("no request") };
        let answer = match self.client.request(request).await {
            Ok(answer) => answer,
            Err(error) => return Answer::broken(&error.to_string()),
        };
        let status = answer.status().as_u16();
        match answer.into_body().collect().await {
            Ok(body) => Answer { status, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() },
            Err(error) => Answer::broken(&error.to_string()),
        }
    }

    /// Asks moto something on the simulator's own account.
    pub(crate) async fn ask(&self, service: &str, params: &[(&str, &str)]) -> Answer {
        let mut headers = HeaderMap::new();
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=SIMULATOR/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let form = http::HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert("content-type", form);
        if let Ok(scope) = scope.parse() {
            headers.insert("authorization", scope);
        }
        self.send(&headers, serde_urlencoded::to_string(params).unwrap_or_default()).await
    }
}

impl Answer {
    fn broken(why: &str) -> Self {
        Self { status: 500, body: format!("the simulator cannot reach moto: {why}") }
    }

    /// A refusal of EC2's.
    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>simulated</RequestID></Response>"
        );
        Self { status, body }
    }

    /// A refusal of other services'.
    pub(crate) fn other_refusal(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>simulated</RequestId></ErrorResponse>"
        );
        Self { status, body }
    }

    /// A refusal in the words of `service`.
    pub(crate) fn refusal_of(service: &str, status: u16, code: &str, message: &str) -> Self {
        match service {
            "ec2" => Self::refusal(status, code, message),
            "ssm" => Self::json_refusal(status, code, message),
            _ => Self::other_refusal(status, code, message),
        }
    }

    /// A refusal of services that speak JSON.
    pub(crate) fn json_refusal(status: u16, code: &str, message: &str) -> Self {
        Self { status, body: serde_json::json!({ "__type": code, "message": message }).to_string() }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status < 300
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        response
    }
}

/// An answer whose connection is cut before its end.
pub(crate) fn cut() -> Response {
    let cut = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut by a fault");
    Response::new(Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(cut)])))
}
