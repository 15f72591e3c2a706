//! Machines that move from one store to another, as one encrypted file.

use insta::assert_snapshot;
use wharf_ssh::KeyPair;

use crate::cut;
use crate::sandbox::Sandbox;

/// Somebody with an SSH key and a store of their own.
fn person(user: &str) -> Sandbox {
    let sandbox = Sandbox::new().env("USER", user).env("WHARF_IDENTITY", "key");
    let pair = KeyPair::generate(user).unwrap();
    sandbox.write("key", pair.private());
    sandbox.write("key.pub", pair.public());
    sandbox
}

fn hand_over(from: &Sandbox, to: &Sandbox, file: &str) {
    std::fs::copy(from.home().join(file), to.home().join(file)).unwrap();
}

#[test]
fn a_machine_moves_to_another_store() {
    let (ann, bob) = (person("ann"), person("bob"));
    assert_eq!(ann.run(&["create", "web"]).code, 0);
    hand_over(&bob, &ann, "key.pub");
    assert_snapshot!(ann.run(&["export", "web", "--recipient", "key.pub"]), @r#"
    $ wharf export web --recipient key.pub
    HOME/web.age
    "#);
    hand_over(&ann, &bob, "web.age");
    let bytes = std::fs::read(bob.home().join("web.age")).unwrap();
    assert!(
        bytes.starts_with(b"age-encryption.org/v1") && !String::from_utf8_lossy(&bytes).contains("memory")
    );
    assert_snapshot!(bob.run(&["import", "--dry-run", "web.age"]), @r#"
    $ wharf import --dry-run web.age
    web: would be imported, a machine of driver `memory`
      its engine believes the store that it came from: `wharf provision web` has it believe this one
    "#);
    assert_eq!(bob.run(&["ls", "-q"]).stdout, "", "nothing was imported");
    assert_snapshot!(bob.run(&["import", "web.age"]), @r#"
    $ wharf import web.age
    web: imported, a machine of driver `memory`
      its engine believes the store that it came from: `wharf provision web` has it believe this one
    "#);
    assert_snapshot!(bob.run(&["ls"]), @r#"
    $ wharf ls
    NAME   ACTIVE   DRIVER   STATE     URL                    DOCKER   ERRORS
    web    -        memory   Running   tcp://192.0.2.7:2376   v0.1.0
    "#);
    let key = |sandbox: &Sandbox| {
        std::fs::read_to_string(sandbox.store().join("machines/web/keys/id_ed25519")).unwrap()
    };
    assert_eq!(key(&ann), key(&bob));
    assert_snapshot!(bob.run(&["import", "web.age"]), @r#"
    $ wharf import web.age
    ! error: there is a machine `web` here already
    ! hint: it is left as it is; `wharf rm` removes it, if the one in the bundle is to take its place
    [exit 3]
    "#);
    assert_eq!(bob.run(&["provision", "web"]).code, 0);
    assert_eq!(bob.run(&["stop", "web"]).code, 0);
    assert_eq!(ann.run(&["import", "web.age"]).code, 7, "it is for bob");
    assert_snapshot!(ann.run(&["export", "web", "--recipient", "key.pub"]), @r#"
    $ wharf export web --recipient key.pub
    ! error: HOME/web.age is there already
    ! hint: name another file with --out
    [exit 3]
    "#);
}

#[test]
fn a_fleet_moves_to_a_shared_store_by_a_passphrase() {
    let ann = Sandbox::new().env("WHARF_PASSPHRASE_FILE", "passphrase");
    ann.write("passphrase", "correct horse\n");
    ann.write("fleet.yaml", "fleet: shop\nmachines:\n  web-{1..3}:\n    driver: memory\n");
    assert_eq!(ann.run(&["apply", "--yes"]).code, 0);
    assert_eq!(ann.run(&["create", "alone"]).code, 0);
    assert_snapshot!(ann.run(&["export", "--fleet", "shop"]), @r#"
    $ wharf export --fleet shop
    HOME/shop.age
    "#);
    assert_snapshot!(ann.run(&["export", "--fleet", "none"]), @r#"
    $ wharf export --fleet none
    ! error: there are no machines of fleet `none`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    "#);
    let there = ["--store", "s3://moving"];
    assert_eq!(ann.run(&["store", "init", "s3://moving"]).code, 0);
    assert_snapshot!(ann.run(&[&there[..], &["import", "shop.age"]].concat()), @r#"
    $ wharf --store s3://moving import shop.age
    web-1: imported, a machine of driver `memory`
      its engine believes the store that it came from: `wharf provision web-1` has it believe this one
    web-2: imported, a machine of driver `memory`
      its engine believes the store that it came from: `wharf provision web-2` has it believe this one
    web-3: imported, a machine of driver `memory`
      its engine believes the store that it came from: `wharf provision web-3` has it believe this one
    "#);
    assert_eq!(ann.run(&[&there[..], &["ls", "-q"]].concat()).stdout, "web-1\nweb-2\nweb-3\n");
    assert_eq!(ann.run(&[&there[..], &["plan"]].concat()).code, 0, "it is the same fleet there");
}

#[test]
fn what_cannot_move_is_said() {
    let ann = person("ann");
    assert_eq!(ann.run(&["create", "web"]).code, 0);
    assert_snapshot!(ann.run(&["export", "web"]), @r#"
    $ wharf export web
    ! error: private keys would lie open in the file
    ! hint: say who opens it with --recipient KEY, or name a file with a passphrase with WHARF_PASSPHRASE_FILE
    [exit 3]
    "#);
    assert_snapshot!(ann.run(&["export", "db", "--recipient", "key.pub"]), @r#"
    $ wharf export db --recipient key.pub
    ! error: there is no machine `db`
    ! hint: `wharf ls` shows the machines there are
    [exit 4]
    "#);
    assert_eq!(ann.run(&["create", "broken", "--memory-fails", "boot"]).code, 1);
    assert_snapshot!(ann.run(&["export", "broken", "--recipient", "key.pub"]), @r#"
    $ wharf export broken --recipient key.pub
    ! error: machine `broken` is not finished
    ! hint: `wharf create broken` goes on where it stopped
    [exit 3]
    "#);
    ann.write(".local/share/wharf/machines/web/driver/disk", "a disk");
    assert_snapshot!(ann.run(&["export", "web", "--recipient", "key.pub"]), @r#"
    $ wharf export web --recipient key.pub
    ! error: what driver `memory` keeps of machine `web` is on this computer
    ! hint: make another one where it is wanted
    [exit 3]
    "#);
    assert_snapshot!(ann.run(&["import", "key.pub"]), @r#"
    $ wharf import key.pub
    ! error: this is no bundle that can be imported: Header is invalid
    ! hint: `wharf export` makes one; nothing of this file was taken over
    [exit 3]
    "#);
    assert_snapshot!(ann.run(&["import", "nowhere.age"]), @r#"
    $ wharf import nowhere.age
    ! error: the bundle `HOME/nowhere.age` cannot be read: No such file or directory (os error 2)
    ! hint: `wharf export` makes one; docker-machine's machines come with --from docker-machine
    [exit 1]
    "#);
}

#[test]
fn an_import_that_is_killed_anywhere_is_ended_by_the_next() {
    let ann = person("ann");
    assert_eq!(ann.run(&["create", "web"]).code, 0);
    assert_eq!(ann.run(&["export", "web", "--recipient", "key.pub"]).code, 0);
    let mut writes = 0;
    loop {
        let bob = person("bob");
        hand_over(&ann, &bob, "web.age");
        hand_over(&ann, &bob, "key");
        cut::after(bob.home(), writes);
        bob.run(&["import", "web.age"]);
        let killed = cut::mend(bob.home());
        if killed {
            let ended = bob.run(&["import", "web.age"]);
            assert_eq!(ended.code, 0, "after {writes} writes: {ended}");
        }
        assert_eq!(bob.run(&["status", "web"]).stdout, "Running\n", "after {writes} writes");
        let known = std::fs::read_to_string(bob.store().join("machines/web/known_hosts")).unwrap();
        assert!(known.starts_with("192.0.2.7 ssh-ed25519 "), "ssh finds no host key: {known}");
        assert_eq!(bob.run(&["provision", "web"]).code, 0);
        if !killed {
            break;
        }
        writes += 1;
    }
    assert!(writes > 5, "it was killed {writes} times");
}
