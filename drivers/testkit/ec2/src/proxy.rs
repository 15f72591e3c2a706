//! The HTTP in between: calls come in, are read, and go on to moto.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

const PAUSE: Duration = Duration::from_millis(10);

/// The way to moto, as one account.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    socket: PathBuf,
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
    pub(crate) fn new(socket: &Path, account: String) -> Self {
        Self { socket: socket.to_owned(), account, busy: Arc::default() }
    }

    /// For how long moto has computed for this account.
    pub(crate) fn computed(&self) -> Duration {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    /// Sends a call on, signed as it came.
    pub(crate) async fn send(&self, headers: &HeaderMap, body: String) -> Answer {
        let _computing = Computing::new(&self.busy);
        let mut request = Request::builder().method("POST").uri("/").header("host", "localhost");
        for name in ["authorization", "content-type", "x-amz-target", "x-amz-date", "x-amz-security-token"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let request = request.header("x-moto-account-id", &self.account).body(Full::new(Bytes::from(body)));
        let Ok(request) = request else { return Answer::broken("no request") };
        self.exchange(request).await.unwrap_or_else(|error| Answer::broken(&error.to_string()))
    }

    /// A call by a connection of its own, since moto keeps none.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let stream = loop {
            match UnixStream::connect(&self.socket).await {
                // So many wait already; a socket of TCP would wait by itself.
                Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::time::sleep(PAUSE).await,
                connected => break connected?,
            }
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
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
    let cut = std::io::Error::new(ErrorKind::ConnectionReset, "cut by a fault");
    Response::new(Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(cut)])))
}
