//! A token server as registries delegate to: it knows people by password, and signs what they may do.
//!
//! Speaks the distribution project's token protocol: `GET /token?service=…&scope=repository:NAME:ACTIONS` with basic
//! authorization or none, `POST /token` with a refresh token. Tokens are JWTs signed with ES256, which carry the
//! certificate that the registry was told to trust.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, SigningKey as _};
use serde_json::{Value, json};

pub(crate) const SERVICE: &str = "the registry";
pub(crate) const ISSUER: &str = "the token server";
/// What follows a name in the token that stands for that person's password.
pub(crate) const REFRESH: &str = "'s refresh token";
/// The registry's own tolerance for clocks that differ.
const LEEWAY: u64 = 60;

/// Answers until the process ends, from whatever network namespace it was started in.
#[derive(Clone)]
pub(crate) struct TokenServer(Arc<Inner>);

struct Inner {
    key: KeyPair,
    certificate: rcgen::Certificate,
    address: String,
    behaviour: Mutex<Behaviour>,
    asked: Mutex<Vec<String>>,
}

/// How tokens are made from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behaviour {
    /// How long the registry takes a token.
    pub(crate) lifetime: Duration,
    /// Gives tokens that the registry takes no longer.
    pub(crate) expired: bool,
}

impl TokenServer {
    /// In the network namespace of the calling thread.
    pub(crate) fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, ISSUER);
        let certificate = params.self_signed(&key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let behaviour = Behaviour { lifetime: Duration::from_secs(300), expired: false };
        let this = Self(Arc::new(Inner {
            key,
            certificate,
            address: listener.local_addr().unwrap().to_string(),
            behaviour: Mutex::new(behaviour),
            asked: Mutex::default(),
        }));
        let server = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = server.clone();
                std::thread::spawn(move || server.converse(&stream.unwrap()));
            }
        });
        this
    }

    /// What the registry must trust.
    pub(crate) fn certificate(&self) -> String {
        self.0.certificate.pem()
    }

    /// The registry's section about us.
    pub(crate) fn section(&self, bundle: &str) -> String {
        let realm = format!("http://{}/token", self.0.address);
        format!(
            "auth: {{token: {{realm: \"{realm}\", service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {bundle}}}}}\n"
        )
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.0.behaviour.lock().unwrap() = behaviour;
    }

    /// What was asked since the last call: who, and for what.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.asked.lock().unwrap())
    }

    fn converse(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((head, body)) = read_request(&mut reader) {
            let answer = self.answer(&head, &body);
            let (status, answer) = match &answer {
                Ok(answer) => ("200 OK", answer),
                Err(refusal) => ("401 Unauthorized", refusal),
            };
            let text = answer.to_string();
            let sent = write!(
                &mut &*stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
            if sent.is_err() {
                return;
            }
        }
    }

    fn answer(&self, head: &str, body: &str) -> Result<Value, Value> {
        let target = head.split(' ').nth(1).unwrap();
        let query = if head.starts_with("POST") { body } else { target.split_once('?').unwrap().1 };
        let parameters: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap();
        let all = |key: &str| -> Vec<&str> {
            parameters.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect()
        };
        assert_eq!(all("service"), [SERVICE]);
        let who = match all("grant_type").as_slice() {
            ["refresh_token"] => all("refresh_token").first().and_then(|token| token.strip_suffix(REFRESH)),
            _ => person(head),
        };
        let scopes: Vec<&str> =
            all("scope").into_iter().flat_map(|scope| scope.split(' ')).filter(|s| !s.is_empty()).collect();
        self.0.asked.lock().unwrap().push(format!("{} {}", who.unwrap_or("?"), scopes.join(" ")));
        let Some(who) = who else {
            return Err(json!({"details": "incorrect username or password"}));
        };
        let access: Vec<Value> = scopes.iter().filter_map(|scope| granted(who, scope)).collect();
        let mut answer = json!({"token": self.token(who, &access)});
        if all("offline_token") == ["true"] && !who.is_empty() {
            answer["refresh_token"] = format!("{who}{REFRESH}").into();
        }
        Ok(answer)
    }

    fn token(&self, who: &str, access: &[Value]) -> String {
        let behaviour = *self.0.behaviour.lock().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let expires =
            if behaviour.expired { now - LEEWAY - 1 } else { now - LEEWAY + behaviour.lifetime.as_secs() };
        let chain = [STANDARD.encode(self.0.certificate.der())];
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": chain});
        let claims = json!({
            "iss": ISSUER, "sub": who, "aud": SERVICE, "exp": expires, "nbf": now - 600, "iat": now,
            "jti": "1", "access": access,
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.0.key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fixed(&signature)))
    }
}

/// Nobody in particular is the empty name; a wrong password is nobody at all.
fn person(head: &str) -> Option<&'static str> {
    let basic = head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case("authorization").then(|| value.trim_start_matches("Basic ").trim())
    });
    let Some(basic) = basic else { return Some("") };
    match STANDARD.decode(basic).unwrap().as_slice() {
        b"ann:secret" => Some("ann"),
        b"bob:secret" => Some("bob"),
        _ => None,
    }
}

/// Ann may do everything, bob may read, everybody may read what is public.
fn granted(who: &str, scope: &str) -> Option<Value> {
    let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
    let may = |action: &&str| match who {
        "ann" => true,
        "bob" => *action == "pull",
        _ => *action == "pull" && name.starts_with("public"),
    };
    let actions: Vec<&str> = actions.split(',').filter(may).collect();
    Some(json!({"type": "repository", "name": name, "actions": actions}))
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

/// From ASN.1's form of an ECDSA signature (two integers of any length) to the one of JWTs (32 bytes each).
fn fixed(signature: &[u8]) -> Vec<u8> {
    let mut rest = &signature[2..];
    let mut out = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend(number);
        rest = &rest[2 + length..];
    }
    out
}
