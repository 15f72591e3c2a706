//! What security groups let in, for what stands behind their instances.

use wharf_sim::body::Rule;

use crate::simulator::Inner;
use crate::xml::Element;

/// The rules of these groups, as one list: what any of them lets in comes in, and nothing else.
pub(crate) async fn rules(inner: &Inner, groups: &[String]) -> Vec<Vec<Rule>> {
    let names: Vec<String> = (1..=groups.len()).map(|number| format!("GroupId.{number}")).collect();
    let named = names.iter().map(String::as_str).zip(groups.iter().map(String::as_str));
    let asked: Vec<_> =
        [("Action", "DescribeSecurityGroups"), ("Version", "2016-11-15")].into_iter().chain(named).collect();
    let answer = inner.upstream.ask("ec2", &asked).await;
    let document = Element::parse(&answer.body).unwrap_or_default();
    let groups = document.child("securityGroupInfo").map(|set| set.children.iter()).into_iter().flatten();
    let permissions = groups.filter_map(|group| group.child("ipPermissions"));
    vec![permissions.flat_map(|set| &set.children).map(rule).collect()]
}

fn rule(permission: &Element) -> Rule {
    let sources = [("ipRanges", "cidrIp"), ("ipv6Ranges", "cidrIpv6")].into_iter().flat_map(|(set, cidr)| {
        let ranges = permission.child(set).map(|set| set.children.iter()).into_iter().flatten();
        ranges.map(move |range| range.say(cidr).to_owned())
    });
    let port = |name, other| permission.say(name).parse().unwrap_or(other);
    let protocol = permission.say("ipProtocol");
    Rule {
        priority: 0,
        allow: true,
        protocol: if protocol == "-1" { "*" } else { protocol }.to_owned(),
        sources: sources.filter(|cidr| !cidr.is_empty()).collect(),
        ports: vec![(port("fromPort", 0), port("toPort", u16::MAX))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_read_with_all_that_it_lets_in() {
        let text = "<item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>23</toPort><ipRanges>\
                    <item><cidrIp>10.0.0.0/8</cidrIp></item><item><cidrIp>192.0.2.1/32</cidrIp></item></ipRanges>\
                    <ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges></item>";
        let read = rule(&Element::parse(text).unwrap_or_default());
        assert_eq!((read.ports, read.protocol.as_str()), (vec![(22, 23)], "tcp"));
        assert_eq!(read.sources, ["10.0.0.0/8", "192.0.2.1/32", "::/0"]);
        let all = rule(&Element::parse("<item><ipProtocol>-1</ipProtocol></item>").unwrap_or_default());
        assert_eq!((all.ports, all.protocol.as_str()), (vec![(0, u16::MAX)], "*"));
    }
}
