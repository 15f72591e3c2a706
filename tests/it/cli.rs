//! The program itself on a real host: exit codes that scripts branch on, and what `wharf ssh` passes through.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use wharf_tests::Host;

use crate::world::{World, expect_success, text};

#[test]
fn hosts_that_cannot_be_had_have_codes_of_their_own() {
    let world = World::with_bare_hosts();
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

/// Nothing of ours on the host, in the store or among docker's contexts.
fn nothing_is_left(world: &World, host: &Host, said: &str) {
    assert_eq!(expect_success(&mut world.wharf(["ls", "-q"])), "", "a machine was left behind:\n{said}");
    assert!(!world.store.join("machines/web").exists(), "a folder was left behind:\n{said}");
    let contexts = expect_success(&mut world.docker("default", ["context", "ls", "-q"]));
    assert_eq!(contexts.trim(), "default", "a context was left behind:\n{said}");
    host.run(
        "! ls -d /usr/local/bin/wharfd /opt/wharf /etc/wharf /etc/systemd/system/wharfd.service 2>/dev/null",
    );
}

#[test]
fn a_host_that_cannot_be_taken_over_is_told_why_and_left_as_it_was() {
    let world = World::with_bare_hosts();
    let host = world.lab.host();
    let refused = |code: i32, because: &str, arguments: &[String]| {
        let output = world.wharf(arguments).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{because}: {said}");
        assert!(
            said.contains("error: ") && said.contains("hint: ") && said.contains(because),
            "{because}: {said}"
        );
        nothing_is_left(&world, &host, &said);
    };
    let create = world.create_arguments("web", &host);

    host.run("cp /usr/sbin/sshd /usr/local/sbin/dockerd && /usr/local/sbin/dockerd -p 2376 -o PidFile=none");
    refused(3, "port 2376 on the host is taken by `dockerd`", &create);
    host.run("pkill -x dockerd; rm /usr/local/sbin/dockerd");

    let full = "mount -t tmpfs -o size=4m none";
    host.run(&format!("{full} /usr/local/bin && {full} /opt && {full} /var/lib/wharf"));
    refused(3, "is full", &create);
    host.run("umount /usr/local/bin /opt /var/lib/wharf");

    let old = "#!/bin/sh\n[ \"$1\" = -r ] && echo 4.9.0-13-amd64 && exit\nexec /usr/bin/uname \"$@\"\n";
    host.run(&format!("printf '{old}' >/usr/local/bin/uname && chmod 755 /usr/local/bin/uname"));
    refused(3, "4.9.0-13-amd64", &create);
    host.run("rm /usr/local/bin/uname");

    let other = world.lab.scratch().join("other");
    expect_success(
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&other),
    );
    let with = |flag: &str, value: &str| {
        let mut changed = create.clone();
        let at = changed.iter().position(|word| word == flag).unwrap();
        changed[at + 1] = value.to_owned();
        changed
    };
    refused(7, "accepts no key for the user `root`", &with("--ssh-key", &other.display().to_string()));
    refused(3, "cannot read the key", &with("--ssh-key", "/nowhere/key"));
    refused(5, "10.99.0.200:22", &with("--ssh-address", "10.99.0.200"));
    refused(5, "no-such-host.invalid", &with("--ssh-address", "no-such-host.invalid"));
    refused(2, "there is no driver `cloud9`", &with("--driver", "cloud9"));
    expect_success(&mut world.wharf(&create));
    let taken = world.wharf(&create).output().unwrap();
    assert_eq!(taken.status.code(), Some(3), "{}", text(&taken));
}

/// Interrupts a create as soon as it says `phase`; how it ended, or `None` when it never came to that.
fn interrupted_at(world: &World, create: &[String], phase: &str) -> Option<(Option<i32>, String)> {
    let mut wharf = world.wharf(create);
    let mut child = wharf.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (mut said, mut reached) = (String::new(), false);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if !reached && line.contains(phase) {
            reached = true;
            nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        }
        said = said + &line + "\n";
    }
    let ended = child.wait().unwrap();
    reached.then_some((ended.code(), said))
}

#[test]
fn an_interrupt_at_any_phase_leaves_nothing_or_what_the_next_command_goes_on_with() {
    let world = World::with_bare_hosts();
    let host = world.lab.host();
    let create = world.create_arguments("web", &host);
    let mut reached = 0;
    for phase in
        ["checking", "making", "its address", "bringing", "SSH", "looking", "uploading", "starting", "asking"]
    {
        let Some((code, said)) = interrupted_at(&world, &create, phase) else { continue };
        reached += 1;
        if code == Some(0) {
            // It was through already.
            world.wharf_ok(&["rm", "-y", "--purge", "web"]);
        } else {
            assert_eq!(code, Some(1), "at `{phase}`: {said}");
            assert!(said.contains("interrupted") && said.contains("hint: "), "at `{phase}`: {said}");
        }
        let left = expect_success(&mut world.wharf(["ls", "-q"]));
        if left == "web\n" {
            // The host may have been changed: nothing on it is taken away unasked, and both ways out are open.
            assert!(said.contains("`wharf create web` again continues"), "at `{phase}`: {said}");
            expect_success(&mut world.wharf(&create));
            world.wharf_ok(&["rm", "-y", "--purge", "web"]);
        }
        nothing_is_left(&world, &host, &said);
    }
    assert!(reached >= 4, "the phases have other names: only {reached} were seen");
}

#[test]
fn ssh_passes_the_command_and_its_status_through() {
    let world = World::with_bare_hosts();
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
