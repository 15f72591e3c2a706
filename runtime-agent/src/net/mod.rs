//! The kernel's network, over netlink: namespaces, bridge, veth, addresses, firewall, ports.
