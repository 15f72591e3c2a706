//! `docker build` with the classic builder.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::engine::{Engine, Said};

fn write(path: &Path, text: &str) {
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// A context that is sent as it is.
struct Context(PathBuf);

impl Context {
    fn new(engine: &Engine, name: &str, files: &[(&str, &str)]) -> Self {
        let folder = engine.folder().join(name);
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            write(&path, text);
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn build(&self, engine: &Engine, arguments: &[&str]) -> Said {
        let folder = self.0.display().to_string();
        engine.docker(&[&["build"], arguments, &[folder.as_str()]].concat())
    }

    fn built(&self, engine: &Engine, arguments: &[&str]) -> String {
        let said = self.build(engine, arguments);
        assert_eq!(said.code, 0, "{said:?}");
        said.stdout
    }
}

const EVERYTHING: &str = r#"# escape=\
ARG BASE=busybox
FROM ${BASE} AS first
MAINTAINER ann
ENV A=1 B="two words"
LABEL l="$A ${NONE:-x}"
RUN echo $A > /made && adduser -D -H someone 2>/dev/null; mkdir /own && chown 33:33 /own
COPY --chown=web sub/ /data/sub/
COPY *.txt /texts/
ADD packed.tar /unpacked
WORKDIR /site
WORKDIR deeper
USER web
EXPOSE 80 53/udp 8000-8001
VOLUME ["/vol"]
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD true
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["echo"]
CMD ["a", "b c"]
FROM busybox
ARG WHAT=nothing
ONBUILD RUN echo triggered > /triggered
COPY --from=first /own /texts /taken/
RUN echo $WHAT > /what
CMD cat /what
"#;

fn everything(engine: &Engine) -> Context {
    let context = Context::new(
        engine,
        "everything",
        &[
            ("Dockerfile", EVERYTHING),
            ("sub/in/deep", "deep"),
            ("a.txt", "a"),
            ("b.txt", "b"),
            ("pack/me", "me"),
        ],
    );
    let tar = std::process::Command::new("tar");
    let packed =
        { tar }.current_dir(context.path()).args(["-cf", "packed.tar", "-C", "pack", "me"]).status().unwrap();
    assert!(packed.success());
    context
}

#[test]
fn every_instruction_does_what_it_says() {
    let engine = engine!("every_instruction_does_what_it_says");
    let context = everything(&engine);
    let said = context.built(&engine, &["-t", "all", "-t", "all:2", "--build-arg", "WHAT=this"]);
    assert!(
        said.contains("Step 1/25 : ARG BASE=busybox\nStep 2/25 : FROM ${BASE} AS first\n ---> "),
        "{said}"
    );
    assert!(
        said.contains(" ---> Running in ") && said.contains("Removing intermediate container "),
        "{said}"
    );
    assert!(
        said.contains("Successfully built ")
            && said.ends_with("Successfully tagged all:latest\nSuccessfully tagged all:2\n")
    );
    assert_eq!(engine.ok(&["run", "--rm", "all"]), "this\n");
    let seen =
        engine.ok(&["run", "--rm", "all:2", "sh", "-c", "ls /taken; ls -ld /taken/a.txt | cut -c1-10"]);
    assert_eq!(seen, "a.txt\nb.txt\n-rw-r--r--\n");
    assert!(
        engine.ok(&["history", "--no-trunc", "all"]).contains("|1 WHAT=this /bin/sh -c echo $WHAT > /what")
    );

    context.built(&engine, &["-t", "first", "--target", "FIRST", "--label", "z=$A"]);
    let inspect = |format: &str| engine.ok(&["inspect", "-f", format, "first"]).trim().to_owned();
    assert_eq!(inspect("{{json .Config.Entrypoint}} {{json .Config.Cmd}}"), r#"["echo"] ["a","b c"]"#);
    assert_eq!(
        inspect("{{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}}"),
        "web /site/deeper SIGINT"
    );
    assert_eq!(inspect("{{json .Config.Labels}}"), r#"{"l":"1 x","z":"$A"}"#);
    assert_eq!(inspect("{{json .Config.Env}}"), r#"["PATH=/bin","A=1","B=two words"]"#);
    assert_eq!(
        inspect("{{len .Config.ExposedPorts}} {{.Author}} {{json .Config.Volumes}}"),
        r#"4 ann {"/vol":{}}"#
    );
    assert_eq!(
        inspect("{{json .Config.Healthcheck.Test}} {{.Config.Healthcheck.Interval}}"),
        r#"["CMD-SHELL","true"] 5s"#
    );
    let script = "cat /made /data/sub/in/deep /unpacked/me; stat -c %u:%g /data/sub /data/sub/in/deep /own /texts; pwd; id -u";
    let seen = engine.ok(&["run", "--rm", "--entrypoint", "sh", "first", "-c", script]);
    assert_eq!(seen, "1\ndeepme33:33\n33:33\n33:33\n0:0\n/site/deeper\n33\n");
    assert_eq!(engine.ok(&["run", "--rm", "first"]), "a b c\n");
    let child = Context::new(&engine, "child", &[("Dockerfile", "FROM all\nRUN cat /triggered")]);
    let said = child.built(&engine, &[]);
    assert!(said.contains("# Executing 1 build trigger\n") && said.contains("\ntriggered\n"), "{said}");
    assert_eq!(engine.ok(&["ps", "-aq"]), "", "no container stays");
    assert_eq!(engine.ok(&["volume", "ls", "-q"]), "", "no volume stays");
}

#[test]
fn what_was_done_before_is_not_done_again() {
    let engine = engine!("what_was_done_before_is_not_done_again");
    let file = "FROM busybox\nARG V\nENV A=1\nCOPY a /a\nRUN cat /a\nRUN echo last\n";
    let context = Context::new(&engine, "cache", &[("Dockerfile", file), ("a", "1"), ("other", "x")]);
    let id = |said: &str| {
        said.lines().find_map(|line| line.strip_prefix("Successfully built ")).unwrap().to_owned()
    };
    let hits = |said: &str| said.matches(" ---> Using cache\n").count();
    let first = context.built(&engine, &[]);
    assert_eq!(hits(&first), 0);
    let touched = File::options().write(true).open(context.path().join("a")).unwrap();
    touched.set_modified(std::time::UNIX_EPOCH).unwrap();
    write(&context.path().join("other"), "y");
    let again = context.built(&engine, &["-t", "kept"]);
    assert_eq!((hits(&again), id(&again)), (5, id(&first)), "neither times nor other files count");
    write(&context.path().join("a"), "2");
    assert_eq!(
        hits(&context.built(&engine, &["-t", "kept"])),
        2,
        "from the changed file on everything is new"
    );
    assert_eq!(hits(&context.built(&engine, &["--build-arg", "V=1"])), 3, "what RUN may see counts");
    assert_eq!(hits(&context.built(&engine, &["--no-cache"])), 0);
    let listed = |arguments: &[&str]| engine.ok(&[&["images", "-q"], arguments].concat()).lines().count();
    assert!(listed(&["-a"]) > listed(&[]), "what is between is listed only when asked for");
    let parent = engine.ok(&["inspect", "-f", "{{.Parent}}", "kept"]);
    assert!(parent.starts_with("sha256:"), "{parent}");
    let refused = engine.docker(&["rmi", "-f", parent.trim()]);
    assert!(refused.stderr.contains("image has dependent child images"), "{refused:?}");
    let archive = engine.folder().join("kept.tar").display().to_string();
    engine.ok(&["save", "-o", &archive, "kept"]);
    engine.ok(&["image", "prune", "-f"]);
    engine.ok(&["rmi", "kept"]);
    assert_eq!(listed(&["-a"]), 1, "all that a build left goes with its last image");
    engine.ok(&["load", "-i", &archive]);
    let from_elsewhere = context.built(&engine, &["--cache-from", "kept"]);
    assert_eq!(hits(&from_elsewhere), 5, "what another engine built, by its history: {from_elsewhere}");
}

/// What a client sends that prefers BuildKit: a session, and then a build that refers to it.
const BUILDKIT: &str = r#"
import socket, sys
def ask(text):
    s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sys.argv[1]); s.sendall(text.encode())
    return s
session = ask("POST /session HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nX-Docker-Expose-Session-Uuid: x\r\n\r\n")
print(session.recv(4096).decode().split("\r\n")[0])
build = ask("POST /v1.41/build?version=2&remote=client-session HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
answer = b""
while piece := build.recv(4096): answer += piece
print(answer.decode())
"#;

#[test]
fn failures_are_told_with_their_code_and_leave_nothing_that_was_not_wanted() {
    let engine = engine!("failures_are_told_with_their_code_and_leave_nothing_that_was_not_wanted");
    let fails = |name: &str, file: &str, arguments: &[&str]| {
        let said = Context::new(&engine, name, &[("Dockerfile", file), ("a", "a"), ("b", "b")])
            .build(&engine, arguments);
        assert_ne!(said.code, 0, "{file}: {said:?}");
        said
    };
    let ran = fails("run", "FROM busybox\nRUN echo out; echo err >&2; exit 7", &["--force-rm"]);
    assert!(
        ran.stderr
            .contains("The command '/bin/sh -c echo out; echo err >&2; exit 7' returned a non-zero code: 7"),
        "{ran:?}"
    );
    assert!(ran.code == 7 && ran.stdout.contains("\nout\n") && ran.stdout.contains("err"), "{ran:?}");
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
    fails("kept", "FROM busybox\nRUN exit 7", &[]);
    assert_eq!(engine.ok(&["ps", "-aq"]).lines().count(), 1, "a failed step's container can be looked at");
    for (name, file, text) in [
        ("word", "FROM busybox\nMOVE x", "dockerfile parse error line 2: unknown instruction: MOVE"),
        ("mount", "FROM busybox\nRUN --mount=type=cache,target=/x true", "docker buildx create"),
        (
            "missing",
            "FROM busybox\nCOPY none /",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat none",
        ),
        (
            "climbs",
            "FROM busybox\nCOPY ../../../../etc/passwd /",
            "COPY failed: file not found in build context",
        ),
        ("many", "FROM busybox\nCOPY a b /c", "the destination must be a directory and end with a /"),
        ("nobody", "FROM busybox\nCOPY --chown=nosuch a /", "unable to find user nosuch"),
        ("nothing", "ARG x", "No image was generated. Is your Dockerfile empty?"),
        ("stage", "FROM busybox\nCOPY --from=7 a /", "invalid from flag value 7"),
    ] {
        let said = fails(name, file, &[]);
        assert!(said.stderr.contains(text), "{file}: {said:?}");
    }
    let target = fails("target", "FROM busybox", &["--target", "x"]);
    assert!(target.stderr.contains("failed to reach build target x in Dockerfile"), "{target:?}");
    let squash = engine.api("POST", "/build?squash=1");
    assert!(squash.contains("squash is not supported"), "{squash}");
    for path in ["/build?version=2", "/session", "/grpc"] {
        let said = engine.api("POST", path);
        assert!(
            said.contains("DOCKER_BUILDKIT=0") && said.contains("docker buildx create"),
            "{path}: {said}"
        );
    }
    let socket = engine.folder().join("sock").display().to_string();
    let answer = engine.inside(&["python3", "-c", BUILDKIT, &socket]);
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("set DOCKER_BUILDKIT=0"), "{answer}");
    assert!(engine.api("POST", "/build?remote=https://h/x.git").contains("clone it"));
}

#[test]
fn nothing_of_the_host_is_copied_in_or_written_to() {
    let engine = engine!("nothing_of_the_host_is_copied_in_or_written_to");
    let secret = engine.folder().join("secret");
    write(&secret, "secret");
    let outside = engine.folder().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let file = format!(
        "FROM busybox\nRUN ln -s {0} /way && mkdir -p {0} && ln -s {0}/b /b\nCOPY a /way/a\nCOPY a /b\nRUN cat {0}/a {0}/b\nCOPY link /copied",
        outside.display()
    );
    let context = Context::new(&engine, "hostile", &[("Dockerfile", &file), ("a", "inside")]);
    std::os::unix::fs::symlink(&secret, context.path().join("link")).unwrap();
    let said = context.build(&engine, &[]);
    assert!(said.stdout.contains("insideinside"), "{said:?}");
    assert!(
        said.stderr.contains("file not found in build context"),
        "a link leads within the context: {said:?}"
    );
    assert!(
        std::fs::read_dir(&outside).unwrap().next().is_none(),
        "a link in the image leads within the image"
    );
}

#[test]
fn a_client_that_leaves_ends_its_build() {
    let engine = engine!("a_client_that_leaves_ends_its_build");
    let context = Context::new(&engine, "long", &[("Dockerfile", "FROM busybox\nRUN sleep 600")]);
    let client = engine.spawn(&["build", &context.path().display().to_string()]);
    engine.until(&["ps", "-q"], |seen| seen.lines().count() == 1);
    client.interrupt();
    engine.until(&["ps", "-aq"], str::is_empty);
    let data = engine.folder().join("data/snapshots");
    assert_eq!(std::fs::read_dir(data).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(engine.folder().join("data/ingest")).unwrap().count(), 0);
}

#[test]
fn what_is_on_the_network_is_fetched() {
    let engine = engine!("what_is_on_the_network_is_fetched");
    let file = "FROM busybox\nADD http://127.0.0.1:8099/a.txt http://127.0.0.1:8099/files.tar /got/\nRUN ls -l /got | grep -c -e '-rw-------'";
    let served =
        Context::new(&engine, "served", &[("a.txt", "a"), ("files.tar", "no archive"), ("Dockerfile", file)]);
    let folder = served.path().display().to_string();
    let mut server = engine
        .entering()
        .args(["/bin/busybox", "httpd", "-f", "-p", "127.0.0.1:8099", "-h", &folder])
        .spawn()
        .unwrap();
    let answers = [
        "curl",
        "-s",
        "--retry",
        "50",
        "--retry-connrefused",
        "--retry-delay",
        "1",
        "http://127.0.0.1:8099/a.txt",
    ];
    assert_eq!(engine.inside(&answers), "a");
    let said = served.built(&engine, &[]);
    assert!(said.contains("\n2\n"), "only their owner reads them: {said}");
    let said = engine.api("POST", "/build?remote=http://127.0.0.1:8099/Dockerfile&q=1");
    assert!(said.contains("sha256:"), "a lone Dockerfile is a context: {said}");
    engine.inside(&["tar", "-czf", &format!("{folder}/root.tar.gz"), "-C", &folder, "a.txt"]);
    let url = "http://127.0.0.1:8099/root.tar.gz";
    let said = engine.ok(&["import", "-c", "CMD [\"/a.txt\"]", url, "got:1"]);
    assert!(said.starts_with(&format!("Downloading from {url}\nsha256:")), "{said}");
    assert_eq!(engine.ok(&["inspect", "-f", "{{.Comment}}", "got:1"]), format!("Imported from {url}\n"));
    let tar = engine.folder().join("got.tar").display().to_string();
    engine.ok(&["create", "--name", "got", "got:1"]);
    engine.ok(&["export", "-o", &tar, "got"]);
    assert!(engine.inside(&["tar", "-tf", &tar]).lines().any(|name| name == "a.txt"));
    engine.ok(&["rm", "got"]);
    for (from, why) in [
        ("http://127.0.0.1:8099/none", "failed to GET http://127.0.0.1:8099/none with status 404"),
        ("http://127.0.0.1:8098/x", "failed to fetch http://127.0.0.1:8098/x"),
    ] {
        let refused = engine.docker(&["import", from, "got:2"]);
        assert!(refused.code != 0 && refused.stderr.contains(why), "{from}: {refused:?}");
    }
    let context =
        Context::new(&engine, "none", &[("Dockerfile", "FROM busybox\nADD http://127.0.0.1:8099/none /")]);
    let missing = context.build(&engine, &[]);
    assert!(
        missing.stderr.contains("failed to GET http://127.0.0.1:8099/none with status 404"),
        "{missing:?}"
    );
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn quiet_scratch_and_odd_contexts() {
    let engine = engine!("quiet_scratch_and_odd_contexts");
    let file = "FROM busybox AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /bin/sh\nENV A=b\nCMD [\"/bin/sh\", \"-c\", \"echo $A\"]\n";
    let files = [
        ("Dockerfile", file),
        (".dockerignore", "Dockerfile\n.dockerignore\nskipped"),
        ("skipped", "x"),
        ("own", "FROM busybox\nCOPY . /all\nRUN ls -a /all"),
    ];
    let context = Context::new(&engine, "odd", &files);
    let id = context.built(&engine, &["-q", "-t", "bare"]);
    assert_eq!(engine.ok(&["inspect", "-f", "{{.Id}}", "bare"]), id, "nothing but the id");
    assert_eq!(engine.ok(&["run", "--rm", "bare"]), "b\n");
    assert_eq!(engine.ok(&["inspect", "-f", "{{len .RootFS.Layers}}", "bare"]), "1\n");
    let said = context.built(&engine, &["-f", &context.path().join("own").display().to_string()]);
    assert!(
        said.contains("\nown\n") && !said.contains("skipped") && !said.contains("\n.dockerignore\n"),
        "{said}"
    );
    let lone = engine.docker_with(&["build", "-"], "FROM busybox\nRUN echo alone");
    assert!(lone.code == 0 && lone.stdout.contains("\nalone\n"), "{lone:?}");
    for kind in ["gz", "bz2", "xz"] {
        let archive = engine.folder().join(kind);
        // The program for each of these need not be there.
        let script =
            "import sys, tarfile; tarfile.open(sys.argv[1], 'w:' + sys.argv[2]).add(sys.argv[3], 'own')";
        let (to, own) = (archive.display().to_string(), context.path().join("own").display().to_string());
        engine.inside(&["python3", "-c", script, &to, kind, &own]);
        let said = engine.inside(&[
            "curl",
            "-s",
            "--unix-socket",
            &engine.folder().join("sock").display().to_string(),
            "-H",
            "Content-Type: application/x-tar",
            "--data-binary",
            &format!("@{}", archive.display()),
            "http://d/v1.41/build?dockerfile=own",
        ]);
        assert!(said.contains("Successfully built"), "{kind}: {said}");
    }
}

#[test]
fn steps_run_as_the_parameters_say() {
    let engine = engine!("steps_run_as_the_parameters_say");
    let dockerfile = "FROM busybox\nARG WORD=none\nLABEL own=1\nRUN ulimit -n > /seen && ulimit -Hn >> /seen && \
        df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2 >> /seen && grep -c 1.2.3.4 /etc/hosts >> /seen && \
        ip -o link | wc -l >> /seen && echo $WORD >> /seen\n";
    let context = Context::new(&engine, "limited", &[("other/Dockerfile", dockerfile)]);
    let file = context.path().join("other/Dockerfile").display().to_string();
    let arguments = [
        "-f",
        &file,
        "-t",
        "limited:1",
        "-t",
        "limited:2",
        "--ulimit",
        "nofile=64:65",
        "--shm-size",
        "3m",
        "--add-host",
        "a.test:1.2.3.4",
        "--network",
        "none",
        "--memory",
        "64m",
        "--memory-swap",
        "-1",
        "--cpu-shares",
        "512",
        "--cpuset-cpus",
        "0",
        "--build-arg",
        "WORD=said",
        "--label",
        "added=2",
        "--platform",
        "linux",
    ];
    context.built(&engine, &arguments);
    assert_eq!(engine.ok(&["run", "--rm", "limited:2", "cat", "/seen"]), "64\n65\n3072\n1\n1\nsaid\n");
    assert_eq!(
        engine.ok(&["inspect", "-f", "{{.Config.Labels.own}}{{.Config.Labels.added}}", "limited:1"]),
        "12\n"
    );
    // A step that needs more than it may have fails, and no container is left.
    let greedy = Context::new(
        &engine,
        "greedy",
        &[("Dockerfile", "FROM busybox\nRUN dd if=/dev/zero of=/dev/null bs=200M count=1\n")],
    );
    let failed = greedy.build(&engine, &["--memory", "16m", "--memory-swap", "16m", "--force-rm"]);
    assert!(failed.code != 0 && failed.stderr.contains("returned a non-zero code"), "{failed:?}");
    assert_eq!(engine.ok(&["ps", "-aq"]), "");
    for (wrong, text) in [
        (["--network", "nobody"], "network nobody not found"),
        (["--add-host", "a.test:bogus"], "invalid"),
        (["--ulimit", "nofile=5:1"], "soft limit must be less than or equal to hard limit"),
        (["--platform", "a/b/c/d/e"], "invalid"),
        (["--target", "nothing"], "nothing"),
    ] {
        let refused = context.build(&engine, &[&["-f", &file, "--no-cache"], &wrong[..]].concat());
        assert!(refused.code != 0 && refused.stderr.contains(text), "{wrong:?}: {refused:?}");
    }
}
