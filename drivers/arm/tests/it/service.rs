//! The scripted service, the clock that runs ahead, and a connection to both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use wharf_arm::{Arm, Cloud, Credential, Identity, SignIn, Tested, Trust};
use wharf_driver::{Clock, Secret, Session};

pub(crate) const VM: &str = "Microsoft.Compute/virtualMachines";
pub(crate) const NIC: &str = "Microsoft.Network/networkInterfaces";
pub(crate) const SUBSCRIPTION: &str = "5ab5c4b6-0000-4000-8000-000000000001";

pub(crate) const TESTED: Tested =
    Tested(&[(VM, &["2017-12-01", "2020-06-01", "2024-07-01"]), (NIC, &["2018-11-01"])]);

/// What came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A field of a form.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let url: reqwest::Url = format!("http://x/?{}", self.body).parse().unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// What goes out: status, headers, body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, Value);
type Script = dyn Fn(&Asked, usize) -> Answer + Send + Sync;

/// The service. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Script>,
}

impl Service {
    /// Answers by `script`, which is told how many requests of the same method and path came before.
    pub(crate) async fn start(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Self { url, asked: Arc::default(), script: Arc::new(script) };
        let app = axum::Router::new().fallback(answer).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        service
    }

    /// Everything that was asked, but for tokens and versions.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let own = |asked: &&Asked| !asked.path.starts_with("/login/") && !asked.path.ends_with("/providers");
        self.asked.lock().unwrap().iter().filter(own).cloned().collect()
    }

    /// Everything that was asked at all.
    pub(crate) fn everything(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// `METHOD path` of what was asked.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }

    pub(crate) fn cloud(&self) -> Cloud {
        Cloud {
            endpoint: self.url.clone(),
            name: None,
            login: format!("{}/login", self.url),
            identity: Identity::Entra,
            audience: "https://management.example/".to_owned(),
            tenant: None,
            location: None,
            suffix: "example".to_owned(),
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.connect_as(Arc::new(SignIn::new(
            Trust::default().client().unwrap(),
            self.cloud(),
            Some("tenant".to_owned()),
            Credential::Secret { client: "app".to_owned(), secret: Secret::new("s3cret".to_owned()) },
            Session::default(),
        )))
        .await
    }

    pub(crate) async fn connect_as(&self, sign_in: Arc<SignIn>) -> Connection {
        let clock = Arc::new(Ahead::default());
        let cache = tempfile::tempdir().unwrap();
        let session = Session::new(Arc::clone(&clock) as _);
        let http = Trust::default().client().unwrap();
        let arm =
            Arm::connect(http, sign_in, self.cloud(), SUBSCRIPTION.to_owned(), TESTED, cache.path(), session);
        Connection { arm: arm.await.unwrap(), clock, _cache: cache }
    }
}

/// A connection whose time runs ahead.
pub(crate) struct Connection {
    pub(crate) arm: Arm,
    pub(crate) clock: Arc<Ahead>,
    _cache: tempfile::TempDir,
}

impl Connection {
    pub(crate) fn in_seconds(&self, seconds: u64) -> Instant {
        self.clock.now() + Duration::from_secs(seconds)
    }
}

/// A clock on which waiting takes no time and moves everything on.
#[derive(Debug)]
pub(crate) struct Ahead {
    began: Instant,
    ahead: Mutex<Duration>,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { began: Instant::now(), ahead: Mutex::default() }
    }
}

impl Ahead {
    pub(crate) fn passed(&self) -> Duration {
        *self.ahead.lock().unwrap()
    }
}

impl Clock for Ahead {
    fn wall(&self) -> SystemTime {
        SystemTime::now() + self.passed()
    }

    fn now(&self) -> Instant {
        self.began + self.passed()
    }

    fn sleep(&self, pause: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        *self.ahead.lock().unwrap() += pause;
        Box::pin(tokio::task::yield_now())
    }
}

/// What a token endpoint and the list of providers answer when nothing is wrong.
pub(crate) fn usual(asked: &Asked) -> Option<Answer> {
    if asked.path.starts_with("/login/") {
        return Some(ok(json!({"access_token": "tok", "expires_in": 3600, "token_type": "Bearer"})));
    }
    asked.path.ends_with("/providers").then(|| ok(providers("Registered")))
}

pub(crate) fn providers(state: &str) -> Value {
    json!({"value": [
        {"namespace": "Microsoft.Compute", "registrationState": state, "resourceTypes": [
            {"resourceType": "virtualMachines", "apiVersions": ["2024-07-01", "2020-06-01", "2017-12-01"], "locations": ["here"]}]},
        {"namespace": "Microsoft.Network", "registrationState": "Registered", "resourceTypes": [
            {"resourceType": "networkInterfaces", "apiVersions": ["2018-11-01"]}]},
    ]})
}

pub(crate) fn ok(body: Value) -> Answer {
    (200, Vec::new(), body)
}

pub(crate) fn refused(status: u16, code: &str, message: &str) -> Answer {
    (status, Vec::new(), json!({"error": {"code": code, "message": message}}))
}

async fn answer(State(service): State<Service>, request: Request<Body>) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap_or_default().to_owned())
    };
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(header).collect(),
        body: String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap(),
    };
    let before = {
        let mut all = service.asked.lock().unwrap();
        let same = all.iter().filter(|one| one.method == asked.method && one.path == asked.path).count();
        all.push(asked.clone());
        same
    };
    let (status, headers, body) = (service.script)(&asked, before);
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    response.body(Body::from(body)).unwrap()
}
