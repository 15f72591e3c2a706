//! The wire format, byte for byte, and the kernel's and `nft`'s reading of it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::list::chain;
use super::message::{Attributes, message, messages};
use super::*;
use crate::net::testing::{in_a_namespace, skip};
use crate::net::{Error, Subnet};

/// A table, a hooked chain and one rule. The numbers are little-endian, as on every machine that we build for.
#[test]
fn a_batch_is_these_bytes() {
    let mut batch = Batch::new();
    batch.add_table(Family::Ip, "t");
    batch.add_chain(Family::Ip, "t", "c", Chain::Nat(Hook::Prerouting, -100));
    batch.append(Family::Ip, "t", "c", &Rule::new().arrived_by("br0").masquerade().comment("hi"));
    let expected = [
        // begin: length, NFNL_MSG_BATCH_BEGIN, REQUEST, sequence, port; family, version, subsystem 10
        "14000000 1000 0100 00000000 00000000 00 00 000a",
        // NEWTABLE, REQUEST|CREATE; name "t", flags 0
        "24000000 000a 0104 01000000 00000000 02 00 0000",
        "0600 0100 74000000 0800 0200 00000000",
        // NEWCHAIN; table, name, hook (prerouting, -100), policy accept, type "nat"
        "48000000 030a 0104 02000000 00000000 02 00 0000",
        "0600 0100 74000000 0600 0300 63000000",
        "1400 0480 0800 0100 00000000 0800 0200 ffffff9c",
        "0800 0500 00000001 0800 0700 6e617400",
        // NEWRULE, REQUEST|CREATE|APPEND|ACK; table, chain, expressions
        "a4000000 060a 050c 03000000 00000000 02 00 0000",
        "0600 0100 74000000 0600 0200 63000000 7400 0480",
        // meta load iifname => reg 1
        "2400 0180 0900 0100 6d65746100000000 1400 0280 0800 0200 00000006 0800 0100 00000001",
        // cmp eq reg 1 "br0"
        "3800 0180 0800 0100 636d7000 2c00 0280 0800 0100 00000001 0800 0200 00000000",
        "1800 0380 1400 0100 62723000000000000000000000000000",
        // masq
        "1400 0180 0900 0100 6d61737100000000 0400 0280",
    ];
    let comment = "0900 0700 00 03 686900 000000";
    let end = "14000000 1100 0100 04000000 00000000 00 00 000a";
    let expected: String = expected.iter().chain([&comment, &end]).flat_map(|line| line.split(' ')).collect();
    let sizes = |hex: &str| hex.len() / 2;
    let found = hex::encode(batch.encode());
    assert_eq!(sizes(&found), sizes(&expected));
    assert_eq!(found, expected);
}

#[test]
fn a_chain_is_read_from_these_bytes() {
    let hook = Attributes::default().u32(1, 2).u32(2, 0);
    let body =
        Attributes::default().text(1, "filter").text(3, "FORWARD").u64(2, 1).nested(4, &hook).u32(5, 0);
    let datagram = message(0x0a03, 0, 1, Family::Ip as u8, 0, body.as_bytes());
    let found = chain(&messages(&datagram).next().unwrap()).unwrap();
    assert_eq!((found.table.as_str(), found.name.as_str()), ("filter", "FORWARD"));
    assert!(found.drops && found.is_at(Hook::Forward) && found.family == Family::Ip);
    // Cut anywhere, it is no message any more, and nothing panics.
    for length in 0..datagram.len() {
        assert_eq!(messages(&datagram[..length]).count(), 0);
    }
    let of_ipv6 = message(0x0a03, 0, 1, 10, 0, body.as_bytes());
    assert_eq!(chain(&messages(&of_ipv6).next().unwrap()).unwrap().family, Family::Ip6);
    let of_arp = message(0x0a03, 0, 1, 3, 0, body.as_bytes());
    assert_eq!(chain(&messages(&of_arp).next().unwrap()), None);
}

