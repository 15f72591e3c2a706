//! A registry whose certificate an authority of one's own signed, believed because the fleet file says so.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use wharf_tests::Host;

use crate::docker::{import_busybox, wait_until};
use crate::world::{World, expect_success, text};

/// Debian's docker-registry beside the hosts, with a certificate of its own authority; it ends with this.
struct Registry {
    child: Child,
}

/// Where the lab's hosts find it.
const ADDRESS: &str = "10.99.0.1:5443";

impl Registry {
    /// Starts it; its authority is written to `registry.pem` in the person's home.
    fn new(world: &World) -> Self {
        let folder = world.lab.scratch().join("registry");
        std::fs::create_dir_all(&folder).unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "an authority of one's own");
        let certificate = authority.self_signed(&authority_key).unwrap();
        write(world.home.join("registry.pem"), certificate.pem()).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let (host, _) = ADDRESS.split_once(':').unwrap();
        let server = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
        let server = server.signed_by(&key, &issuer).unwrap();
        write(folder.join("server.pem"), server.pem()).unwrap();
        write(folder.join("server.key"), key.serialize_pem()).unwrap();
        let at = folder.display();
        let configuration = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\nhttp:\n  addr: {ADDRESS}\n  \
             tls: {{certificate: {at}/server.pem, key: {at}/server.key}}\n"
        );
        write(folder.join("registry.yml"), configuration).unwrap();
        let mut serve: Command = world.lab.command("setpriv");
        serve.args(["--pdeathsig", "KILL", "docker-registry", "serve"]).arg(folder.join("registry.yml"));
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let registry = Self { child };
        wait_until("the registry answers", || {
            let mut asked = world.lab.command("curl");
            let asked = asked.args(["-sk", "-o", "/dev/null", &format!("https://{ADDRESS}/v2/")]);
            asked.status().unwrap().success()
        });
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of the test's.
fn write(file: impl AsRef<Path>, text: impl AsRef<[u8]>) -> std::io::Result<()> {
    std::fs::File::create(file)?.write_all(text.as_ref())
}

fn fleet(world: &World, host: &Host, engine: &str) {
    let file = format!(
        "fleet: shop\nmachines:\n  web:\n    driver: ssh\n    options:\n      address: {}\n      user: root\n      \
         key: {}\n      host-key: {}\n    engine: {engine}\n",
        host.address,
        host.key_file.display(),
        crate::world::fingerprint(&host.host_key),
    );
    write(world.home.join("fleet.yaml"), file).unwrap();
}

fn ends(world: &World, arguments: &[&str], code: i32) -> String {
    let output = world.wharf(arguments).current_dir(&world.home).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

fn has_registry() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join("docker-registry").is_file());
    if !there {
        wharf_tests::skip("registries", "there is no docker-registry on PATH");
    }
    there
}

#[test]
fn a_fleet_file_has_engines_believe_a_registry_and_takes_that_back() {
    if !has_registry() {
        return;
    }
    let world = World::new();
    let host = world.lab.host();
    let _registry = Registry::new(&world);
    // Somebody's own, which is nobody else's business.
    host.run("mkdir -p /etc/wharf/certs.d/theirs:5000 && echo theirs >/etc/wharf/certs.d/theirs:5000/ca.crt");
    fleet(&world, &host, "{}");
    ends(&world, &["apply", "--yes"], 0);
    import_busybox(&world, "web");
    let image = format!("{ADDRESS}/busybox:1");
    world.docker_ok("web", &["tag", "busybox", &image]);
    let refused = text(&world.docker("web", ["push", &image]).output().unwrap());
    assert!(refused.to_lowercase().contains("unknownissuer"), "{refused}");

    fleet(&world, &host, &format!("{{ registry-ca: {{ \"{ADDRESS}\": registry.pem }} }}"));
    let said = ends(&world, &["plan"], 11);
    assert!(said.contains(&format!("configure   registry-ca of {ADDRESS}: nothing → ")), "{said}");
    let running = host.run("systemctl show -p MainPID wharfd");
    ends(&world, &["apply", "--yes"], 0);
    ends(&world, &["plan"], 0);
    assert_eq!(host.run("systemctl show -p MainPID wharfd"), running, "its engine was restarted");
    world.docker_ok("web", &["push", &image]);
    world.docker_ok("web", &["rmi", &image]);
    assert!(world.docker_ok("web", &["pull", &image]).contains("Downloaded newer image"));

    // What somebody broke by hand is brought again, and what nobody wants any more goes.
    host.run(&format!("rm /etc/wharf/certs.d/{ADDRESS}/ca.crt"));
    let again = expect_success(&mut world.wharf(["provision", "web"]));
    assert!(!again.contains("error"), "{again}");
    host.run(&format!("test -s /etc/wharf/certs.d/{ADDRESS}/ca.crt"));
    fleet(&world, &host, "{}");
    ends(&world, &["apply", "--yes"], 0);
    let refused = text(&world.docker("web", ["pull", &image]).output().unwrap());
    assert!(refused.to_lowercase().contains("unknownissuer"), "{refused}");

    fleet(&world, &host, &format!("{{ registry-ca: [\"{ADDRESS}=registry.pem\"] }}"));
    ends(&world, &["apply", "--yes"], 0);
    ends(&world, &["destroy", "--yes", "--purge"], 0);
    assert_eq!(host.run("find /etc/wharf -type f").trim(), "/etc/wharf/certs.d/theirs:5000/ca.crt");
}
