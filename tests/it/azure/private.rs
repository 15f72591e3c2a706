//! A stamp in a network of its own: Resource Manager answers behind a proxy, and the machine, which has no public address,
//! behind a jump host.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use wharf_sim::Flavour;
use wharf_tests::Host;

use super::proxy::Proxy;
use super::scene::{CREATE, Scene};
use crate::world::{World, text};

/// A host of the lab that stands in the machines' network, too, and that the person signs in to by themselves.
fn jump_host(world: &World) -> Host {
    let host = world.lab.host();
    host.run("ip address add 192.168.0.250/24 dev host0");
    let folder = world.home.join(".ssh");
    std::fs::create_dir_all(&folder).unwrap();
    private_copy(&host.key_file, &folder.join("id_ed25519"));
    let mut known = std::fs::File::create(folder.join("known_hosts")).unwrap();
    writeln!(known, "{} {}", host.address, host.host_key).unwrap();
    host
}

fn private_copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    std::fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// Neither without the proxy nor past it does a way lead to the cloud.
fn no_other_way_leads_there(scene: &Scene, proxy: &Proxy) {
    let refused = |wharf: &mut std::process::Command, why: &str| {
        let output = wharf.args(["--timeout", "20"]).output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{why}: {}", text(&output));
        assert_eq!(proxy.led_to(), [""; 0], "{why}");
    };
    refused(&mut scene.wharf(CREATE), "without the proxy");
    let mut past = scene.wharf(CREATE);
    refused(past.env("HTTPS_PROXY", &proxy.url).env("NO_PROXY", ".localhost"), "past the proxy");
    scene.nothing_is_left();
}

#[test]
fn a_private_machine_is_made_through_a_proxy_and_reached_through_a_jump_host() {
    let (mut scene, proxy) = Scene::behind_a_proxy(Flavour::Hub2020);
    no_other_way_leads_there(&scene, &proxy);
    scene.set("HTTPS_PROXY", proxy.url.clone());
    let jump = jump_host(&scene.world);
    let way = format!("root@{}", jump.address);
    scene.wharf_ok(&[&CREATE[..], &["--azure-no-public-ip", "--azure-ssh-jump", &way]].concat());
    let endpoint = scene.simulator.endpoint().trim_start_matches("https://").to_owned();
    let led = proxy.led_to();
    assert!(led.contains(&endpoint) && led.iter().all(|to| to.contains("stamp1.localhost:")), "{led:?}");

    let address = scene.wharf_ok(&["ip", "web1"]);
    assert!(address.starts_with("192.168."), "{address}");
    assert!(!scene.world.docker("web1", ["version"]).output().unwrap().status.success(), "there is no way");
    assert_eq!(scene.wharf_ok(&["ssh", "web1", "hostname"]), "web1\n");
    scene.through_the_tunnel(Scene::runs_containers);

    scene.wharf_ok(&["stop", "web1"]);
    scene.wharf_ok(&["start", "web1"]);
    scene.through_the_tunnel(Scene::runs_the_image);
    scene.wharf_ok(&["rm", "-y", "web1"]);
    scene.nothing_is_left();
    scene.nothing_was_refused();
}

impl Scene {
    /// Does something while the tunnel is open.
    fn through_the_tunnel(&self, work: impl Fn(&Self)) {
        let mut wharf = self.wharf(["tunnel", "web1"]);
        let mut tunnel = wharf.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(tunnel.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("tcp://127.0.0.1:"), "{url}");
        work(self);
        let id = nix::unistd::Pid::from_raw(i32::try_from(tunnel.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        assert_eq!(tunnel.wait().unwrap().code(), Some(0));
    }
}
