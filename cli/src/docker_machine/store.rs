//! The folder that docker-machine kept its machines in, read as it is: configuration versions 0 to 3.
//!
//! ```text
//! certs/{ca,cert,key}.pem              what one client certificate for all machines was copied from
//! machines/<name>/config.json          the machine
//!                 {ca,cert,key}.pem    the copy that opens its engine
//!                 id_rsa               the key that signs in
//! ```
//!
//! The paths in a configuration are absolute and those of the computer that wrote it, so files are looked for where
//! they belong in this folder first. Versions differ in where the options stand, not in what a driver remembers.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use wharf_core::{Certificates, EngineOptions, Secret};

use crate::error::{Error, Result};

/// The newest version that docker-machine ever wrote.
const NEWEST: u64 = 3;
const ENGINE_PORT: u16 = 2376;
const SSH_PORT: u16 = 22;

/// A machine as docker-machine kept it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its name, which is its folder's.
    pub(crate) name: String,
    /// What of it could be read, or why it could not.
    pub(crate) machine: Result<Remembered>,
}

/// What docker-machine remembered of a machine.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// Its driver there.
    pub(crate) driver: String,
    /// The address of an engine that somebody else looks after, where that is all there is.
    pub(crate) url: Option<String>,
    /// Address or name of the host; empty where none was written down.
    pub(crate) address: String,
    pub(crate) ssh_port: u16,
    pub(crate) ssh_user: String,
    pub(crate) engine_port: u16,
    /// The private key, and why there is none.
    pub(crate) key: Result<Secret<String>, String>,
    /// What opens the engine, and why there is nothing.
    pub(crate) certificates: Result<Certificates, String>,
    pub(crate) options: EngineOptions,
}

/// A configuration file; what is missing or null in an old one is empty.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    config_version: Option<u64>,
    driver_name: String,
    driver: Value,
    host_options: Option<HostOptions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostOptions {
    engine_options: Option<Engine>,
    auth_options: Option<Auth>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Engine {
    insecure_registry: Option<Vec<String>>,
    labels: Option<Vec<String>>,
    registry_mirror: Option<Vec<String>>,
    env: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
struct Auth {
    #[serde(rename = "ServerCertSANs")]
    names: Option<Vec<String>>,
}

/// Every machine in `root`, by name.
///
/// # Errors
/// When `root` is no such folder.
pub(crate) fn machines(root: &Path) -> Result<Vec<Kept>> {
    let folder = root.join("machines");
    let entries = std::fs::read_dir(&folder).map_err(|e| {
        Error::failed(format!("{} holds no machines of docker-machine's", root.display()))
            .caused_by(&e)
            .hint("name the folder that has `machines` in it, usually ~/.docker/machine")
    })?;
    let mut kept = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        let Some(name) = folder.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
            continue;
        };
        if folder.is_dir() {
            kept.push(Kept { machine: read(root, &folder), name });
        }
    }
    kept.sort_by(|a, b| crate::ui::natural(&a.name, &b.name));
    Ok(kept)
}

fn read(root: &Path, folder: &Path) -> Result<Remembered> {
    // Its own replacement of the file was not one step: a machine may be left with the copy of a migration alone.
    let file =
        ["config.json", "config.json.bak"].map(|file| folder.join(file)).into_iter().find(|f| f.is_file());
    let Some(file) = file else {
        return Err(Error::failed(
            "it has no config.json: its creation was cut off before anything was written down",
        )
        .hint("look in its cloud for what that may have left"));
    };
    let text = std::fs::read_to_string(&file)?;
    let config: Config = serde_json::from_str(&text).map_err(|e| {
        Error::failed(format!("its {} is damaged: {e}", name_of(&file)))
            .hint("bring the file back from a backup")
    })?;
    let version = config.config_version.unwrap_or(0);
    if version > NEWEST {
        return Err(Error::failed(format!(
            "its configuration has version {version}, and docker-machine never wrote one above {NEWEST}"
        ))
        .hint("take it over by its address: `wharf create --driver ssh --ssh-address ADDRESS NAME`"));
    }
    Ok(remembered(root, folder, config))
}

