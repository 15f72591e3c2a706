//! What is on offer.

use wharf_sim::Flavour;

use crate::harness::{Client, client, config};

#[test]
fn a_cloud_lists_what_it_accepts() {
    for flavour in Flavour::all() {
        let client = client(flavour);
        let version = if client.hub() { client.compute } else { "2021-03-01" };
        let at =
            format!("{}/providers/Microsoft.Compute/locations/{}", client.subscription(), client.location());
        let names = |target: String| {
            let answer = client.ask("GET", &format!("{target}?api-version={version}"), None);
            let body = answer.body.expect("a body");
            let list =
                body.as_array().cloned().unwrap_or_else(|| body["value"].as_array().expect("a list").clone());
            list.iter().map(|i| i["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        let sizes = names(format!("{at}/vmSizes"));
        assert!(sizes.contains(&"Standard_DS1_v2".to_owned()));
        assert_eq!(sizes.contains(&"Standard_B2ls_v2".to_owned()), flavour == Flavour::Public, "{flavour}");
        let offers = names(format!("{at}/publishers/Canonical/artifacttypes/vmimage/offers"));
        assert_eq!(offers.contains(&"ubuntu-24_04-lts".to_owned()), !flavour.is_hub());
    }
}

#[test]
fn skus_say_what_a_size_can_do() {
    let client = client(Flavour::Public);
    let target = format!(
        "{}/providers/Microsoft.Compute/skus?api-version=2021-07-01&$filter=location eq 'eastus'",
        client.subscription()
    );
    let body = client.ask("GET", &target.replace(' ', "%20"), None).body.expect("a body");
    let list = body["value"].as_array().expect("a list");
    assert!(list.iter().all(|sku| sku["locations"] == serde_json::json!(["eastus"])));
    let b2s = list.iter().find(|sku| sku["name"] == "Standard_B2s").expect("a size");
    let capability = |name: &str| {
        let all = b2s["capabilities"].as_array().expect("a list");
        all.iter().find(|c| c["name"] == name).map(|c| c["value"].as_str().expect("text").to_owned())
    };
    assert_eq!(capability("vCPUs").as_deref(), Some("2"));
    assert_eq!(capability("HyperVGenerations").as_deref(), Some("V1,V2"));
}

#[test]
fn long_lists_come_in_pages() {
    let mut settings = config(Flavour::Public);
    settings.page = 2;
    let client = Client::new(settings);
    for name in ["a", "b", "c", "d", "e"] {
        client.make(&client.group(name), &serde_json::json!({"location": "eastus"}));
    }
    let mut names = Vec::new();
    let mut next = Some(client.at(&format!("{}/resourceGroups", client.subscription())));
    let mut pages = 0;
    while let Some(target) = next {
        let body = client.ask("GET", &target, None).body.expect("a body");
        let items = body["value"].as_array().expect("a list");
        assert!(items.len() <= 2);
        names.extend(items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()));
        next = body["nextLink"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!((names.concat().as_str(), pages), ("abcde", 3));
}
