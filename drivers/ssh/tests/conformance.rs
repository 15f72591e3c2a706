//! The driver passes the suite. What it takes over is nothing but an address here: the suite's hosts are in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use wharf_driver::{Configure as _, Factory, Kind, Known, Settings, State};
use wharf_driver_ssh::Ssh;
use wharf_test_ports::Port;
use wharf_testkit::{World, suite};

/// A port that takes connections, as an SSH server's does.
struct Fresh {
    listener: std::net::TcpListener,
}

impl Fresh {
    fn new() -> Self {
        Self { listener: std::net::TcpListener::bind("127.0.0.1:0").unwrap() }
    }
}

impl World for Fresh {
    fn factory(&self) -> Factory {
        Factory::of::<Ssh>()
    }

    fn config(&self) -> Value {
        let mut set = Settings::default();
        set.set("ssh-address", vec!["127.0.0.1".to_owned()]);
        set.set("ssh-port", vec![self.listener.local_addr().unwrap().port().to_string()]);
        serde_json::to_value(Ssh::configure(&set).unwrap()).unwrap()
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        // The host is there before and after; what is brought to it the suite counts itself.
        Box::pin(async { Vec::new() })
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(30)
    }
}

#[tokio::test]
async fn conforms() {
    let report = suite::run(Fresh::new).await;
    println!("{report}");
    assert!(report.tried.iter().all(|(_, count)| *count > 0), "{report}");
}

/// A host that nobody is at, with a key that is not there.
struct Nobody(u16);

impl World for Nobody {
    fn factory(&self) -> Factory {
        Factory::of::<Ssh>()
    }

    fn config(&self) -> Value {
        let mut set = Settings::default();
        set.set("ssh-address", vec!["127.0.0.1".to_owned()]);
        set.set("ssh-port", vec![self.0.to_string()]);
        set.set("ssh-key", vec!["/nowhere/id".to_owned()]);
        serde_json::to_value(Ssh::configure(&set).unwrap()).unwrap()
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Vec::new() })
    }
}

#[tokio::test]
async fn nobody_there_is_a_warning_and_no_state() {
    let port = Port::reserve().unwrap();
    let desk = suite::Desk::new(Nobody(port.number())).await;
    let seen = desk.driver.observe(&[Known::of(&[])], &desk.cx).await.unwrap().remove(0);
    assert_eq!(seen.state, State::Unknown);
    assert!(seen.warnings[0].contains(&format!("127.0.0.1:{}", port.number())), "{:?}", seen.warnings);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_refused_before_anything() {
    let desk = suite::Desk::new(Nobody(22)).await;
    let refused = desk.driver.plan(&desk.spec, None, &desk.cx).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused, "{refused}");
    assert!(refused.advice().is_some_and(|hint| hint.contains("--ssh-key")), "{refused:?}");
}
