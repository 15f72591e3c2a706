//! IPv6 addresses of instances, which moto hands out only to those that name no interface.

use std::net::Ipv6Addr;

use crate::proxy::{Answer, Params};
use crate::simulator::Inner;
use crate::xml::Element;

/// The addresses that a call asks for, of the subnet that it names; a refusal where that one has no such network.
pub(crate) async fn addresses(inner: &Inner, params: &Params) -> Result<Vec<String>, Answer> {
    let count = params.get("NetworkInterface.1.Ipv6AddressCount").and_then(|text| text.parse().ok());
    let Some(count) = count.filter(|count: &u128| *count > 0) else { return Ok(Vec::new()) };
    let subnet = params.get("NetworkInterface.1.SubnetId").map_or("", String::as_str);
    let asked = [("Action", "DescribeSubnets"), ("Version", "2016-11-15"), ("SubnetId.1", subnet)];
    let answer = inner.upstream.ask("ec2", &asked).await;
    let document = Element::parse(&answer.body).unwrap_or_default();
    let mut blocks = Vec::new();
    document.all("ipv6CidrBlock", &mut blocks);
    let network = blocks.first().and_then(|block| block.text.split('/').next()?.parse::<Ipv6Addr>().ok());
    let Some(network) = network else {
        let message = format!("The subnet '{subnet}' does not have an IPv6 CIDR block associated with it.");
        return Err(Answer::refusal(400, "InvalidParameterValue", &message));
    };
    let first = u128::from(network) + 0x1000 * (1 + inner.state().instances.len() as u128);
    Ok((first..first + count).map(|bits| Ipv6Addr::from(bits).to_string()).collect())
}

/// Shows them on an instance.
pub(crate) fn show(item: &mut Element, addresses: &[String]) {
    let Some(first) = addresses.first() else { return };
    item.at("ipv6Address").text = first.clone();
    for interface in item.at("networkInterfaceSet").children.iter_mut().take(1) {
        let set = interface.at("ipv6AddressesSet");
        set.children = addresses
            .iter()
            .map(|address| {
                let mut one = Element { name: "item".to_owned(), ..Element::default() };
                one.at("ipv6Address").text = address.clone();
                one
            })
            .collect();
    }
}
