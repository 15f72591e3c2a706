//! Every way to sign in that the AWS CLI knows, by the program itself: what proves who it is stands where that command
//! would look for it, and nowhere else.

use std::path::{Path, PathBuf};

use super::scene::{Account, Scene, program};
use crate::world::{ended, text};

/// What single sign-on calls the file of the session `corp`: the SHA-1 of its name.
const SESSION: &str = "ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

/// A folder of configuration files, and their places in the environment.
struct Desk<'s> {
    scene: &'s Scene,
    folder: PathBuf,
}

impl Desk<'_> {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
        path
    }

    /// An account of somebody who has no key, with this configuration file.
    fn keyless(&self, config: &str) -> Account<'_> {
        let config = self.write("config", config).display().to_string();
        let account =
            self.scene.hostless(|_| {}).set("AWS_ACCESS_KEY_ID", "").set("AWS_SECRET_ACCESS_KEY", "");
        let nobody = self.folder.join("nobody").display().to_string();
        account
            .set("AWS_CONFIG_FILE", &config)
            .set("AWS_SHARED_CREDENTIALS_FILE", &nobody)
            .set("AWS_EC2_METADATA_DISABLED", "true")
    }
}

impl Account<'_> {
    /// A machine is made and removed.
    fn gets_in(self, how: &str) {
        let create = ["create", "--driver", "aws", "--no-bootstrap", "web"];
        let output = self.wharf(&create).output().unwrap();
        assert!(output.status.success(), "{how}: {}", text(&output));
        self.wharf_ok(&["rm", "-y", "web"]);
        self.is_empty(how);
    }

    /// Nothing is made, and these words and this hint are said.
    fn stays_out(self, says: &str, hint: &str) {
        let create = ["create", "--driver", "aws", "--no-bootstrap", "web", "--timeout", "60"];
        let said = ended(&self.wharf(&create).output().unwrap(), 7, says, hint);
        self.is_empty(&said);
    }
}

fn desk<'s>(scene: &'s Scene) -> Desk<'s> {
    Desk { scene, folder: scene.world.home.join(".aws") }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_profile_signs_in_by_keys_a_process_or_a_role() {
    let Some(program) = program("a_profile_signs_in_by_keys_a_process_or_a_role") else { return };
    let scene = Scene::new(program);
    let desk = desk(&scene);
    let config = wharf_ec2_sim::Config::default();
    let (key, secret, role) = (&config.key, &config.secret, &config.role);

    let keys = format!("aws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    desk.keyless(&format!("[default]\n{keys}")).gets_in("the default profile");
    let named = format!("[profile work]\n{keys}");
    desk.keyless(&named).set("AWS_PROFILE", "work").gets_in("AWS_PROFILE");
    desk.keyless(&named).set("WHARF_AWS_PROFILE", "work").gets_in("--aws-profile");
    desk.keyless(&named).stays_out("no credentials for AWS", "AWS_PROFILE");

    let pair = format!(
        "{{\"Version\": 1, \"AccessKeyId\": \"{}\", \"SecretAccessKey\": \"{}\", \"SessionToken\": \"{}\"}}",
        role.key, role.secret, role.token
    );
    let said = desk.write("said.json", &pair);
    desk.keyless(&format!("[default]\ncredential_process = /bin/cat {}\n", show(&said)))
        .gets_in("a credential process");
    let arn = "arn:aws:iam::123456789012:role/deployer";
    desk.keyless(&format!("[profile work]\n{keys}[default]\nrole_arn = {arn}\nsource_profile = work\n"))
        .gets_in("a role that a profile takes on");
}

#[test]
fn a_job_signs_in_by_its_token() {
    let Some(program) = program("a_job_signs_in_by_its_token") else { return };
    let scene = Scene::new(program);
    let desk = desk(&scene);
    let proof = wharf_ec2_sim::Config::default().role.proof;
    let with = |token: &str| {
        let file = show(&desk.write("token", token));
        let job = desk.keyless("").set("AWS_WEB_IDENTITY_TOKEN_FILE", &file);
        job.set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/deployer")
    };
    with(&proof).gets_in("web identity");
    with("of another job").stays_out("web identity token", "AWS_PROFILE");
}

#[test]
fn a_person_signs_in_by_single_sign_on() {
    let Some(program) = program("a_person_signs_in_by_single_sign_on") else { return };
    let scene = Scene::new(program);
    let desk = desk(&scene);
    let proof = wharf_ec2_sim::Config::default().role.proof;
    let config = "[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example/start\n\
                  sso_registration_scopes = sso:account:access\n\
                  [default]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = deployer\n";
    let with = |token: &str, until: &str| {
        let session = format!(
            "{{\"accessToken\": \"{token}\", \"expiresAt\": \"{until}\", \"region\": \"us-east-1\", \
             \"startUrl\": \"https://corp.example/start\"}}"
        );
        desk.write(&format!("sso/cache/{SESSION}"), &session);
        desk.keyless(config)
    };
    with(&proof, "2090-01-01T00:00:00Z").gets_in("single sign-on");
    with("of another session", "2090-01-01T00:00:00Z").stays_out("no credentials for AWS", "aws sso login");
    with(&proof, "2020-01-01T00:00:00Z").stays_out("no credentials for AWS", "aws sso login");
}

#[test]
fn a_container_and_an_instance_sign_in_as_what_they_are() {
    let Some(program) = program("a_container_and_an_instance_sign_in_as_what_they_are") else { return };
    let scene = Scene::new(program);
    let desk = desk(&scene);
    let proof = wharf_ec2_sim::Config::default().role.proof;
    let container = |token: &str| {
        let account = desk.keyless("");
        let uri = format!("{}/container", account.simulator.endpoint());
        account
            .set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)
            .set("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)
    };
    container(&proof).gets_in("a container's role");
    container("of another task").stays_out("no credentials for AWS", "AWS_PROFILE");
    let account = desk.keyless("");
    let metadata = account.simulator.endpoint();
    account
        .set("AWS_EC2_METADATA_DISABLED", "false")
        .set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata)
        .gets_in("an instance's role");
}
