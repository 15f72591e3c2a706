//! Stages with somebody to talk to: hosts of a lab, and simulated clouds.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use wharf_ec2_sim::Moto;
use wharf_sim::{Clock, Config, Flavour, Simulator};
use wharf_tests::Lab;

use super::Stage;

/// What takes a cloud a minute takes this one a third of a second.
const SCALE: f64 = 0.005;

/// A runtime that ends without waiting for what still goes on in it.
#[derive(Debug)]
pub struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// A simulated Azure, and what lives as long as it does.
///
/// # Panics
/// When it cannot start.
#[must_use]
pub fn azure(flavour: Flavour, change: impl FnOnce(&mut Config)) -> (Simulator, Background) {
    let mut config = Config::new(flavour, Clock::real(time::OffsetDateTime::now_utc(), SCALE));
    config.throttled = false;
    change(&mut config);
    let runtime = runtime();
    let simulator = runtime.block_on(Simulator::start(config)).expect("a simulated cloud");
    (simulator, Background(Some(runtime)))
}

/// What a person sets to use it.
#[must_use]
pub fn user(simulator: &Simulator) -> Vec<(&'static str, String)> {
    let account = &simulator.config().account;
    vec![
        ("AZURE_SUBSCRIPTION_ID", account.subscription.clone()),
        ("AZURE_CLIENT_ID", account.client.clone()),
        ("AZURE_CLIENT_SECRET", account.secret.clone()),
    ]
}

impl Stage {
    /// A lab that this stage is on from now on.
    fn lab(&mut self) -> Result<&Lab, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("test hosts need root".to_owned());
        }
        Ok(self.lab.insert(Lab::new()))
    }

    /// One host.
    pub(super) fn host(&mut self) -> Result<(), String> {
        let host = self.lab()?.host();
        std::fs::copy(&host.key_file, self.folder().join("host.key")).expect("the host's key");
        let keygen = std::process::Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.written("host.pub", &host.host_key))
            .output()
            .expect("ssh-keygen");
        let line = String::from_utf8_lossy(&keygen.stdout).into_owned();
        let fingerprint = line.split(' ').nth(1).expect("a fingerprint");
        self.stands("192.0.2.7", &host.address);
        self.stands("SHA256:HOSTKEYFINGERPRINT", fingerprint);
        Ok(())
    }

    fn written(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        let mut file = std::fs::File::create(&path).expect("a file on the stage");
        file.write_all(text.as_bytes()).expect("a file on the stage");
        path
    }

    /// Two clouds of records, set up as `public` and `stamp1`.
    pub(super) fn records(&mut self) {
        for (name, flavour) in [("public", Flavour::Public), ("stamp1", Flavour::Hub2020)] {
            let (simulator, keeps) = azure(flavour, |_| {});
            let settings = user(&simulator);
            let set: String = settings.iter().map(|(name, value)| format!("{name}={value} ")).collect();
            let secret = self.written(&format!("{name}.secret"), &simulator.config().account.secret);
            let add = format!(
                "{set} AZURE_CA={} wharf cloud add {} --name {name} && sed -i 's|  env: AZURE_CLIENT_SECRET|  file: {}|' \
                 ~/.config/wharf/clouds/{name}.yaml",
                simulator.ca().display(),
                simulator.endpoint(),
                secret.display()
            );
            let added = self.run(&add);
            assert_eq!(added.code, 0, "{}", added.printed);
            self.stands(&format!("https://management.{name}.example"), simulator.endpoint());
            self.kept.push(Box::new(simulator));
            self.kept.push(Box::new(keeps));
        }
    }

    /// One cloud of hosts.
    pub(super) fn azure(&mut self, flavour: Flavour) -> Result<(), String> {
        let lab = self.lab()?;
        let bodies = lab.machines();
        let (simulator, keeps) = lab.enter(|| azure(flavour, |config| config.bodies = bodies));
        for (name, value) in user(&simulator) {
            self.sets(name, &value);
        }
        if flavour == Flavour::Public {
            self.sets("AZURE_ENDPOINT", simulator.endpoint());
            self.sets("AZURE_CA", &simulator.ca().display().to_string());
        } else {
            std::fs::copy(simulator.ca(), self.folder().join("stamp-ca.pem")).expect("its authority");
            self.stands("https://management.region1.stamp.example", simulator.endpoint());
        }
        self.kept.push(Box::new(simulator));
        self.kept.push(Box::new(keeps));
        Ok(())
    }

    /// An account whose instances are hosts.
    pub(super) fn aws(&mut self) -> Result<(), String> {
        let program = named("WHARF_TEST_WHARF_AWS", "no program with the driver aws")?;
        let python = named("WHARF_TEST_MOTO", "no Python with moto")?;
        self.program("wharf", &program);
        let lab = self.lab()?;
        let bodies = lab.machines();
        let moto = Moto::shared(&python).expect("moto");
        let (simulator, runtime) = lab.enter(|| {
            let runtime = runtime();
            let config = wharf_ec2_sim::Config { times: 20.0, ..wharf_ec2_sim::Config::default() };
            let bodies = Arc::clone(&bodies) as Arc<dyn wharf_ec2_sim::body::Bodies>;
            let start = wharf_ec2_sim::Simulator::with_bodies(moto, config, bodies);
            let simulator = runtime.block_on(start).expect("a simulated account");
            (simulator, runtime)
        });
        self.sets("AWS_ENDPOINT_URL", &simulator.endpoint());
        let (key, secret) = (simulator.config().key.clone(), simulator.config().secret.clone());
        self.sets("AWS_ACCESS_KEY_ID", &key);
        self.sets("AWS_SECRET_ACCESS_KEY", &secret);
        self.kept.push(Box::new(simulator));
        self.kept.push(Box::new(Background(Some(runtime))));
        Ok(())
    }
}

fn named(variable: &str, otherwise: &str) -> Result<PathBuf, String> {
    std::env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("{variable} names {otherwise}"))
}
