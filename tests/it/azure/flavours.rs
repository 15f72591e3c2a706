//! One life of a machine in each kind of cloud, by the same words.

use wharf_sim::Flavour;

use super::scene::{CREATE, Scene};
use crate::docker::wait_until;
use crate::world::text;

/// create → docker run → stop → start → docker run → rm.
fn a_life(flavour: Flavour, token: &str) {
    let scene = Scene::new(flavour);
    let created = scene.wharf_ok(&CREATE);
    assert!(created.contains("web1"), "{created}");
    scene.runs_containers();
    let address = scene.wharf_ok(&["ip", "web1"]);
    let answers = |port: u16| scene.answers(address.trim(), port);
    scene.serve();
    wait_until("the open port answers", || answers(8080));
    assert!(!answers(8081), "the cloud's firewall lets in what nobody opened");

    scene.wharf_ok(&["stop", "web1"]);
    assert_eq!(scene.wharf(["status", "web1"]).output().unwrap().stdout, b"Stopped\n");
    assert!(!scene.world.docker("web1", ["version"]).output().unwrap().status.success(), "it goes on");
    scene.wharf_ok(&["start", "web1"]);
    assert_eq!(scene.wharf_ok(&["ip", "web1"]), address, "a static address stays");
    scene.runs_the_image();
    wait_until("the container is back with its machine", || answers(8080));

    scene.wharf_ok(&["rm", "-y", "web1"]);
    scene.nothing_is_left();
    scene.nothing_was_refused();
    scene.signed_in_at(token);
}

impl Scene {
    /// A container that answers on two ports of its machine, one of which the cloud leads to.
    fn serve(&self) {
        let answer = "while true; do echo -e 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom-inside' | nc -l -p 80; done";
        let ports = ["-p", "8080:80", "-p", "8081:80"];
        let run =
            [&["run", "-d", "--restart", "always"], &ports[..], &["busybox", "sh", "-c", answer]].concat();
        self.world.docker_ok("web1", &run);
    }

    fn answers(&self, address: &str, port: u16) -> bool {
        let url = format!("http://{address}:{port}/");
        let asked = self.world.lab.command("curl").args(["-s", "-m", "2", &url]).output().unwrap();
        text(&asked).contains("from-inside")
    }
}

#[test]
fn a_machine_lives_in_public_azure() {
    a_life(Flavour::Public, "/oauth2/v2.0/token");
}

#[test]
fn a_machine_lives_in_us_gov_whose_versions_lag() {
    a_life(Flavour::UsGov, "/oauth2/v2.0/token");
}

/// The simulator's reading of what a machine is born with is strict; this is what its real reader makes of it, the
/// person's own data included.
#[test]
fn cloud_init_itself_brings_a_machine_up() {
    let scene = Scene::with_cloud_init(Flavour::Public);
    let own = scene.world.lab.scratch().join("own.yaml");
    std::io::Write::write_all(
        &mut std::fs::File::create(&own).unwrap(),
        b"#cloud-config\nwrite_files:\n  - {path: /etc/own, content: mine}\n",
    )
    .unwrap();
    let own = own.display().to_string();
    scene.wharf_ok(&[CREATE.as_slice(), &["--azure-custom-data", &own]].concat());
    scene.runs_containers();
    assert_eq!(scene.wharf_ok(&["ssh", "web1", "cat", "/etc/own"]), "mine");
    scene.wharf_ok(&["rm", "-y", "web1"]);
    scene.nothing_is_left();
    scene.nothing_was_refused();
}

#[test]
#[ignore = "as US Gov; tests/soak.sh azure runs it"]
fn a_machine_lives_in_china() {
    a_life(Flavour::China, "/oauth2/v2.0/token");
}

#[test]
#[ignore = "as the older stamp; tests/soak.sh azure runs it"]
fn a_machine_lives_on_the_oldest_stamp() {
    a_life(Flavour::Hub2018, "/adfs/oauth2/token");
}

#[test]
fn a_machine_lives_on_a_stamp() {
    a_life(Flavour::Hub2020, "/adfs/oauth2/token");
}

#[test]
fn a_machine_lives_on_an_older_stamp() {
    a_life(Flavour::Hub2019, "/adfs/oauth2/token");
}
