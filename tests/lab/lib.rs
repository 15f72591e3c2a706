//! Test hosts: a network namespace, a root of their own, systemd and sshd, booted in seconds.
