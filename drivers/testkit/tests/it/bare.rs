//! A machine without an engine: killed at every point of its create, continued by its name alone, and given an engine
//! later.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use wharf_core::{CreateRequest, Kind, Life, MachineName, Wharf};
use wharf_driver::Factory;
use wharf_testkit::memory::{Cloud, Memory};
use wharf_testkit::suite::Bench;
use wharf_testkit::{Switch, World};

struct Fresh(String);

impl World for Fresh {
    fn factory(&self) -> Factory {
        Factory::of::<Memory>()
    }

    fn config(&self) -> Value {
        json!({ "cloud": self.0, "fail": null, "shared": false })
    }

    fn remains(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Cloud::named(&self.0).everything() })
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(300)
    }
}

fn bench(cloud: String) -> Bench<Fresh> {
    Bench::new(Fresh(cloud))
}

fn process(bench: &Bench<Fresh>, switch: &Switch) -> Wharf {
    bench.process(switch, |driver| driver)
}

fn wish(bench: &Bench<Fresh>) -> CreateRequest {
    CreateRequest { bare: true, ..bench.request() }
}

async fn life(wharf: &Wharf, name: &MachineName) -> Life {
    wharf.inspect(name).await.unwrap().summary.life
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_point_leaves_one_machine_or_a_way_on() {
    let whole = bench("bare-whole".to_owned());
    let passed = Switch::default();
    let made = process(&whole, &passed).create(&wish(&whole), &whole.call("create")).await.unwrap();
    assert_eq!(made.connection.life, Life::Bare);
    assert!(!made.connection.ssh.host_keys.is_empty(), "the key that it was born with is good");
    assert_eq!(whole.hosts.agents(), [""; 0]);
    whole.gone("whole").await;
    let points = passed.passed();
    assert!(points.len() > 8, "{points:?}");
    for (index, point) in points.iter().enumerate() {
        let bench = bench(format!("bare-{index}"));
        let killed = Switch::at(Some(index));
        let wharf = process(&bench, &killed);
        let (request, call) = (wish(&bench), bench.call("create"));
        assert!(killed.run(wharf.create(&request, &call)).await.is_none(), "{point}: was not passed");
        let wharf = process(&bench, &Switch::default());
        let name = &request.name;
        match wharf.create(&request, &call).await {
            Ok(again) => assert_eq!(again.connection.life, Life::Bare, "{point}"),
            // Killed after its last event.
            Err(error) => {
                assert_eq!((error.kind(), life(&wharf, name).await), (Kind::Refused, Life::Bare), "{point}");
            }
        }
        assert_eq!(bench.hosts.agents(), [""; 0], "{point}: an engine that nobody wanted");
        bench.gone(point).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_brought_later() {
    let bench = bench("bare-later".to_owned());
    let wharf = process(&bench, &Switch::default());
    let request = wish(&bench);
    wharf.create(&request, &bench.call("create")).await.unwrap();
    let refused = wharf.renew_server(&request.name, &bench.call("regenerate-certs")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(refused.to_string().contains("has no engine"), "{refused}");
    let connection = wharf.provision(&request.name, &bench.call("provision")).await.unwrap();
    assert_eq!(connection.life, Life::Ready);
    assert_eq!(bench.hosts.agents(), [connection.id.to_string()]);
    bench.gone("provisioned later").await;
}
