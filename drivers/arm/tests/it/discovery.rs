//! Finding out what an endpoint is, over HTTP.

use serde_json::{Value, json};
use wharf_arm::{Identity, Trust, discover};
use wharf_driver::{Kind, SystemClock};
use wharf_test_ports::Port;

use crate::service::{Service, ok};

fn old_shape() -> Value {
    json!({"galleryEndpoint": "https://gallery", "graphEndpoint": "https://graph",
        "authentication": {"loginEndpoint": "https://adfs.local.example/adfs", "audiences": ["https://management.local.example/id"]}})
}

#[tokio::test]
async fn the_newest_shape_is_asked_for_first_and_the_answer_is_kept() {
    let service = Service::start(|asked, _| match asked.query.as_str() {
        "api-version=2015-01-01" => ok(old_shape()),
        _ => (404, Vec::new(), json!({"error": {"code": "NotFound"}})),
    })
    .await;
    let (http, cache, clock) =
        (Trust::default().client().unwrap(), tempfile::tempdir().unwrap(), SystemClock::new());
    let cloud = discover(&http, &format!("{}/", service.url), cache.path(), &clock).await.unwrap();
    assert_eq!((cloud.identity, cloud.endpoint.as_str()), (Identity::AdFs, service.url.as_str()));
    let queries: Vec<_> = service.everything().iter().map(|asked| asked.query.clone()).collect();
    assert_eq!(queries, ["api-version=2022-09-01", "api-version=2015-01-01"]);
    let again = discover(&http, &service.url, cache.path(), &clock).await.unwrap();
    assert_eq!((again, service.everything().len()), (cloud, 2));
}

#[tokio::test]
async fn what_is_no_endpoint_is_refused_with_what_one_looks_like() {
    let service = Service::start(|_, _| ok(json!("<html>hello</html>"))).await;
    let (http, cache, clock) =
        (Trust::default().client().unwrap(), tempfile::tempdir().unwrap(), SystemClock::new());
    let error = discover(&http, &service.url, cache.path(), &clock).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("is no Azure Resource Manager"), "{error}");
    assert!(error.advice().unwrap().contains("https://management."));
    assert_eq!(service.everything().len(), 3);
    for plain in ["http://management.example", "ftp://x", "no address"] {
        assert_eq!(
            discover(&http, plain, cache.path(), &clock).await.unwrap_err().kind(),
            Kind::Refused,
            "{plain}"
        );
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_a_fault_may_pass() {
    let (http, cache, clock) =
        (Trust::default().client().unwrap(), tempfile::tempdir().unwrap(), SystemClock::new());
    let port = Port::reserve().unwrap();
    let nobody = format!("http://127.0.0.1:{}", port.number());
    let error = discover(&http, &nobody, cache.path(), &clock).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    let service = Service::start(|_, _| (503, Vec::new(), Value::Null)).await;
    let error = discover(&http, &service.url, cache.path(), &clock).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Transient, "{error}");
}
