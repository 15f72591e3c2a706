//! The examples for CI systems: what stands under `run:` and `script:`, run as a job would.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use wharf_sim::Flavour;
use wharf_tests::{Lab, static_agent, wharf_program};

use crate::aws::scene::moto;
use crate::azure::scene::Scene;
use crate::world::{World, expect_success, text};

/// An example's file.
fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ci");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The blocks under `run: |`, in their order.
fn steps(workflow: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut inside = None;
    for line in workflow.lines() {
        let indent = line.len() - line.trim_start().len();
        if inside.is_some_and(|block| indent > block) {
            let step = steps.last_mut().unwrap();
            *step += &format!("{line}\n");
            continue;
        }
        inside = (line.trim_start() == "run: |").then(|| {
            steps.push(String::new());
            indent
        });
    }
    steps
}

/// The commands under a key, in their order.
fn commands(job: &str, key: &str) -> String {
    let lines = job.lines().skip_while(|line| line.trim() != key).skip(1);
    let items = lines.map_while(|line| line.trim_start().strip_prefix("- "));
    items.map(|item| format!("{item}\n")).collect()
}

/// A job of this forge, in a folder with the fleet file. Nobody gives it a cloud's secret.
fn job(scene: &Scene, forge: &str, script: &str, given: &[(&str, String)]) -> (bool, String) {
    let (bin, folder) = (scene.world.home.join("bin"), scene.world.home.join("work"));
    for place in [&bin, &folder] {
        std::fs::create_dir_all(place).unwrap();
    }
    let docker = World::docker_program();
    for (program, name) in [(wharf_program(), "wharf"), (Path::new(&docker), "docker")] {
        if program.is_absolute() && !bin.join(name).exists() {
            std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
        }
    }
    let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ci/fleet.yaml");
    std::fs::copy(fleet, folder.join("fleet.yaml")).unwrap();
    let mut shell: Command = scene.command("bash");
    shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(&folder);
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{path}", bin.display())).env(forge, "true").env("WHARF_KEYRING", "off");
    shell.env_remove("AZURE_CLIENT_SECRET").envs(given.iter().map(|(name, value)| (name, value)));
    let output = shell.env("WHARF_AGENT", static_agent()).output().unwrap();
    (output.status.success(), text(&output))
}

/// What a runner of GitHub has for jobs with the permission `id-token: write`: a service that gives each a token.
fn token_service(scene: &Scene) -> Vec<(&'static str, String)> {
    let listener = scene.world.lab.enter(|| TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let token = scene.job_token();
    // It ends with the process: it holds nothing but its port in the lab.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let asked = lines.by_ref().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
            let right = asked.contains("audience=api%3A%2F%2FAzureADTokenExchange")
                && asked.to_ascii_lowercase().contains("authorization: bearer of-the-runner");
            let (status, body) = match right {
                true => ("200 OK", format!("{{\"value\":\"{token}\"}}")),
                false => ("403 Forbidden", "{}".to_owned()),
            };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    vec![
        ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("http://{address}/token?api-version=2.0")),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-runner".to_owned()),
    ]
}

/// What every job leaves behind: a report of two good machines, and nothing else.
fn judge(scene: &Scene, said: &str) {
    for machine in ["ci-1", "ci-2"] {
        assert!(said.contains(" runs ") && said.contains(machine), "{said}");
    }
    let report = std::fs::read_to_string(scene.world.home.join("work/wharf.xml")).unwrap();
    assert!(report.contains("tests=\"2\" failures=\"0\""), "{report}");
    scene.nothing_is_left();
}

#[test]
fn a_job_of_github_makes_uses_and_removes_its_machines() {
    let scene = Scene::new(Flavour::Public);
    let (given, file) = (token_service(&scene), example("github.yml"));
    assert!(file.contains("id-token: write") && !file.contains("secrets."), "{file}");
    let steps = steps(&file);
    assert_eq!(steps.len(), 3, "make, use, remove");
    let mut said = String::new();
    for step in steps {
        let (good, more) = job(&scene, "GITHUB_ACTIONS", &step, &given);
        assert!(good, "{step}: {more}");
        said += &more;
    }
    let count = |word: &str| said.lines().filter(|line| *line == word).count();
    assert_eq!((count("::group::ci-1"), count("::group::ci-2")), (2, 2), "made and removed: {said}");
    assert_eq!(count("::endgroup::"), 4, "{said}");
    judge(&scene, &said);
}

