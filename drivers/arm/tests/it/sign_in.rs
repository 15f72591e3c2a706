//! Every way to sign in, as the login endpoints see it.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wharf_arm::{Arm, Call, Credential, Federation, Identity, SignIn, Trust, ask_tenant};
use wharf_driver::{Error, Kind, Secret, Session};

use crate::service::{Ahead, Answer, Asked, SUBSCRIPTION, Service, TESTED, VM, ok, providers, usual};

const PEM: &[u8] = include_bytes!("../assertion.pem");

fn secret() -> Credential {
    Credential::Secret { client: "app".to_owned(), secret: Secret::new("s3cret".to_owned()) }
}

async fn login(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Service {
    Service::start(move |asked, _| {
        if asked.path.starts_with("/login") || asked.path.starts_with("/service") {
            return script(asked);
        }
        usual(asked).unwrap_or_else(|| ok(json!({})))
    })
    .await
}

/// Connects, which signs in; what was asked of the login endpoint.
async fn signed_in(
    service: &Service,
    identity: Identity,
    credential: Credential,
    session: Session,
) -> Result<Vec<Asked>, Error> {
    let mut cloud = service.cloud();
    cloud.identity = identity;
    if identity == Identity::AdFs {
        cloud.login.push_str("/adfs");
    }
    let http = Trust::default().client()?;
    let tenant = (identity == Identity::Entra).then(|| "tenant".to_owned());
    let sign_in = Arc::new(SignIn::new(http.clone(), cloud.clone(), tenant, credential, session.clone()));
    let cache = tempfile::tempdir().expect("folder");
    Arm::connect(http, sign_in, cloud, SUBSCRIPTION.to_owned(), TESTED, cache.path(), session).await?;
    Ok(service.everything().into_iter().filter(|asked| !asked.path.ends_with("/providers")).collect())
}

fn token() -> Value {
    json!({"access_token": "tok", "expires_in": 3600})
}

#[tokio::test]
async fn entra_is_asked_by_tenant_and_scope() {
    let service = login(|_| ok(token())).await;
    let asked = signed_in(&service, Identity::Entra, secret(), Session::default()).await.unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/login/tenant/oauth2/v2.0/token");
    assert_eq!(asked[0].field("scope").unwrap(), "https://management.example//.default", "byte for byte");
    assert_eq!(asked[0].field("client_secret").unwrap(), "s3cret");
    assert_eq!(asked[0].field("resource"), None);
}

#[tokio::test]
async fn ad_fs_is_asked_without_a_tenant_and_for_a_resource() {
    let service = login(|_| ok(token())).await;
    let asked = signed_in(&service, Identity::AdFs, secret(), Session::default()).await.unwrap();
    assert_eq!(asked[0].path, "/login/adfs/oauth2/token");
    assert_eq!(asked[0].field("resource").unwrap(), "https://management.example/");
    assert_eq!(asked[0].field("scope"), None);
}

#[tokio::test]
async fn a_certificate_signs_for_the_token_endpoint() {
    let service = login(|_| ok(token())).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(PEM).unwrap();
    let (client, file) = ("app".to_owned(), file.path().to_owned());
    let credential = Credential::Certificate { client, file, password: None };
    let asked = signed_in(&service, Identity::Entra, credential, Session::default()).await.unwrap();
    assert_eq!(asked[0].field("client_secret"), None);
    assert_eq!(
        asked[0].field("client_assertion_type").unwrap(),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert_eq!(asked[0].field("client_assertion").unwrap().split('.').count(), 3);
}

#[tokio::test]
async fn a_federated_token_comes_from_a_file_or_a_service() {
    let service = login(|asked| match asked.path.as_str() {
        "/service" => ok(json!({"value": "from the job"})),
        _ => ok(token()),
    })
    .await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"from the file\n").unwrap();
    let from = Federation::File(file.path().to_owned());
    let credential = Credential::Federated { client: "app".to_owned(), from };
    let asked = signed_in(&service, Identity::Entra, credential, Session::default()).await.unwrap();
    assert_eq!(asked[0].field("client_assertion").unwrap(), "from the file");
    let bearer = Secret::new("job".to_owned());
    let from = Federation::Service { url: format!("{}/service?run=1", service.url), bearer };
    let credential = Credential::Federated { client: "app".to_owned(), from };
    let asked = signed_in(&service, Identity::Entra, credential, Session::default()).await.unwrap();
    assert_eq!(asked[1].query, "run=1&audience=api%3A%2F%2FAzureADTokenExchange");
    assert_eq!(asked[1].headers["authorization"], "Bearer job");
    assert_eq!(asked[2].field("client_assertion").unwrap(), "from the job");
}

#[tokio::test]
async fn the_platforms_own_service_is_asked_for_the_managed_identity() {
    let service = login(|_| ok(json!({"access_token": "tok", "expires_in": "86399"}))).await;
    let header = Secret::new("opens it".to_owned());
    let credential = Credential::Managed {
        client: Some("mine".to_owned()),
        service: Some((format!("{}/service/token", service.url), header)),
    };
    let asked = signed_in(&service, Identity::Entra, credential, Session::default()).await.unwrap();
    assert_eq!(asked[0].headers["x-identity-header"], "opens it");
    assert!(asked[0].query.ends_with("resource=https%3A%2F%2Fmanagement.example%2F&client_id=mine"));
}

#[tokio::test]
async fn a_person_is_shown_a_code_and_waited_for() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let polls = Mutex::new(0);
    let service = login(move |asked| {
        if asked.path.ends_with("/devicecode") {
            return ok(
                json!({"device_code": "d", "user_code": "ABCD", "verification_uri": "https://example/device",
                "expires_in": 900, "interval": 5}),
            );
        }
        let mut polls = polls.lock().unwrap();
        *polls += 1;
        match *polls {
            1 => (400, Vec::new(), json!({"error": "authorization_pending"})),
            2 => (400, Vec::new(), json!({"error": "slow_down"})),
            _ => ok(token()),
        }
    })
    .await;
    let credential = || Credential::Device { client: "app".to_owned() };
    let nobody = signed_in(&service, Identity::Entra, credential(), Session::default()).await.unwrap_err();
    assert_eq!(nobody.kind(), Kind::NotAllowed);
    let heard = Arc::clone(&told);
    let session = Session::new(Arc::new(Ahead::default()))
        .with_person(move |what| heard.lock().unwrap().push(what.to_owned()));
    signed_in(&service, Identity::Entra, credential(), session).await.unwrap();
    assert_eq!(
        *told.lock().unwrap(),
        ["To sign in, open https://example/device in a browser and enter the code ABCD."]
    );
}

