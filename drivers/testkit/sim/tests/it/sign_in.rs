//! Signing in, and how it is refused.

use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use wharf_sim::http::Answer;
use wharf_sim::{Flavour, IdentitySystem, OTHER_TENANT};

use crate::harness::{Client, client, code, config, header, message};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Entra's number for a refusal.
fn number(answer: &Answer) -> u64 {
    answer.body.as_ref().and_then(|body| body["error_codes"][0].as_u64()).unwrap_or_default()
}

fn token_at(client: &Client, tenant: &str, change: &[(&'static str, &str)]) -> Answer {
    let account = &client.config.account;
    let mut form = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", account.client.clone()),
        ("client_secret", account.secret.clone()),
        ("scope", format!("{}/.default", client.audience())),
    ];
    for (name, value) in change {
        form.retain(|(n, _)| n != name);
        form.push((name, (*value).to_owned()));
    }
    client.form(&format!("/{tenant}/oauth2/v2.0/token"), &form)
}

#[test]
fn entra_refuses_by_number() {
    let client = client(Flavour::Public);
    let account = client.config.account.clone();
    let at = |change: &[(&'static str, &str)]| number(&token_at(&client, &account.tenant, change));
    assert_eq!(at(&[]), 0);
    assert_eq!(at(&[("client_secret", "wrong")]), 7_000_215);
    assert_eq!(at(&[("client_secret", &account.expired_secret)]), 7_000_222);
    assert_eq!(at(&[("client_id", "00000000-0000-0000-0000-000000000000")]), 700_016);
    assert_eq!(at(&[("scope", "https://elsewhere.example/.default")]), 500_011);
    assert_eq!(at(&[("scope", "https://management.azure.com/")]), 1_002_012);
    assert_eq!(number(&token_at(&client, "11111111-1111-1111-1111-111111111111", &[])), 90002);
}

#[test]
fn a_token_must_be_for_here_and_of_this_tenant() {
    let client = client(Flavour::Public);
    let ask = |token: &str| {
        let bearer = format!("Bearer {token}");
        client.send("GET", "management.x", &client.at(&client.group("rg")), &[("authorization", &bearer)], "")
    };
    let token =
        |answer: Answer| answer.body.expect("a body")["access_token"].as_str().expect("a token").to_owned();
    let none = client.send("GET", "management.x", &client.at(&client.group("rg")), &[], "");
    assert_eq!((none.status, code(&none)), (401, "AuthenticationFailed"));
    assert!(header(&none, "www-authenticate").expect("the header").contains(&client.config.account.tenant));
    assert_eq!(code(&ask("a.b.c")), "InvalidAuthenticationToken");
    let other = token(token_at(&client, OTHER_TENANT, &[]));
    assert_eq!(code(&ask(&other)), "InvalidAuthenticationTokenTenant");
    let graph = token(token_at(
        &client,
        &client.config.account.tenant,
        &[("scope", "https://graph.example/.default")],
    ));
    assert_eq!(code(&ask(&graph)), "InvalidAuthenticationTokenAudience");
    let good = token(token_at(&client, &client.config.account.tenant, &[]));
    assert_eq!(code(&ask(&good)), "ResourceGroupNotFound");
    client.wait(3601);
    assert_eq!(code(&ask(&good)), "ExpiredAuthenticationToken");
    let subscription =
        client.sign_in().body.expect("a body")["access_token"].as_str().expect("a token").to_owned();
    let bearer = format!("Bearer {subscription}");
    let elsewhere =
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups?api-version=2021-04-01";
    let answer = client.send("GET", "management.x", elsewhere, &[("authorization", &bearer)], "");
    assert_eq!((answer.status, code(&answer)), (404, "SubscriptionNotFound"));
}

#[test]
fn adfs_has_no_tenant_in_its_path_and_no_scopes() {
    let hub = client(Flavour::Hub2020);
    let account = hub.config.account.clone();
    let form = |change: &[(&'static str, &str)]| {
        let mut form = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", account.client.clone()),
            ("client_secret", account.secret.clone()),
            ("resource", hub.audience()),
        ];
        for (name, value) in change {
            form.retain(|(n, _)| n != name);
            form.push((name, (*value).to_owned()));
        }
        form
    };
    assert_eq!(hub.form("/adfs/oauth2/token", &form(&[])).status, 200);
    assert_eq!(hub.form(&format!("/{}/oauth2/token", account.tenant), &form(&[])).status, 404);
    assert_eq!(hub.form("/adfs/oauth2/v2.0/token", &form(&[])).status, 404);
    let refused = |change: &[(&'static str, &str)]| {
        let answer = hub.form("/adfs/oauth2/token", &form(change));
        answer.body.expect("a body")["error"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(refused(&[("client_secret", "wrong")]), "invalid_client");
    assert_eq!(refused(&[("resource", "https://management.stamp1.localhost")]), "invalid_resource");
    // A scope is not a resource.
    let mut scoped = form(&[("scope", &format!("{}/.default", hub.audience()))]);
    scoped.retain(|(name, _)| *name != "resource");
    let answer = hub.form("/adfs/oauth2/token", &scoped);
    let why = answer.body.expect("a body")["error_description"].as_str().unwrap_or_default().to_owned();
    assert!(answer.status == 400 && why.starts_with("MSIS9605"), "{why}");
}

/// A certificate and what signs for it, made by openssl.
struct Certificate {
    folder: tempfile::TempDir,
}

impl Certificate {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let done = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=app", "-days", "30",
                "-keyout", "key.pem", "-out", "cert.pem",
            ])
            .current_dir(folder.path())
            .output()
            .expect("openssl");
        assert!(done.status.success(), "{done:?}");
        Self { folder }
    }

    fn sign(&self, claims: &Value) -> String {
        let pem = std::fs::read_to_string(self.folder.path().join("cert.pem")).expect("the certificate");
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        let header = json!({"alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(Sha1::digest(der))});
        let front =
            [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let (input, output) = (self.folder.path().join("front"), self.folder.path().join("signature"));
        std::fs::File::create(&input)
            .and_then(|mut file| std::io::Write::write_all(&mut file, front.as_bytes()))
            .expect("written");
        let done = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "front"])
            .current_dir(self.folder.path())
            .output()
            .expect("openssl");
        assert!(done.status.success(), "{done:?}");
        format!("{front}.{}", URL_SAFE_NO_PAD.encode(std::fs::read(output).expect("the signature")))
    }
}

#[test]
fn a_certificate_signs_in_and_every_claim_counts() {
    let (known, stranger) = (Certificate::new(), Certificate::new());
    for flavour in [Flavour::Public, Flavour::Hub2020] {
        let mut settings = config(flavour);
        settings.account.certificates = vec![known.folder.path().join("cert.pem")];
        let client = Client::new(settings);
        let account = client.config.account.clone();
        let (path, endpoint) = if client.hub() {
            (
                "/adfs/oauth2/token".to_owned(),
                "https://adfs.stamp1.localhost:443/adfs/oauth2/token".to_owned(),
            )
        } else {
            let path = format!("/{}/oauth2/v2.0/token", account.tenant);
            (path.clone(), format!("https://login.public.localhost:443{path}"))
        };
        let now = client.cloud.clock().today().unix_timestamp();
        let claims = json!({"aud": endpoint, "iss": account.client, "sub": account.client, "jti": "one", "nbf": now, "exp": now + 600});
        let present = |assertion: String| {
            client.form(
                &path,
                &[
                    ("grant_type", "client_credentials".to_owned()),
                    ("client_id", account.client.clone()),
                    ("client_assertion_type", ASSERTION.to_owned()),
                    ("client_assertion", assertion),
                    ("scope", format!("{}/.default", client.audience())),
                    ("resource", client.audience()),
                ],
            )
        };
        let good = known.sign(&claims);
        assert_eq!(present(good.clone()).status, 200, "{flavour}");
        assert_ne!(present(good).status, 200, "an assertion is good once");
        assert_ne!(present(stranger.sign(&claims)).status, 200, "an unknown certificate");
        for (claim, value) in [
            ("aud", json!("https://login.elsewhere.example/token")),
            ("iss", json!("somebody")),
            ("exp", json!(now - 1)),
            ("exp", json!(now + 86_400)),
            ("jti", json!(null)),
        ] {
            let mut claims = claims.clone();
            claims["jti"] = json!(format!("{claim} {value}"));
            claims[claim] = value.clone();
            assert_ne!(present(known.sign(&claims)).status, 200, "{flavour}: {claim} = {value}");
        }
        let mut forged = known.sign(&{
            let mut claims = claims.clone();
            claims["jti"] = json!("forged");
            claims
        });
        forged.replace_range(forged.len() - 8.., "AAAAAAAA");
        assert_ne!(present(forged).status, 200, "a broken signature");
    }
}

#[test]
fn a_ci_jobs_token_is_exchanged() {
    let client = client(Flavour::Public);
    let subject = client.config.account.federated_subject.clone();
    let (minute, audience) = (Duration::from_secs(60), "api://AzureADTokenExchange");
    let exchange = |token: String| {
        let tenant = client.config.account.tenant.clone();
        token_at(
            &client,
            &tenant,
            &[("client_assertion", token.as_str()), ("client_assertion_type", ASSERTION)],
        )
    };
    assert_eq!(exchange(client.cloud.ci_token(&subject, audience, minute)).status, 200);
    assert_eq!(number(&exchange(client.cloud.ci_token("repo:other/thing", audience, minute))), 700_213);
    assert_eq!(number(&exchange(client.cloud.ci_token(&subject, "https://elsewhere", minute))), 700_212);
    let old = client.cloud.ci_token(&subject, audience, minute);
    client.wait(61);
    assert_eq!(number(&exchange(old)), 700_024);
}

#[test]
fn a_person_signs_in_by_device_code() {
    let client = client(Flavour::Public);
    let tenant = &client.config.account.tenant;
    let scope = format!("{}/.default offline_access", client.audience());
    let asked = client.form(
        &format!("/{tenant}/oauth2/v2.0/devicecode"),
        &[("client_id", "any".to_owned()), ("scope", scope.clone())],
    );
    let device = asked.body.expect("a body");
    let poll = || {
        client.form(
            &format!("/{tenant}/oauth2/v2.0/token"),
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code".to_owned()),
                ("client_id", "any".to_owned()),
                // The scope was said when the code was asked for.
                ("device_code", device["device_code"].as_str().expect("a code").to_owned()),
            ],
        )
    };
    assert_eq!(poll().body.expect("a body")["error"], "authorization_pending");
    client.cloud.approve_device_codes();
    let given = poll().body.expect("a body");
    let refresh = given["refresh_token"].as_str().expect("a refresh token").to_owned();
    let refreshed = client.form(
        &format!("/{tenant}/oauth2/v2.0/token"),
        &[
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", "any".to_owned()),
            ("refresh_token", refresh),
            ("scope", scope.clone()),
        ],
    );
    assert_eq!(refreshed.status, 200);
}

#[test]
fn a_connected_stamp_signs_in_with_entra() {
    let mut settings = config(Flavour::Hub2020);
    settings.identity = IdentitySystem::Entra;
    let cloud = wharf_sim::Cloud::offline(settings.clone()).expect("a cloud");
    let call = wharf_sim::http::Call::new(
        "GET",
        "management.x",
        "/metadata/endpoints",
        "api-version=2015-01-01",
        http::HeaderMap::new(),
        bytes::Bytes::new(),
    );
    let wharf_sim::http::Outcome::Answer(answer, _) = cloud.handle(&call) else { panic!("cut") };
    let body = answer.body.expect("a body");
    assert!(!body["authentication"]["loginEndpoint"].as_str().expect("text").contains("adfs"));
    assert!(
        body.get("resourceManager").is_none() && body.get("suffixes").is_none() && body.get("name").is_none()
    );
}

#[test]
fn an_endpoint_that_is_none_says_so() {
    let client = client(Flavour::Hub2020);
    let newer = client.send("GET", "management.x", "/metadata/endpoints?api-version=2022-09-01", &[], "");
    assert_eq!((newer.status, code(&newer)), (400, "InvalidApiVersionParameter"));
    assert!(message(&newer).contains("2015-01-01"));
}