#[test]
fn a_job_of_gitlab_makes_uses_and_removes_its_machines() {
    let scene = Scene::new(Flavour::Public);
    let token_file = scene.world.home.join("work/.azure-token").display().to_string();
    let given = [("AZURE_TOKEN", scene.job_token()), ("AZURE_FEDERATED_TOKEN_FILE", token_file)];
    let file = example("gitlab.yml");
    let mut said = String::new();
    for key in ["before_script:", "script:", "after_script:"] {
        let script = commands(&file, key);
        assert!(!script.is_empty(), "{key}: {script}");
        let (good, more) = job(&scene, "GITLAB_CI", &script, &given);
        assert!(good, "{script}: {more}");
        said += &more;
    }
    let count = |word: &str| said.matches(word).count();
    assert_eq!((count("section_start:"), count("section_end:")), (4, 4), "{said}");
    judge(&scene, &said);
}

/// moto on the lab's network.
fn s3(lab: &Lab) -> SocketAddr {
    let listener = lab.enter(|| TcpListener::bind("127.0.0.1:0")).unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = UnixStream::connect(moto().socket()).unwrap();
            let (mut asking, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut asking, &mut asked);
                let _ = asked.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut &server, &mut &client);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    at
}

#[test]
fn a_job_applies_a_fleet_in_a_teams_store_with_the_key_of_its_secret() {
    let scene = Scene::new(Flavour::Public);
    let at = s3(&scene.world.lab);
    let signature = "Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
    let bucket = format!("http://{at}/team");
    expect_success(scene.world.lab.command("curl").args(["-sfX", "PUT", "-H", signature, &bucket]));
    let store = format!("s3://team/machines?endpoint=http://{at}&region=us-east-1");

    // Ann sets the store up, and lets the job in.
    let [ann, robot, stranger] = [(); 3].map(|()| age::x25519::Identity::generate());
    let secret = |identity: &age::x25519::Identity| {
        age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned()
    };
    let keys = scene.world.home.join("ann.key");
    std::fs::File::create(&keys).unwrap().write_all(secret(&ann).as_bytes()).unwrap();
    let credentials =
        [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("WHARF_KEYRING", "off")];
    let by_ann = |arguments: &[&str]| {
        let mut wharf = scene.world.wharf(arguments);
        wharf.envs(credentials).env("WHARF_STORE", &store).env("WHARF_IDENTITY", &keys);
        expect_success(wharf.env("WHARF_HOME", scene.world.home.join("of-ann")).env("USER", "ann"))
    };
    by_ann(&["store", "init", "--recipient", &format!("ann={}", ann.to_public()), &store]);
    by_ann(&["store", "add-recipient", "nightly", "--role", "admin", &robot.to_public().to_string()]);

    let steps = steps(&example("team.yml"));
    assert_eq!(steps.len(), 3, "the key, the machines, the key again");
    let identity = scene.world.home.join("work/.identity");
    let given = |who: &age::x25519::Identity| {
        let mut given = token_service(&scene);
        given.extend(credentials.map(|(name, value)| (name, value.to_owned())));
        given.push(("WHARF_STORE", store.clone()));
        given.push(("WHARF_IDENTITY", identity.display().to_string()));
        given.push(("WHARF_AGE_KEY", secret(who)));
        given
    };
    // With a key that nobody let in, nothing is made.
    job(&scene, "GITHUB_ACTIONS", &steps[0], &given(&stranger));
    let (good, said) = job(&scene, "GITHUB_ACTIONS", &steps[1], &given(&stranger));
    assert!(!good && !said.contains("made in"), "{said}");
    assert!(!said.contains(&secret(&stranger)), "{said}");

    let given = given(&robot);
    let (good, said) = job(&scene, "GITHUB_ACTIONS", &steps[0], &given);
    assert!(good && said.contains("nightly") && said.contains("admin"), "{said}");
    let (good, said) = job(&scene, "GITHUB_ACTIONS", &steps[1], &given);
    assert!(good, "{said}");
    assert_eq!(by_ann(&["ls", "-q"]), "ci-1\nci-2\n", "the team sees what the job made");
    let (good, said) = job(&scene, "GITHUB_ACTIONS", "wharf destroy --yes", &given);
    assert!(good, "{said}");
    let (good, said) = job(&scene, "GITHUB_ACTIONS", &steps[2], &given);
    assert!(good && !identity.exists(), "{said}");
    assert_eq!(by_ann(&["ls", "-q"]), "");
}