#[tokio::test]
async fn what_is_refused_says_what_to_do() {
    for (said, hint) in [
        ("AADSTS7000222: The provided client secret keys are expired.", "the secret has expired"),
        ("AADSTS90002: Tenant 'x' not found.", "there is no such tenant"),
        ("AADSTS9999999: something new.", "check tenant"),
    ] {
        let service =
            login(move |_| (401, Vec::new(), json!({"error": "invalid_client", "error_description": said})))
                .await;
        let error = signed_in(&service, Identity::Entra, secret(), Session::default()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotAllowed);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.advice().unwrap().starts_with(hint), "{:?}", error.advice());
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn a_passing_fault_of_the_login_endpoint_may_be_tried_again() {
    let service = login(|_| (503, Vec::new(), Value::Null)).await;
    let error = signed_in(&service, Identity::Entra, secret(), Session::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Transient);
}

#[tokio::test]
async fn many_calls_share_one_token() {
    let service = login(|_| ok(token())).await;
    let connection = service.connect().await;
    let call = Call::get("reading it", VM, "/subscriptions/s/x");
    let (one, two, three) =
        tokio::join!(connection.arm.find(&call), connection.arm.find(&call), connection.arm.find(&call));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    let tokens = service.everything().iter().filter(|asked| asked.path.starts_with("/login")).count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn the_tenant_of_a_subscription_is_named_by_the_refusal() {
    let service = Service::start(|asked, _| {
        let named =
            r#"Bearer authorization_uri="https://login.example/7c5b7a5e-0000/", error="invalid_token""#;
        match asked.path.ends_with("none") {
            false => (401, vec![("www-authenticate", named.to_owned())], Value::Null),
            true => (404, Vec::new(), providers("")),
        }
    })
    .await;
    let http = Trust::default().client().unwrap();
    assert_eq!(ask_tenant(&http, &service.cloud(), "some").await.unwrap(), "7c5b7a5e-0000");
    let none = ask_tenant(&http, &service.cloud(), "none").await.unwrap_err();
    assert_eq!(none.kind(), Kind::NotAllowed);
    assert!(none.to_string().contains("knows no subscription `none`"));
}