fn remembered(root: &Path, folder: &Path, config: Config) -> Remembered {
    let (driver, had) = (config.driver_name, config.driver);
    let HostOptions { engine_options, auth_options } = config.host_options.unwrap_or_default();
    let engine = engine_options.unwrap_or_default();
    let number = |key: &str| had.get(key).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    let number = |key: &str| number(key).filter(|&port| port != 0);
    let ssh_user = text(&had, "SSHUser").unwrap_or_else(|| usual_user(&driver).to_owned());
    // A port that VirtualBox forwards leads nowhere without it; the guest itself has the usual one.
    let ssh_port = number("SSHPort").filter(|_| driver != "virtualbox").unwrap_or(SSH_PORT);
    Remembered {
        url: text(&had, "URL").filter(|_| driver == "none"),
        address: address(&had).unwrap_or_default(),
        ssh_port,
        ssh_user,
        engine_port: number("EnginePort").or_else(|| number("DockerPort")).unwrap_or(ENGINE_PORT),
        key: key(folder, &had).map(Secret::new),
        certificates: certificates(root, folder),
        options: EngineOptions {
            labels: engine.labels.unwrap_or_default(),
            registry_mirrors: engine.registry_mirror.unwrap_or_default(),
            insecure_registries: engine.insecure_registry.unwrap_or_default(),
            environment: engine.env.unwrap_or_default(),
            extra_names: auth_options.unwrap_or_default().names.unwrap_or_default(),
            ..EngineOptions::default()
        },
        driver,
    }
}

/// The address that docker-machine itself would have gone to.
fn address(driver: &Value) -> Option<String> {
    let is_on = |key: &str| driver.get(key).and_then(Value::as_bool).unwrap_or(false);
    let private = is_on("UsePrivateIP") || is_on("PrivateIPOnly");
    let inside = || text(driver, "PrivateIPAddress");
    if private { inside().or_else(|| text(driver, "IPAddress")) } else { text(driver, "IPAddress") }
}

/// Who signs in where an old driver wrote nobody down.
fn usual_user(driver: &str) -> &'static str {
    match driver {
        "amazonec2" => "ubuntu",
        "azure" => "docker-user",
        "virtualbox" | "vmwarefusion" | "hyperv" | "vmwarevsphere" => "docker",
        _ => "root",
    }
}

/// The private key: the copy beside the configuration, else the file that the configuration names.
fn key(folder: &Path, driver: &Value) -> Result<String, String> {
    let named = ["SSHKeyPath", "SSHKey"].into_iter().filter_map(|key| text(driver, key)).map(PathBuf::from);
    let beside = named.clone().filter_map(|path| Some(folder.join(path.file_name()?)));
    let own = std::iter::once(folder.join("id_rsa"));
    let found = own.chain(beside).chain(named).find_map(|file| std::fs::read_to_string(file).ok());
    found.ok_or_else(|| format!("there is no SSH key in {}", folder.display()))
}

/// The machine's own copy of the certificates, else what it was copied from.
fn certificates(root: &Path, folder: &Path) -> Result<Certificates, String> {
    let common = root.join("certs");
    let whole = |from: &Path| {
        let read = |file: &str| std::fs::read_to_string(from.join(file)).ok();
        Some(Certificates {
            authority: read("ca.pem")?,
            client: read("cert.pem")?,
            key: Secret::new(read("key.pem")?),
        })
    };
    whole(folder).or_else(|| whole(&common)).ok_or_else(|| {
        format!(
            "ca.pem, cert.pem and key.pem are neither in {} nor in {}",
            folder.display(),
            common.display()
        )
    })
}

fn text(driver: &Value, key: &str) -> Option<String> {
    driver.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn name_of(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
