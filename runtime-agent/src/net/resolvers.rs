//! The name servers that the host itself uses, without those on its loopback: a container's loopback is its own.

use std::net::IpAddr;
use std::path::Path;

/// In the host's order. systemd-resolved's real servers stand in for its local stub. A host whose only server is its
/// own loopback has none to give: nobody else's is made up.
pub(crate) fn of_the_host() -> Vec<IpAddr> {
    ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(Path::new(path)).ok())
        .map(|text| parse(&text))
        .find(|servers| !servers.is_empty())
        .unwrap_or_default()
}

fn parse(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .filter(|server: &IpAddr| !server.is_loopback())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_servers_are_left_out() {
        let text = "# comment\nnameserver 127.0.0.53\n nameserver\t10.0.0.2 # here\nnameserver ::1\nsearch x\n\
                    nameserver fe80::1%eth0\nnameserver 2001:db8::1\noptions edns0";
        let found: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.2", "2001:db8::1"]);
    }
}
