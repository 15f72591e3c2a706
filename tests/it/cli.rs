//! The program itself on a real host: exit codes that scripts branch on, and what `wharf ssh` passes through.

use crate::world::{World, expect_success, text};

#[test]
fn hosts_that_cannot_be_had_have_codes_of_their_own() {
    let world = World::new();
    let host = world.lab.host();
    let key = host.key_file.display().to_string();
    let fingerprint = crate::world::fingerprint(&host.host_key);
    let create = |user: &str, port: &str, host_key: &str| {
        let flags = ["create", "web", "--driver", "ssh", "--ssh-address", &host.address, "--ssh-key", &key];
        let more = ["--ssh-user", user, "--ssh-port", port, "--ssh-host-key", host_key, "--timeout", "60"];
        let output = world.wharf([flags.as_slice(), &more].concat()).output().unwrap();
        let said = text(&output);
        assert!(said.contains("error: ") && said.contains("hint: "), "{said}");
        assert_eq!(expect_success(&mut world.wharf(["ls", "-q"])), "", "something was left behind:\n{said}");
        output.status.code()
    };
    let ssh = host.ssh_port.to_string();
    assert_eq!(create("root", "1", &fingerprint), Some(5), "nobody listens");
    assert_eq!(create("nobody-here", &ssh, &fingerprint), Some(7), "no such user");
    assert_eq!(create("bob", &ssh, &fingerprint), Some(7), "a user without sudo");
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(create("root", &ssh, other), Some(6), "another host key");
    assert_eq!(create("root", &ssh, "SHA256:short"), Some(2), "no fingerprint at all");
}

#[test]
fn ssh_passes_the_command_and_its_status_through() {
    let world = World::new();
    let host = world.lab.host();
    world.create("web", &host);
    let output = world.wharf(["ssh", "web", "echo 'a  b'; exit 7"]).output().unwrap();
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(7), "a  b\n"));

    host.run("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh");
    let swapped = world.wharf(["ssh", "web", "true"]).output().unwrap();
    let said = text(&swapped);
    assert_eq!(swapped.status.code(), Some(6), "{said}");
    assert!(said.contains("expected: SHA256:") && said.contains("offered: SHA256:"), "{said}");
    assert!(!said.contains("ssh-keygen"), "nobody is told to forget the old key:\n{said}");
}
