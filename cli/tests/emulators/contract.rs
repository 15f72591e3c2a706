//! What every store promises, kept in real emulators.

use std::net::TcpListener;
use std::sync::Arc;

use wharf_core::store::Store;
use wharf_core::{Kind, OsEntropy};
use wharf_driver::{Clock, SystemClock};
use wharf_objects::{Address, Objects, Place, Times, connect};

use crate::emulator::Emulator;

#[tokio::test]
async fn emulators_keep_what_every_store_promises() {
    for emulator in Emulator::all("emulators_keep_what_every_store_promises") {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let home = tempfile::tempdir().unwrap();
        let text = emulator.store("contract");
        let address: Address = text.parse().unwrap();
        let open = || {
            let place = Place {
                objects: connect(&address, &emulator.environment, None).unwrap(),
                prefix: address.prefix.clone(),
                name: text.clone(),
                own: home.path().to_owned(),
                person: "ann@laptop".to_owned(),
                times: Times::default(),
            };
            Objects::new(place, Arc::clone(&clock), Arc::new(OsEntropy))
        };
        let none = open().id().await.unwrap_err();
        assert_eq!(none.kind(), Kind::Refused, "{text}: {none}");
        open().init().await.unwrap();
        wharf_testkit::stores::contract(&|| Arc::new(open()) as Arc<dyn Store>, &clock).await;
    }
}

#[tokio::test]
async fn what_cannot_be_reached_or_is_not_there_has_its_kind() {
    for emulator in Emulator::all("what_cannot_be_reached_or_is_not_there_has_its_kind") {
        let open = |text: String| {
            let address: Address = text.parse().unwrap();
            let place = Place {
                objects: connect(&address, &emulator.environment, None).unwrap(),
                prefix: address.prefix.clone(),
                name: text,
                own: "/nowhere".into(),
                person: "ann@laptop".to_owned(),
                times: Times::default(),
            };
            Objects::new(place, Arc::new(SystemClock::new()), Arc::new(OsEntropy))
        };
        let missing = open(emulator.store("x").replacen("team", "nobodys", 1)).init().await.unwrap_err();
        assert_eq!(missing.kind(), Kind::Refused, "{missing}");
        let gone = open(emulator.store("x").replace(&emulator.at.to_string(), &nowhere())).init().await;
        assert_eq!(gone.as_ref().unwrap_err().kind(), Kind::Unreachable, "{gone:?}");
    }
}

/// An address at which nobody answers.
fn nowhere() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().to_string()
}
