//! A shared store in S3, for somebody who has profiles of the AWS CLI and no keys in the environment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// Something like S3 that has nothing, and tells what it was asked.
struct Service {
    store: String,
    asked: Receiver<String>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = format!("s3://team/x?endpoint=http://{}", listener.local_addr().unwrap());
        let (tell, asked) = channel();
        // It ends with the process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
                let none = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(none.as_bytes());
                if tell.send(head.join("\n")).is_err() {
                    return;
                }
            }
        });
        Self { store, asked }
    }

    /// `wharf ls`, with this in the environment.
    fn ls(&self, home: &Path, environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        command.arg("ls").env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").env("USER", "ann");
        command.env("WHARF_STORE", &self.store).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap()
    }

    /// How the first call was signed.
    fn signed(&self, home: &Path, environment: &[(&str, &str)]) -> String {
        while self.asked.try_recv().is_ok() {}
        let output = self.ls(home, environment);
        self.asked.try_recv().unwrap_or_else(|_| panic!("nothing was asked: {output:?}"))
    }
}

#[test]
fn whoever_has_a_profile_needs_no_keys_in_the_environment() {
    let (service, home) = (Service::start(), tempfile::tempdir().unwrap());
    let write = |file: &str, text: &str| {
        let path = home.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    write(".aws/credentials", "[default]\naws_access_key_id = OFDEFAULT\naws_secret_access_key = secret\n");
    let keys = r#"{"Version":1,"AccessKeyId":"OFPROCESS","SecretAccessKey":"secret","SessionToken":"of-the-session"}"#;
    write("keys.json", keys);
    let process = format!("credential_process = /bin/cat {}/keys.json", home.path().display());
    write(
        ".aws/config",
        &format!("[default]\nregion = eu-west-9\n[profile job]\nregion = eu-south-9\n{process}\n"),
    );

    let usual = service.signed(home.path(), &[]);
    assert!(usual.contains("Credential=OFDEFAULT/") && usual.contains("/eu-west-9/s3/"), "{usual}");
    let named = service.signed(home.path(), &[("AWS_PROFILE", "job")]);
    assert!(named.contains("Credential=OFPROCESS/") && named.contains("/eu-south-9/s3/"), "{named}");
    assert!(named.contains("x-amz-security-token: of-the-session"), "{named}");
    // What the environment says counts before the files.
    let keys =
        [("AWS_ACCESS_KEY_ID", "OFTHEJOB"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "us-east-9")];
    let own = service.signed(home.path(), &keys);
    assert!(own.contains("Credential=OFTHEJOB/") && own.contains("/us-east-9/s3/"), "{own}");
    let moved = service.signed(home.path(), &[("AWS_REGION", "us-east-9")]);
    assert!(moved.contains("Credential=OFDEFAULT/") && moved.contains("/us-east-9/s3/"), "{moved}");
}

#[test]
fn whoever_is_nobody_is_told_how_to_sign_in() {
    let (service, home) = (Service::start(), tempfile::tempdir().unwrap());
    for environment in [&[("AWS_PROFILE", "missing")][..], &[], &[("AWS_ACCESS_KEY_ID", "half")]] {
        let output = service.ls(home.path(), environment);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(7), "{environment:?}: {said}");
        assert!(service.asked.try_recv().is_err(), "{environment:?}: asked all the same");
        if environment != [("AWS_ACCESS_KEY_ID", "half")] {
            assert!(said.contains("no credentials for AWS") && said.contains("AWS_PROFILE"), "{said}");
        }
    }
}
