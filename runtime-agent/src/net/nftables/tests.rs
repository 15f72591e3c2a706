//! The wire format, byte for byte, and the kernel's and `nft`'s reading of it.

use super::list::chain;
use super::message::messages;
use super::*;
use crate::net::testing::in_a_namespace;

#[test]
fn the_kernel_takes_every_kind_of_rule() {
    in_a_namespace("the_kernel_takes_every_kind_of_rule", || async {
        let mut batch = Batch::new();
        batch.add_table(Family::Ip, "t");
        batch.add_chain(Family::Ip, "t", "base", Chain::Filter(Hook::Forward, 0));
        batch.add_chain(Family::Ip, "t", "nat", Chain::Nat(Hook::Prerouting, -100));
        batch.add_chain(Family::Ip, "t", "post", Chain::Nat(Hook::Postrouting, 100));
        batch.add_chain(Family::Ip, "t", "other", Chain::Jumped);
        let subnet = "10.1.0.0/16".parse().unwrap();
        let host = "10.1.2.3/32".parse().unwrap();
        for (to, rule) in [
            ("base", Rule::new().from_link("br0").to_link("br0").of_a_connection().accept()),
            ("base", Rule::new().not_from_link("lo").not_to_link("lo").translated().drop()),
            ("base", Rule::new().jump("other").comment("hello")),
            (
                "nat",
                Rule::new()
                    .to_this_host()
                    .to(host)
                    .to_port(Protocol::Udp, 53)
                    .send_to([10, 0, 0, 2].into(), 5353),
            ),
            ("post", Rule::new().from(subnet).masquerade()),
            ("post", Rule::new().from_port(Protocol::Tcp, 80).appear_as([127, 0, 0, 11].into(), 53)),
        ] {
            batch.append(Family::Ip, "t", to, &rule);
        }
        batch.commit().unwrap();
        let found = chains().unwrap();
        assert_eq!(found.len(), 4);
        assert!(found.iter().any(|c| c.name == "base" && c.is_at(Hook::Forward) && !c.drops), "{found:?}");
        let rules = rules(Family::Ip, "t", "base").unwrap();
        assert_eq!(rules.iter().map(|r| r.has_comment("hello")).collect::<Vec<_>>(), [false, false, true]);
        let listed = std::process::Command::new("nft").args(["list", "table", "ip", "t"]).output().unwrap();
        println!("{}", String::from_utf8_lossy(&listed.stdout));
        println!("{}", hex::encode(batch.encode()));
    });
}
