//! Every way to sign in, against the simulated cloud: a machine's plan is made by whoever it lets in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use wharf_driver::{Error, Memory, Secret, Session};
use wharf_sim::Flavour;
use wharf_testkit::World as _;
use wharf_testkit::suite::Desk;

use crate::world::{Cloud, put};

/// Connects with nothing but this environment, and plans.
async fn plans(cloud: Cloud, environment: &[(&str, &str)], tell: Option<Tell>) -> Result<usize, Error> {
    let mut desk = Desk::new(cloud).await;
    let set = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut session = Session::new(desk.world.clock()).with_environment(set.collect());
    if let Some(tell) = tell {
        session = session.with_person(tell);
    }
    desk.cx.session = session;
    let driver = desk.world.factory().connect(desk.world.config(), &desk.cx).await?;
    Ok(driver.plan(&desk.spec, None, &desk.cx).await?.steps.len())
}

type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// A key and its certificate, one below the other, and the certificate by itself.
fn key_pair(folder: &std::path::Path) -> (String, std::path::PathBuf) {
    let (key, certificate) = (folder.join("key.pem"), folder.join("cert.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=trial", "-days", "30"])
        .args(["-keyout".as_ref(), key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let both = folder.join("both.pem");
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    put(&both, read(&certificate) + &read(&key));
    (both.display().to_string(), certificate)
}

#[tokio::test]
async fn a_certificate_signs_in_to_azure_and_to_a_stamp() {
    let folder = tempfile::tempdir().unwrap();
    let (both, certificate) = key_pair(folder.path());
    for flavour in [Flavour::Public, Flavour::Hub2020] {
        let known = vec![certificate.clone()];
        let cloud = Cloud::changed(flavour, |config| config.account.certificates = known);
        let client = cloud.simulator.config().account.client.clone();
        let set = [("AZURE_CLIENT_ID", client.as_str()), ("AZURE_CLIENT_CERTIFICATE_PATH", &both)];
        assert!(plans(cloud, &set, None).await.unwrap() > 0, "{flavour}");
        // Another key pair is nobody.
        let cloud = Cloud::new(flavour);
        assert!(plans(cloud, &set, None).await.is_err(), "{flavour}");
    }
}

#[tokio::test]
async fn a_file_in_pkcs12_signs_in_with_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let (both, certificate) = key_pair(folder.path());
    let file = folder.path().join("identity.pfx");
    let made = std::process::Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", "pass:open sesame", "-in", &both, "-out"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let file = file.display().to_string();
    let cloud =
        || Cloud::changed(Flavour::Public, |config| config.account.certificates = vec![certificate.clone()]);
    let client = cloud().simulator.config().account.client.clone();
    let set = |password| {
        [
            ("AZURE_CLIENT_ID", client.as_str()),
            ("AZURE_CLIENT_CERTIFICATE_PATH", &file),
            ("AZURE_CLIENT_CERTIFICATE_PASSWORD", password),
        ]
    };
    assert!(plans(cloud(), &set("open sesame"), None).await.unwrap() > 0);
    let error = plans(cloud(), &set(""), None).await.unwrap_err();
    assert_eq!(error.kind(), wharf_driver::Kind::NotAllowed, "{error:?}");
    let hint = error.advice().unwrap_or_default();
    assert!(hint.contains("AZURE_CLIENT_CERTIFICATE_PASSWORD") && hint.contains("openssl pkcs12"), "{hint}");
}

#[tokio::test]
async fn a_token_from_elsewhere_signs_in() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::new(Flavour::Public);
    let account = cloud.simulator.config().account.clone();
    let token = |subject: &str| {
        let audience = "api://AzureADTokenExchange";
        cloud.simulator.cloud().ci_token(subject, audience, Duration::from_secs(3600))
    };
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    put(&good, token(&account.federated_subject));
    put(&bad, token("repo:somebody/else:ref:refs/heads/main"));
    let (good, bad) = (good.display().to_string(), bad.display().to_string());
    let set = |file| [("AZURE_CLIENT_ID", account.client.as_str()), ("AZURE_FEDERATED_TOKEN_FILE", file)];
    assert!(plans(cloud, &set(&good), None).await.unwrap() > 0);
    let error = plans(Cloud::new(Flavour::Public), &set(&bad), None).await.unwrap_err();
    assert_eq!(error.kind(), wharf_driver::Kind::NotAllowed, "{error:?}");
}

#[tokio::test]
async fn a_managed_identity_signs_in() {
    let cloud = Cloud::changed(Flavour::Public, |config| config.metadata = Some(([127, 0, 0, 1], 0).into()));
    let service = format!("http://{}/msi/token", cloud.simulator.metadata().unwrap());
    let set = [("IDENTITY_ENDPOINT", service.as_str()), ("IDENTITY_HEADER", wharf_sim::IDENTITY_HEADER)];
    assert!(plans(cloud, &set, None).await.unwrap() > 0);
}

