//! The published buckets: how much they hold, how they fill, and what is said when they are empty.

use serde_json::json;
use wharf_sim::Flavour;

use crate::harness::{Client, client, code, header};

fn until_refused(client: &Client, target: &str, most: u32) -> u32 {
    (0..most).find(|_| client.ask("GET", target, None).status == 429).unwrap_or(most)
}

#[test]
fn resource_managers_buckets_hold_and_refill() {
    let client = client(Flavour::Public);
    let target = client.at(&client.group("rg"));
    let first = client.ask("GET", &target, None);
    assert_eq!(header(&first, "x-ms-ratelimit-remaining-subscription-reads"), Some("249"));
    assert_eq!(until_refused(&client, &target, 1000), 249);
    let refused = client.ask("GET", &target, None);
    assert_eq!(code(&refused), "SubscriptionRequestsThrottled");
    assert_eq!(header(&refused, "retry-after"), Some("1"));
    client.wait(2);
    assert_eq!(until_refused(&client, &target, 1000), 50, "25 a second");
    assert_eq!(
        client.put(&client.group("rg"), &json!({"location": "eastus"})).status,
        201,
        "writes have a bucket of their own"
    );
}

#[test]
fn the_compute_provider_counts_by_resource_and_by_subscription() {
    let client = client(Flavour::Public);
    client.make_network();
    let id = client.id("virtualMachines", "vm");
    client.make(&id, &client.vm("nic"));
    client.wait(600);
    let target = client.at(&id);
    let first = client.ask("GET", &target, None);
    let left = header(&first, "x-ms-ratelimit-remaining-resource").expect("the header");
    assert!(left.contains("Microsoft.Compute/LowCostGetResource;35"), "{left}");
    assert_eq!(until_refused(&client, &target, 100), 35);
    let refused = client.ask("GET", &target, None);
    assert_eq!((refused.status, code(&refused)), (429, "OperationNotAllowed"));
    assert_eq!(refused.body.as_ref().expect("a body")["error"]["details"][0]["code"], "TooManyRequests");
    let wait: u64 = header(&refused, "retry-after").expect("the header").parse().expect("seconds");
    client.wait(wait);
    assert_eq!(client.ask("GET", &target, None).status, 200, "what Retry-After says is enough");
    let list = client.at(&format!("{}/providers/Microsoft.Compute/virtualMachines", client.subscription()));
    client.wait(600);
    assert_eq!(until_refused(&client, &list, 200), 90, "lists are dear");
}
