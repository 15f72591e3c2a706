//! `import`: machines as docker-machine kept them, of each version of its configuration.

use std::path::Path;

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/docker-machine");
const OLD: &str = ".docker/machine";

/// A person with these machines of docker-machine's.
fn moving(machines: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new().and_hosts();
    let copy = |folder: &str| {
        for file in std::fs::read_dir(Path::new(FIXTURES).join(folder)).unwrap() {
            let file = file.unwrap();
            let to = format!("{OLD}/{folder}/{}", file.file_name().to_str().unwrap());
            sandbox.write(&to, &std::fs::read_to_string(file.path()).unwrap());
        }
    };
    copy("certs");
    machines.iter().for_each(|machine| copy(&format!("machines/{machine}")));
    sandbox
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn machines_of_every_version_move_over() {
    let sandbox = moving(&["dev", "runner", "stack", "rack", "elsewhere"]);
    let before = files(&sandbox.home().join(OLD));
    assert_snapshot!(sandbox.run(&["import", "--from", "docker-machine"]), @r"
    $ wharf import --from docker-machine
    dev  tcp://192.168.99.100:2376  (virtualbox, kept as `ssh`)
      works  ls, url, ip, inspect, rm
      works  env, config, context: with the certificates of docker-machine
      works  ssh, scp: with the key of docker-machine, which kept no host key: the first connection asks
      won't  start, stop, kill: by what `virtualbox` itself offers; `rm` forgets the machine and leaves it there
      won't  regenerate-certs, provision: its engine is not wharf's; once that is off the host, `provision` brings wharf's own
    elsewhere  tcp://192.0.2.9:2375  (none)
      works  ls, url, ip, inspect, rm
      works  env, config, context: with the certificates of docker-machine
      won't  ssh, scp, provision, start, stop: it is an address and nothing else
    rack  tcp://[2001:db8::7]:2376  (generic, kept as `ssh`)
      works  ls, url, ip, inspect, rm
      works  env, config, context: with the certificates of docker-machine
      works  ssh, scp: with the key of docker-machine, which kept no host key: the first connection asks
      won't  start, stop, kill: nobody has power over it from here, as before
      won't  regenerate-certs, provision: its engine is not wharf's; once that is off the host, `provision` brings wharf's own
    runner  tcp://10.0.0.10:2376  (amazonec2, kept as `ssh`)
      works  ls, url, ip, inspect, rm
      works  env, config, context: with the certificates of docker-machine
      works  ssh, scp: with the key of docker-machine, which kept no host key: the first connection asks
      won't  start, stop, kill: by what `amazonec2` itself offers; `rm` forgets the machine and leaves it there
      won't  regenerate-certs, provision: its engine is not wharf's; once that is off the host, `provision` brings wharf's own
    stack  tcp://198.51.100.4:2377  (azure, kept as `ssh`)
      works  ls, url, ip, inspect, rm
      works  env, config, context: with the certificates of docker-machine
      works  ssh, scp: with the key of docker-machine, which kept no host key: the first connection asks
      won't  start, stop, kill: by what `azure` itself offers; `rm` forgets the machine and leaves it there
      won't  regenerate-certs, provision: its engine is not wharf's; once that is off the host, `provision` brings wharf's own
    ! 5 of 5 machines imported; none was touched
    ");
    assert_eq!(files(&sandbox.home().join(OLD)), before, "what docker-machine has stays as it was");
    assert_snapshot!(sandbox.run(&["url", "dev", "runner", "stack", "rack", "elsewhere"]), @r"
    $ wharf url dev runner stack rack elsewhere
    tcp://192.168.99.100:2376
    tcp://10.0.0.10:2376
    tcp://198.51.100.4:2377
    tcp://[2001:db8::7]:2376
    tcp://192.0.2.9:2375
    ");
    assert_snapshot!(sandbox.run(&["env", "rack", "--shell", "bash"]), @r#"
    $ wharf env rack --shell bash
    export DOCKER_TLS_VERIFY="1"
    export DOCKER_HOST="tcp://[2001:db8::7]:2376"
    export DOCKER_CERT_PATH="HOME/.local/share/wharf/machines/rack"
    export DOCKER_MACHINE_NAME="rack"
    # Run this command to configure your shell: 
    # eval $(wharf env rack --shell bash)
    "#);
    assert_snapshot!(sandbox.run(&["inspect", "-f", "{{.Driver.SSHUser}} {{.Driver.SSHPort}} {{.Driver.SSHKeyPath}}", "rack"]), @r"
    $ wharf inspect -f {{.Driver.SSHUser}} {{.Driver.SSHPort}} {{.Driver.SSHKeyPath}} rack
    ops 2222 HOME/.local/share/wharf/machines/rack/keys/imported
    ");
    assert_snapshot!(sandbox.run(&["inspect", "-f", "{{.HostOptions.EngineOptions.Labels}} {{.Driver.IPAddress}} {{.Driver.SSHUser}}", "runner"]), @r"
    $ wharf inspect -f {{.HostOptions.EngineOptions.Labels}} {{.Driver.IPAddress}} {{.Driver.SSHUser}} runner
    [team=build] 10.0.0.10 ubuntu
    ");
}

#[test]
fn what_opened_a_machine_is_kept_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = moving(&["rack"]);
    sandbox.run(&["import", "--from", "docker-machine"]);
    // A command that would write its own certificates anywhere else.
    assert_eq!(sandbox.run(&["env", "rack"]).code, 0);
    let kept = sandbox.store().join("machines/rack");
    for (here, there) in [
        ("ca.pem", "certs/ca.pem"),
        ("cert.pem", "certs/cert.pem"),
        ("key.pem", "certs/key.pem"),
        ("keys/imported", "machines/rack/id_rsa"),
    ] {
        let file = kept.join(here);
        let old = sandbox.home().join(OLD).join(there);
        assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(old).unwrap(), "{here}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{here}");
    }
}

#[test]
fn secrets_of_a_cloud_stay_behind() {
    let sandbox = moving(&["runner"]);
    assert_eq!(sandbox.run(&["import", "--from", "docker-machine"]).code, 0);
    let holds = |content: &[u8], what: &str| String::from_utf8_lossy(content).contains(what);
    let written = files(&sandbox.store());
    assert!(written.iter().any(|(_, content)| holds(content, "10.0.0.10")));
    for secret in ["an old secret", "AKIAEXAMPLE"] {
        assert!(!written.iter().any(|(_, content)| holds(content, secret)), "{secret}");
    }
}

#[test]
fn an_old_engine_stays_another_program_s() {
    let sandbox = moving(&["rack"]);
    sandbox.run(&["import", "--from", "docker-machine"]);
    assert_snapshot!(sandbox.run(&["regenerate-certs", "rack"]), @r"
    $ wharf regenerate-certs rack
    ! error: the engine of machine `rack` is docker-machine's, and so are its certificates
    ! hint: once that engine is off the host, `wharf provision rack` brings wharf's own
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["stop", "rack"]), @r"
    $ wharf stop rack
    ! rack: stopping it
    ! error: machine `rack` cannot be stopped: driver `ssh` has no power over it
    ! hint: use `wharf ssh rack` and the host's own commands
    [exit 3]
    ");
    assert_snapshot!(sandbox.run(&["rm", "-y", "rack"]), @r"
    $ wharf rm -y rack
    ! rack: finding out what an earlier command left
    ! rack: removing it
    ! rack: remove rack-ID-host
    ! rack: 2001:db8::7 stays as it is, with the engine that docker-machine brought
    ! rack: removed (N s)
    ");
    assert!(!sandbox.store().join("machines/rack").exists());
}

#[test]
fn nothing_is_written_by_a_dry_run() {
    let sandbox = moving(&["rack"]);
    assert_snapshot!(sandbox.run(&["import", "--from", "docker-machine", "--dry-run"]), @r"
    $ wharf import --from docker-machine --dry-run
    rack  tcp://[2001:db8::7]:2376  (generic, kept as `ssh`)
      works  ls, url, ip, inspect, rm
      works  env, config, context: with the certificates of docker-machine
      works  ssh, scp: with the key of docker-machine, which kept no host key: the first connection asks
      won't  start, stop, kill: nobody has power over it from here, as before
      won't  regenerate-certs, provision: its engine is not wharf's; once that is off the host, `provision` brings wharf's own
    ! 1 of 1 machines would be imported; nothing was written
    ");
    assert!(!sandbox.store().join("machines").exists());
}

#[test]
fn what_cannot_move_hides_nothing_that_can() {
    let sandbox = moving(&["rack", "half", "future", "torn"]);
    assert_snapshot!(sandbox.run(&["import", "--from", "docker-machine", OLD]), @r"
    $ wharf import --from docker-machine .docker/machine
    rack  tcp://[2001:db8::7]:2376  (generic, kept as `ssh`)
      works  ls, url, ip, inspect, rm
      works  env, config, context: with the certificates of docker-machine
      works  ssh, scp: with the key of docker-machine, which kept no host key: the first connection asks
      won't  start, stop, kill: nobody has power over it from here, as before
      won't  regenerate-certs, provision: its engine is not wharf's; once that is off the host, `provision` brings wharf's own
    ! error: future: its configuration has version 4, and docker-machine never wrote one above 3
    ! hint: take it over by its address: `wharf create --driver ssh --ssh-address ADDRESS NAME`
    ! error: half: it has no config.json: its creation was cut off before anything was written down
    ! hint: look in its cloud for what that may have left
    ! error: torn: its config.json is damaged: EOF while parsing an object at line 1 column 32
    ! hint: bring the file back from a backup
    ! 1 of 4 machines imported; none was touched
    [exit 10]
    ");
    let ended = sandbox.run(&["import", "--from", "docker-machine"]);
    assert!(ended.stderr.contains("there is a machine `rack` here already"), "{ended}");
    assert_eq!(sandbox.run(&["ls", "-q"]).stdout, "rack\n");
}

#[test]
fn what_is_missing_is_said() {
    let sandbox = moving(&["dev"]);
    let of = |file: &str| sandbox.home().join(OLD).join(file);
    std::fs::remove_file(of("machines/dev/id_rsa")).unwrap();
    std::fs::remove_file(of("certs/key.pem")).unwrap();
    assert_snapshot!(sandbox.run(&["import", "--from", "docker-machine", "--dry-run"]), @r"
    $ wharf import --from docker-machine --dry-run
    dev  tcp://192.168.99.100:2376  (virtualbox, kept as `ssh`)
      works  ls, url, ip, inspect, rm
      won't  env, config, context: ca.pem, cert.pem and key.pem are neither in HOME/.docker/machine/machines/dev nor in HOME/.docker/machine/certs
      won't  ssh, scp: there is no SSH key in HOME/.docker/machine/machines/dev; your own keys are tried
      won't  start, stop, kill: by what `virtualbox` itself offers; `rm` forgets the machine and leaves it there
      won't  regenerate-certs, provision: its engine is not wharf's; once that is off the host, `provision` brings wharf's own
    ! 1 of 1 machines would be imported; nothing was written
    ");
    let day = time::OffsetDateTime::from_unix_timestamp(1_420_070_400).unwrap();
    let authority = wharf_pki::Authority::generate("old", day).unwrap();
    let client = wharf_pki::Client {
        name: "ann".into(),
        role: wharf_pki::Role::Admin,
        machine: None,
        valid: time::Duration::days(1080),
    };
    let leaf = authority.issue_client(&client, day).unwrap();
    sandbox.write(&format!("{OLD}/certs/cert.pem"), leaf.certificate.pem());
    sandbox.write(&format!("{OLD}/certs/key.pem"), leaf.key_pem.expose());
    let ended = sandbox.run(&["import", "--from", "docker-machine", "--dry-run"]);
    assert!(ended.stdout.contains("the client certificate ended on 2017-12-16"), "{ended}");
}

#[test]
fn a_folder_without_machines_is_refused() {
    let sandbox = Sandbox::new().and_hosts();
    assert_snapshot!(sandbox.run(&["import", "--from", "docker-machine"]), @r"
    $ wharf import --from docker-machine
    ! error: HOME/.docker/machine holds no machines of docker-machine's
    !   because: No such file or directory (os error 2)
    ! hint: name the folder that has `machines` in it, usually ~/.docker/machine
    [exit 1]
    ");
    assert_snapshot!(sandbox.run(&["import", "--from", "podman"]), @r"
    $ wharf import --from podman
    ! error: invalid value 'podman' for '--from <PROGRAM>'
    !   [possible values: docker-machine]
    !
    ! For more information, try '--help'.
    [exit 2]
    ");
}