#[tokio::test]
async fn a_person_signs_in_by_a_code() {
    let cloud = Cloud::new(Flavour::Public);
    let (shared, told) = (cloud.simulator.shared(), Arc::new(Mutex::new(String::new())));
    let said = Arc::clone(&told);
    let tell: Tell = Box::new(move |what| {
        *said.lock().unwrap() += what;
        shared.approve_device_codes();
    });
    let tenant = cloud.simulator.config().account.tenant.clone();
    let steps = plans(cloud, &[("AZURE_TENANT_ID", &tenant)], Some(tell)).await.unwrap();
    assert!(steps > 0);
    assert!(told.lock().unwrap().contains("code"), "{told:?}");
}

/// Remembers as long as the test runs.
#[derive(Debug, Default)]
struct Notes(Mutex<BTreeMap<String, String>>);

impl Memory for Notes {
    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Secret<String>>> {
        Box::pin(async move { self.0.lock().unwrap().get(name).cloned().map(Secret::new) })
    }

    fn keep<'a>(&'a self, name: &'a str, secret: Option<&'a Secret<String>>) -> BoxFuture<'a, ()> {
        let mut notes = self.0.lock().unwrap();
        match secret {
            Some(secret) => drop(notes.insert(name.to_owned(), secret.expose().clone())),
            None => drop(notes.remove(name)),
        }
        Box::pin(async {})
    }
}

/// One code serves many commands, until the sign-in is taken back.
#[tokio::test]
async fn a_code_is_asked_for_once() {
    let cloud = Cloud::new(Flavour::Public);
    let (shared, codes) = (cloud.simulator.shared(), Arc::new(AtomicUsize::new(0)));
    let environment = BTreeMap::from([
        ("AZURE_TENANT_ID".to_owned(), cloud.simulator.config().account.tenant.clone()),
        ("AZURE_AUTH".to_owned(), "device".to_owned()),
    ]);
    let mut desk = Desk::new(cloud).await;
    let notes = Arc::new(Notes::default());
    let mut run = async |person: bool| {
        let session = Session::new(desk.world.clock()).with_environment(environment.clone());
        let mut session = session.with_memory(Arc::clone(&notes) as Arc<dyn Memory>);
        if person {
            let (shared, codes) = (Arc::clone(&shared), Arc::clone(&codes));
            session = session.with_person(move |_| {
                codes.fetch_add(1, Ordering::Relaxed);
                shared.approve_device_codes();
            });
        }
        desk.cx.session = session;
        let driver = desk.world.factory().connect(desk.world.config(), &desk.cx).await?;
        driver.plan(&desk.spec, None, &desk.cx).await.map(|_| codes.load(Ordering::Relaxed))
    };
    assert_eq!(run(true).await.unwrap(), 1);
    assert_eq!(run(true).await.unwrap(), 1);
    assert_eq!(run(false).await.unwrap(), 1);
    for kept in notes.0.lock().unwrap().values_mut() {
        "taken back".clone_into(kept);
    }
    assert_eq!(run(false).await.unwrap_err().kind(), wharf_driver::Kind::NotAllowed);
    assert!(notes.0.lock().unwrap().is_empty());
    assert_eq!(run(true).await.unwrap(), 2);
    assert_eq!(run(false).await.unwrap(), 2);
}

#[tokio::test]
async fn whoever_az_signed_in_is_signed_in() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::new(Flavour::Public);
    let (account, login) = (cloud.simulator.config().account.clone(), cloud.simulator.login().to_owned());
    // What `az` prints, with a token that the cloud itself issued.
    let script = format!(
        "#!/bin/sh\n\
         token=$(/usr/bin/curl -sS --cacert '{ca}' -d grant_type=client_credentials -d client_id='{client}' \
         --data-urlencode 'client_secret={secret}' --data-urlencode \"scope=$6/.default\" \
         '{login}/{tenant}/oauth2/v2.0/token' | /usr/bin/sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n\
         echo \"{{\\\"accessToken\\\": \\\"$token\\\"}}\"\n",
        ca = cloud.simulator.ca().display(),
        client = account.client,
        secret = account.secret,
        login = login.trim_end_matches('/'),
        tenant = account.tenant,
    );
    let az = folder.path().join("az");
    wharf_testkit::script(&az, &script).unwrap();
    let path = folder.path().display().to_string();
    assert!(plans(cloud, &[("PATH", &path)], None).await.unwrap() > 0);
}