#[test]
fn nft_reads_every_rule_as_it_was_meant() {
    const TEST: &str = "nft_reads_every_rule_as_it_was_meant";
    if std::process::Command::new("nft").arg("--version").output().is_err() {
        return skip(TEST, "there is no nft");
    }
    in_a_namespace(TEST, || async {
        let mut batch = Batch::new();
        batch.add_table(Family::Ip, "t");
        batch.add_chain(Family::Ip, "t", "base", Chain::Filter(Hook::Forward, 0));
        batch.add_chain(Family::Ip, "t", "nat", Chain::Nat(Hook::Prerouting, -100));
        batch.add_chain(Family::Ip, "t", "post", Chain::Nat(Hook::Postrouting, 100));
        batch.add_chain(Family::Ip, "t", "other", Chain::Jumped);
        let subnet: Subnet = "10.1.0.0/16".parse().unwrap();
        let host: Subnet = "10.1.2.3/32".parse().unwrap();
        let published = Rule::new().for_this_host().destination(host).for_port(Protocol::Udp, 53);
        for (to, rule) in [
            ("base", Rule::new().arrived_by("br0").leaves_by("br0").of_a_connection().accept()),
            ("base", Rule::new().not_arrived_by("lo").leaves_not_by("lo").translated().drop()),
            ("base", Rule::new().jump("other").comment("hello")),
            ("nat", published.send_to(Ipv4Addr::new(10, 0, 0, 2), 5353)),
            ("nat", Rule::new().for_port(Protocol::Sctp, 3868).send_to(Ipv4Addr::new(10, 0, 0, 2), 3868)),
            ("post", Rule::new().source(subnet).masquerade()),
        ] {
            batch.append(Family::Ip, "t", to, &rule);
        }
        batch.commit().unwrap();
        let listed = std::process::Command::new("nft").args(["list", "table", "ip", "t"]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for line in [
            r#"iifname "br0" oifname "br0" ct state established,related accept"#,
            r#"iifname != "lo" oifname != "lo" ct status dnat drop"#,
            r#"jump other comment "hello""#,
            "fib daddr type local ip daddr 10.1.2.3 udp dport 53 dnat to 10.0.0.2:5353",
            "sctp dport 3868 dnat to 10.0.0.2:3868",
            "ip saddr 10.1.0.0/16 masquerade",
        ] {
            assert!(listed.lines().any(|found| found.trim() == line), "{line} is not in\n{listed}");
        }
        assert_eq!(chains().unwrap().len(), 4);
        let rules = rules(Family::Ip, "t").unwrap();
        let of_base: Vec<_> = rules.iter().filter(|rule| rule.chain == "base").collect();
        assert_eq!(of_base.iter().map(|r| r.has_comment("hello")).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!((of_base[0].arrives.as_deref(), of_base[0].leaves.as_deref()), (Some("br0"), Some("br0")));
        assert_eq!(
            (of_base[1].arrives.as_deref(), of_base[1].stops_all),
            (None, false),
            "it asks for others"
        );
        assert_eq!(of_base[2].goes_always(), Some("other"));
    });
}

#[test]
fn nft_reads_rules_of_ipv6_as_they_were_meant() {
    const TEST: &str = "nft_reads_rules_of_ipv6_as_they_were_meant";
    if std::process::Command::new("nft").arg("--version").output().is_err() {
        return skip(TEST, "there is no nft");
    }
    in_a_namespace(TEST, || async {
        let mut batch = Batch::new();
        batch.add_table(Family::Ip6, "t");
        batch.add_chain(Family::Ip6, "t", "nat", Chain::Nat(Hook::Prerouting, -100));
        batch.add_chain(Family::Ip6, "t", "post", Chain::Nat(Hook::Postrouting, 100));
        let subnet: Subnet<Ipv6Addr> = "fd00:1::/64".parse().unwrap();
        let host: Subnet<Ipv6Addr> = "fd00:1::7/128".parse().unwrap();
        let to = Rule::new().for_this_host().destination(host).for_port(Protocol::Tcp, 80);
        batch.append(Family::Ip6, "t", "nat", &to.send_to("fd00:2::9".parse::<Ipv6Addr>().unwrap(), 8080));
        batch.append(Family::Ip6, "t", "post", &Rule::new().source(subnet).masquerade());
        batch.commit().unwrap();
        let listed = std::process::Command::new("nft").args(["list", "table", "ip6", "t"]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for line in [
            "fib daddr type local ip6 daddr fd00:1::7 tcp dport 80 dnat to [fd00:2::9]:8080",
            "ip6 saddr fd00:1::/64 masquerade",
        ] {
            assert!(listed.lines().any(|found| found.trim() == line), "{line} is not in\n{listed}");
        }
    });
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    in_a_namespace("a_batch_is_taken_whole_or_not_at_all", || async {
        let mut batch = Batch::new();
        batch.add_table(Family::Ip, "t");
        batch.add_chain(Family::Ip, "t", "c", Chain::Jumped);
        batch.append(Family::Ip, "t", "c", &Rule::new().jump("nowhere"));
        batch.append(Family::Ip, "t", "c", &Rule::new().accept());
        let Err(Error::Kernel { source, .. }) = batch.commit() else { panic!("a jump to nowhere was taken") };
        assert_eq!(source.raw_os_error(), Some(libc::ENOENT));
        assert_eq!(chains().unwrap(), []);
    });
}

#[test]
fn a_thousand_rules_are_one_batch() {
    in_a_namespace("a_thousand_rules_are_one_batch", || async {
        let mut batch = Batch::new();
        batch.add_table(Family::Ip, "t");
        batch.add_chain(Family::Ip, "t", "c", Chain::Nat(Hook::Prerouting, -100));
        for port in 1..=1000 {
            let rule = Rule::new().for_port(Protocol::Tcp, port).send_to(Ipv4Addr::new(10, 0, 0, 2), port);
            batch.append(Family::Ip, "t", "c", &rule);
        }
        batch.commit().unwrap();
        assert_eq!(rules(Family::Ip, "t").unwrap().len(), 1000);
    });
}
