//! Clients of an intermediate: they are let in by their whole chain, and may do what all of it allows.

use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use time::OffsetDateTime;
use wharfd_client::Error;

use crate::world::{World, replace, tomorrow};

const ADMIN: &str = "wharf:role:admin";
const READER: &str = "wharf:role:reader";

#[tokio::test]
async fn a_client_of_an_intermediate_is_what_that_allows() {
    let world = World::new(true).await;
    let (limited, _) = world.authority.intermediate(&[READER], tomorrow());
    // Whoever holds the intermediate may write what they like into what they sign.
    let client = world.client(&limited.client_below(&[ADMIN], tomorrow()));
    assert!(client.info().await.is_ok());
    let refused = client.get::<serde_json::Value>("/containers/x/logs").await;
    assert!(matches!(refused, Err(Error::Refused { status: 403, .. })), "{refused:?}");
    let alone = limited.sign(ExtendedKeyUsagePurpose::ClientAuth, &[READER], tomorrow());
    assert!(world.client(&alone).ping().await.is_err(), "without its chain it is a stranger's");
    let (elsewhere, _) = world.authority.intermediate(&[READER, "wharf:machine:m2"], tomorrow());
    assert!(world.client(&elsewhere.client_below(&[READER], tomorrow())).ping().await.is_err());
    let (nothing, _) = world.authority.intermediate(&[], tomorrow());
    assert!(world.client(&nothing.client_below(&[ADMIN], tomorrow())).ping().await.is_err());
    world.agent.drain().await;
}

#[tokio::test]
async fn an_intermediate_makes_no_server_no_authority_and_nothing_that_outlives_it() {
    let world = World::new(true).await;
    let (limited, _) = world.authority.intermediate(&[READER], tomorrow());
    let (below, _) = limited.intermediate(&[READER], tomorrow());
    let mut leaf = below.client_below(&[READER], tomorrow());
    leaf.pem.push_str(&limited.pem);
    assert!(world.client(&leaf).ping().await.is_err(), "two steps below the authority");

    let mut server = limited.server("m1");
    server.pem.push_str(&limited.pem);
    let client = world.client(&world.authority.client(&[ADMIN]));
    assert!(client.ping().await.is_ok());
    crate::world::install(&world.tls, &server);
    let swapped = async {
        while client.ping().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), swapped).await.expect("a client's authority made a server");
    crate::world::install(&world.tls, &world.authority.server("m1"));

    let ended = OffsetDateTime::now_utc() - time::Duration::HOUR;
    let (over, _) = world.authority.intermediate(&[READER], ended);
    assert!(world.client(&over.client_below(&[READER], tomorrow())).ping().await.is_err());
    world.agent.drain().await;
}

#[tokio::test]
async fn taking_an_intermediate_back_takes_back_all_that_it_signed() {
    let world = World::new(true).await;
    let (limited, certificate) = world.authority.intermediate(&[READER], tomorrow());
    let clients = [(); 2].map(|()| world.client(&limited.client_below(&[READER], tomorrow())));
    for client in &clients {
        client.info().await.unwrap();
    }
    replace(&world.tls.join("revoked.pem"), &world.authority.revoke(&[&certificate]));
    for client in &clients {
        let refused = async {
            while !matches!(client.info().await, Err(Error::Refused { status: 403, .. })) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), refused).await.expect("it is let in for ever");
    }
    world.agent.drain().await;
}
