//! Three hundred containers, one after another and side by side, by bollard over mutual TLS: the host is afterwards what
//! it was before. `tests/soak.sh lives` has ten thousand of them live.

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, PortBinding};
use bollard::query_parameters::{RemoveContainerOptionsBuilder, WaitContainerOptions};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use wharf_tests::Host;

use crate::docker::import_busybox;
use crate::world::{World, text};

const LIVES: usize = 300;
const AT_ONCE: usize = 8;

/// How many live: as many as `WHARF_TEST_LIVES` says.
fn count() -> usize {
    std::env::var("WHARF_TEST_LIVES").map_or(LIVES, |text| text.parse().expect("a number"))
}

#[test]
fn three_hundred_lives_leave_a_host_as_it_was() {
    let world = World::new();
    let host = world.lab.host();
    world.create("web1", &host);
    import_busybox(&world, "web1");
    // One that stays: without any container the engine keeps no rules that could be counted.
    world.docker_ok("web1", &["run", "-d", "-p", "8080:80", "busybox", "sleep", "86400"]);
    let folder = world.store.join("machines/web1");
    let [key, certificate, authority] = ["key.pem", "cert.pem", "ca.pem"].map(|file| folder.join(file));
    let address = format!("tcp://{}:2376", host.address);
    world.lab.enter(|| {
        // A second provider may be there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let version = bollard::API_DEFAULT_VERSION;
            let docker =
                Docker::connect_with_ssl(&address, &key, &certificate, &authority, 60, version).unwrap();
            // The first ones make what the engine keeps.
            lives(&docker, AT_ONCE).await;
            let before = traces(&host);
            assert!(before["rules"] > 0 && before["mounts"] > 0, "nothing was counted: {before:?}");
            lives(&docker, count()).await;
            eventually("nothing is left", || (traces(&host), before.clone()));
        });
    });
}

async fn lives(docker: &Docker, count: usize) {
    let all = stream::iter(0..count).map(|number| async move {
        live(docker, number).await.unwrap_or_else(|error| panic!("life {number}: {error}"));
    });
    all.buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// One container with an address, a published port and a volume of its own, which ends with a code of its own.
async fn live(docker: &Docker, number: usize) -> Result<(), bollard::errors::Error> {
    let code = i64::try_from(number % 100).unwrap();
    let any_port = vec![PortBinding { host_ip: None, host_port: Some(String::new()) }];
    let volume = Mount { target: Some("/data".to_owned()), typ: Some(MountType::VOLUME), ..Mount::default() };
    let body = ContainerCreateBody {
        image: Some("busybox".to_owned()),
        cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), format!("echo {number} >/data/file; exit {code}")]),
        exposed_ports: Some(vec!["80/tcp".to_owned()]),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([("80/tcp".to_owned(), Some(any_port))])),
            mounts: Some(vec![volume]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let id = docker.create_container(None, body).await?.id;
    docker.start_container(&id, None).await?;
    let ended = docker.wait_container(&id, None::<WaitContainerOptions>).try_collect::<Vec<_>>().await;
    match ended {
        Ok(ended) => assert_eq!(ended[0].status_code, code),
        // This is how bollard tells a code other than nought.
        Err(bollard::errors::Error::DockerContainerWaitError { code: ended, .. }) => assert_eq!(ended, code),
        Err(error) => return Err(error),
    }
    let with_volumes = RemoveContainerOptionsBuilder::default().v(true).build();
    docker.remove_container(&id, Some(with_volumes)).await
}

/// What could leak on a host, counted.
fn traces(host: &Host) -> BTreeMap<String, usize> {
    let said = host.run(
        r#"
        pid=$(systemctl show --property=MainPID --value wharfd)
        count() { echo "$1 $(wc -l)"; }
        ip -o link | count links
        ip -o address | count addresses
        wc -l </proc/mounts | { read n; echo "mounts $n"; }
        find /sys/fs/cgroup -type d | count groups
        ls /proc | grep -c '^[0-9]' | { read n; echo "processes $n"; }
        ls -l /proc/$pid/fd | grep -v 'socket:\|total' | count descriptors
        find /run/wharf | count runtime-files
        find /var/lib/wharf -maxdepth 3 | count data-files
        readlink /proc/self/ns/net | sed 's/^/namespace /'
        "#,
    );
    let words = said.lines().filter_map(|line| line.split_once(' '));
    let mut counted = BTreeMap::new();
    for (what, value) in words {
        if what == "namespace" {
            counted.insert("rules".to_owned(), rules(value));
        } else {
            counted.insert(what.to_owned(), value.trim().parse().unwrap());
        }
    }
    counted
}

/// The lines of the engine's own table. The host has no program for that, so this computer's looks.
fn rules(namespace: &str) -> usize {
    let there = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path().join("ns/net")).is_ok_and(|link| link.as_os_str() == namespace)
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(there);
    // Any of them may end before it is entered.
    let mut looks = processes.map(|process| {
        Command::new("nsenter")
            .arg(format!("--net={}/ns/net", process.path().display()))
            .args(["nft", "list", "ruleset"])
            .output()
            .unwrap()
    });
    let listed = looks.find(|listed| listed.status.success());
    text(&listed.expect("a process of the host that stays")).lines().count()
}

fn eventually<T: PartialEq + std::fmt::Debug>(what: &str, mut look: impl FnMut() -> (T, T)) {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let (now, wanted) = look();
        if now == wanted {
            return;
        }
        assert!(Instant::now() < end, "waited too long until {what}: {now:?} instead of {wanted:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
