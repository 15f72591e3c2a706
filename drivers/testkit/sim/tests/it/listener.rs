//! The cloud over real connections: TLS with its own CA, names, the proxy, the metadata service and the controls.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharf_sim::{Clock, Config, Flavour, Naming, Simulator};

async fn simulator(flavour: Flavour, names: Naming) -> Simulator {
    let mut config = Config::new(flavour, Clock::real(time::OffsetDateTime::now_utc(), 0.01));
    let free: SocketAddr = ([127, 0, 0, 1], 0).into();
    (config.proxy, config.metadata, config.control) = (Some(free), Some(free), Some(free));
    config.names = names;
    Simulator::start(config).await.expect("a simulator")
}

/// A client that trusts the simulator's CA alone and comes through its proxy.
fn client(simulator: &Simulator) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(simulator.ca()).expect("the CA");
    let ca = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    let proxy = format!("http://{}", simulator.proxy().expect("a proxy"));
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .proxy(reqwest::Proxy::https(proxy).expect("a proxy"))
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client")
}

async fn sign_in(simulator: &Simulator, client: &reqwest::Client) -> String {
    let account = &simulator.config().account;
    let scope = format!("{}/.default", simulator.audience());
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &account.client),
        ("client_secret", &account.secret),
        ("scope", &scope),
    ];
    let url = format!("{}/{}/oauth2/v2.0/token", simulator.login(), account.tenant);
    let body = serde_urlencoded::to_string(form).expect("a form");
    let request = client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer: Value = request.send().await.expect("an answer").json().await.expect("json");
    answer["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_client_with_the_real_names_finds_the_cloud_through_the_proxy() {
    let simulator = simulator(Flavour::Public, Naming::Real).await;
    let client = client(&simulator);
    let url = "https://management.azure.com/metadata/endpoints?api-version=2022-09-01";
    let told: Value = client.get(url).send().await.expect("an answer").json().await.expect("json");
    assert_eq!(told["resourceManager"], "https://management.azure.com/");
    assert_eq!(told["authentication"]["loginEndpoint"], "https://login.microsoftonline.com/");
    let token = sign_in(&simulator, &client).await;
    let url = "https://management.azure.com/subscriptions?api-version=2022-12-01";
    let list = client.get(url).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(list.status(), 200);
}

#[tokio::test]
async fn a_client_without_the_ca_is_not_served() {
    let simulator = simulator(Flavour::Hub2020, Naming::Below("localhost".to_owned())).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxy = format!("http://{}", simulator.proxy().expect("a proxy"));
    let other = rcgen::generate_simple_self_signed(vec!["other".to_owned()]).expect("a certificate");
    let other = reqwest::Certificate::from_pem(other.cert.pem().as_bytes()).expect("a certificate");
    let stranger = reqwest::Client::builder()
        .tls_certs_only([other])
        .proxy(reqwest::Proxy::https(proxy).expect("a proxy"))
        .build()
        .expect("a client");
    let url = format!("{}/metadata/endpoints?api-version=2015-01-01", simulator.endpoint());
    assert!(stranger.get(&url).send().await.is_err());
    assert_eq!(client(&simulator).get(&url).send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_cut_reaches_the_client_as_one() {
    let simulator = simulator(Flavour::Public, Naming::Below("localhost".to_owned())).await;
    let client = client(&simulator);
    let token = sign_in(&simulator, &client).await;
    let control = format!("http://{}", simulator.control().expect("controls"));
    let plain = reqwest::Client::builder().no_proxy().build().expect("a client");
    let fault = json!({"method": "PUT", "path": "/resourcegroups/", "times": 1, "effect": {"kind": "cutLate", "seconds": 10.0}});
    let answer =
        plain.post(format!("{control}/faults")).body(fault.to_string()).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    let subscription = &simulator.config().account.subscription;
    let group = format!(
        "{}/subscriptions/{subscription}/resourcegroups/late?api-version=2024-03-01",
        simulator.endpoint()
    );
    let put = client
        .put(&group)
        .bearer_auth(&token)
        .header("content-type", "application/json")
        .body("{\"location\": \"eastus\"}");
    put.send().await.expect_err("the connection is cut");
    let deadline = Instant::now() + Duration::from_secs(20);
    while client.get(&group).bearer_auth(&token).send().await.expect("an answer").status() != 200 {
        assert!(Instant::now() < deadline, "the cut request was never carried out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let counts: Value =
        plain.get(format!("{control}/counts")).send().await.expect("an answer").json().await.expect("json");
    assert_eq!(counts["PUT resourceGroups"], 1);
    let bad = plain.post(format!("{control}/faults")).body("{\"efect\": 1}").send().await.expect("an answer");
    assert_eq!(bad.status(), 400);
}

#[tokio::test]
async fn the_metadata_service_gives_tokens_to_machines_and_a_stamp_has_none() {
    let plain = reqwest::Client::builder().no_proxy().build().expect("a client");
    let public = simulator(Flavour::Public, Naming::Below("localhost".to_owned())).await;
    let at = |simulator: &Simulator| {
        let address = simulator.metadata().expect("the service");
        format!(
            "http://{address}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"
        )
    };
    let asked = plain.get(at(&public)).header("Metadata", "true").send().await.expect("an answer");
    let body: Value = asked.json().await.expect("json");
    let subscription = &public.config().account.subscription;
    let url = format!("{}/subscriptions/{subscription}?api-version=2022-12-01", public.endpoint());
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(client(&public).get(url).bearer_auth(token).send().await.expect("an answer").status(), 200);
    assert_eq!(plain.get(at(&public)).send().await.expect("an answer").status(), 400, "without the header");
    let hub = simulator(Flavour::Hub2020, Naming::Below("localhost".to_owned())).await;
    assert_eq!(plain.get(at(&hub)).header("Metadata", "true").send().await.expect("an answer").status(), 404);
}
