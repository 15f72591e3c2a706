//! What others have is read as the kernel has it, and answered where it counts.

use std::process::Command;

use super::*;
use crate::net::testing::in_a_namespace;

fn nft(script: &str) -> String {
    let output = Command::new("nft").args(script.split(' ')).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn answer(bridges: &[Ours]) -> Result<()> {
    let ledger = tempfile::tempdir().unwrap();
    Neighbours::look()?.answer(bridges, &ledger.path().join("neighbours")).map(drop)
}

fn bridge() -> Ours {
    Ours { bridge: "br0".to_owned(), has_ipv6: false }
}

#[test]
fn a_stop_deep_inside_is_named_and_nothing_is_changed() {
    in_a_namespace("a_stop_deep_inside_is_named_and_nothing_is_changed", || async {
        nft("add table inet strict");
        nft("add chain inet strict way { type filter hook forward priority 0 ; policy accept ; }");
        nft("add chain inet strict zone");
        nft("add chain inet strict quiet");
        nft("add rule inet strict quiet return");
        nft("add rule inet strict quiet drop");
        nft("add rule inet strict way jump quiet");
        let before = nft("list ruleset");
        answer(&[bridge()]).unwrap();
        assert_eq!(nft("list ruleset"), before, "what is sent back before the drop is not stopped");
        nft("add rule inet strict zone ip saddr 192.0.2.1 accept");
        nft("add rule inet strict zone counter reject");
        nft("add rule inet strict way goto zone");
        let before = nft("--stateless list ruleset");
        let error = answer(&[bridge()]).unwrap_err().to_string();
        assert!(error.contains("chain zone (table strict)") && error.contains("br0"), "{error}");
        assert_eq!(nft("--stateless list ruleset"), before);
        answer(&[]).unwrap();
    });
}

#[test]
fn ipv6_chains_are_answered_for_bridges_that_have_it() {
    in_a_namespace("ipv6_chains_are_answered_for_bridges_that_have_it", || async {
        nft("add table ip6 strict");
        nft("add chain ip6 strict way { type filter hook forward priority 0 ; policy drop ; }");
        let before = nft("list ruleset");
        answer(&[bridge()]).unwrap();
        assert_eq!(nft("list ruleset"), before);
        answer(&[bridge(), Ours { bridge: "br6".to_owned(), has_ipv6: true }]).unwrap();
        let rules = nft("list ruleset");
        assert!(rules.contains(r#"iifname "br6" accept"#) && !rules.contains("br0"), "{rules}");
        answer(&[]).unwrap();
        assert_eq!(nft("list ruleset"), before);
    });
}
