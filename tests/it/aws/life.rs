//! Instances that are real hosts: born with our user data, behind their groups' rules, found again after their addresses
//! changed.

use super::scene::{Scene, program};
use crate::docker::{import_busybox, wait_until};
use crate::world::text;

const CREATE: [&str; 4] = ["create", "--driver", "aws", "web1"];

#[test]
fn an_instance_is_followed_to_its_new_address() {
    let Some(program) = program("an_instance_is_followed_to_its_new_address") else { return };
    let scene = Scene::new(program);
    let account = scene.with_hosts();
    account.wharf_ok(&[&CREATE[..], &["--aws-open-port", "8080"]].concat());
    import_busybox(&scene.world, "web1");
    let runs = || scene.world.docker_ok("web1", &["run", "--rm", "busybox", "echo", "in a cloud"]);
    assert_eq!(runs(), "in a cloud\n");

    // What the groups do not let in is dropped, and not refused.
    let before = account.address("web1");
    let serve = ["run", "-d", "--rm", "-p", "8080:80", "-p", "8081:80", "busybox", "busybox", "httpd", "-f"];
    scene.world.docker_ok("web1", &serve);
    let opens = |port| scene.world.opens("10.99.0.1", &before, port);
    wait_until("the open port answers", || opens(8080));
    assert!(!opens(8081), "no rule lets this in");

    account.wharf_ok(&["stop", "web1"]);
    account.wharf_ok(&["start", "web1"]);
    assert_ne!(account.address("web1"), before);
    assert_eq!(runs(), "in a cloud\n", "by the context, which was rewritten");

    account.wharf_ok(&["rm", "-y", "web1"]);
    account.is_empty("rm");
    scene.world.no_machine_is_left();
}

#[test]
fn an_instance_lets_in_who_made_it_at_an_address_that_stays() {
    let Some(program) = program("an_instance_lets_in_who_made_it_at_an_address_that_stays") else { return };
    let scene = Scene::new(program);
    let account = scene.with_hosts();
    scene.world.come_from("10.99.0.1");
    account.wharf_ok(&[&CREATE[..], &["--aws-allow-from", "me", "--aws-elastic-address"]].concat());
    import_busybox(&scene.world, "web1");
    let runs = || scene.world.docker_ok("web1", &["run", "--rm", "busybox", "echo", "in a cloud"]);
    let address = account.address("web1");

    scene.world.come_from("10.99.0.77");
    let opens = |source: &str, port| scene.world.opens(source, &address, port);
    for port in [22, 2376] {
        assert!(opens("10.99.0.1", port) && !opens("10.99.0.77", port), "port {port}");
    }
    let allowed = text(&account.wharf(&["allow", "web1"]).output().unwrap());
    assert!(allowed.contains("lets this computer in from 10.99.0.77"), "{allowed}");
    assert_eq!(runs(), "in a cloud\n");
    for port in [22, 2376] {
        assert!(!opens("10.99.0.1", port) && opens("10.99.0.77", port), "port {port}");
    }

    account.wharf_ok(&["stop", "web1"]);
    account.wharf_ok(&["start", "web1"]);
    assert_eq!(account.address("web1"), address);
    assert_eq!(runs(), "in a cloud\n");
    account.wharf_ok(&["rm", "-y", "web1"]);
    account.is_empty("rm");
    scene.world.no_machine_is_left();
}

#[test]
fn an_instance_that_is_only_an_ssh_server_is_signed_in_to() {
    let Some(program) = program("an_instance_that_is_only_an_ssh_server_is_signed_in_to") else { return };
    let scene = Scene::new(program);
    let account = scene.with_sshds();
    account.wharf_ok(&[&CREATE[..], &["--no-bootstrap"]].concat());
    let said = || account.wharf_ok(&["ssh", "web1", "echo", "in", "an", "account"]);
    assert_eq!(said(), "in an account\n");
    let before = account.address("web1");
    account.wharf_ok(&["stop", "web1"]);
    account.wharf_ok(&["start", "web1"]);
    assert_ne!(account.address("web1"), before);
    assert_eq!(said(), "in an account\n", "it is the same host, by its key");
    account.wharf_ok(&["rm", "-y", "web1"]);
    account.is_empty("rm");
}
