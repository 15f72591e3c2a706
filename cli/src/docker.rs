//! The docker client's own folder: the contexts in it that are ours, and which one is in use.
//!
//! A context is two things: `contexts/meta/<sha256 of its name>/meta.json` and, beside it under `contexts/tls`, the
//! certificates. Ours carry the machine's id in their metadata (the docker client keeps fields it does not know);
//! a context without it, or with another machine's, is somebody else's and never written or removed.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Kind, Result};
use crate::files;

/// The folder that `DOCKER_CONFIG` names.
#[derive(Debug, Clone)]
pub(crate) struct DockerFolder(PathBuf);

/// A context to write.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) name: String,
    pub(crate) machine_id: &'a str,
    pub(crate) description: String,
    pub(crate) host: String,
    pub(crate) ca: String,
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// What writing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Created,
    Refreshed,
    Unchanged,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    #[serde(default)]
    metadata: serde_json::Map<String, Value>,
    #[serde(default)]
    endpoints: serde_json::Map<String, Value>,
}

/// The field of the metadata that says whose context it is.
const OWNER: &str = "wharf-machine";

/// The name of the context for a machine. The docker client keeps `default` for itself and takes no name of a single
/// character.
pub(crate) fn context_name(machine: &str) -> String {
    if machine == "default" || machine.len() < 2 { format!("wharf-{machine}") } else { machine.to_owned() }
}

impl DockerFolder {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Writes or refreshes a context of ours.
    pub(crate) fn write(&self, context: &Context<'_>) -> Result<Written> {
        let before = self.read(&context.name)?;
        if let Some(meta) = &before {
            self.refuse_foreign(meta, context.machine_id)?;
        }
        let meta = serde_json::to_vec(&meta_of(context))
            .map_err(|e| Error::failed("the docker context cannot be written").caused_by(&e))?;
        let tls = self.tls(&context.name).join("docker");
        let mut changed = false;
        // Certificates first: a context without them would be used and fail.
        for (file, content) in
            [("ca.pem", &context.ca), ("cert.pem", &context.cert), ("key.pem", &context.key)]
        {
            changed |= replace(&tls.join(file), content.as_bytes())?;
        }
        changed |= replace(&self.meta(&context.name).join("meta.json"), &meta)?;
        Ok(match (before.is_some(), changed) {
            (false, _) => Written::Created,
            (true, true) => Written::Refreshed,
            (true, false) => Written::Unchanged,
        })
    }

    /// Refuses a name that somebody else's context has; `machine_id` is whose it may be.
    pub(crate) fn refuse_taken(&self, name: &str, machine_id: Option<&str>) -> Result<()> {
        match self.read(name)? {
            Some(meta) => self.refuse_foreign(&meta, machine_id.unwrap_or_default()),
            None => Ok(()),
        }
    }

    /// Removes a context of ours, and makes it no longer the current one. Says whether there was one.
    pub(crate) fn remove(&self, name: &str, machine_id: &str) -> Result<bool> {
        let Some(meta) = self.read(name)? else { return Ok(false) };
        self.refuse_foreign(&meta, machine_id)?;
        self.leave(name)?;
        for folder in [self.meta(name), self.tls(name)] {
            match fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("remove", &folder, &e)),
                _ => {}
            }
        }
        Ok(true)
    }

    /// Whether the machine has a context, as `name`, that is ours.
    pub(crate) fn is_ours(&self, name: &str, machine_id: &str) -> bool {
        self.read(name).is_ok_and(|meta| meta.is_some_and(|meta| owner(&meta) == Some(machine_id)))
    }

    /// Every context of ours, with the id of its machine.
    pub(crate) fn ours(&self) -> Vec<(String, String)> {
        let Ok(entries) = fs::read_dir(self.0.join("contexts/meta")) else { return Vec::new() };
        let metas = entries.flatten().filter_map(|entry| {
            let text = fs::read(entry.path().join("meta.json")).ok()?;
            let meta: Meta = serde_json::from_slice(&text).ok()?;
            Some((meta.name.clone(), owner(&meta)?.to_owned()))
        });
        let mut ours: Vec<(String, String)> = metas.collect();
        ours.sort();
        ours
    }

    /// The context that `docker context use` chose.
    pub(crate) fn current(&self) -> Option<String> {
        let config: Value = serde_json::from_slice(&fs::read(self.0.join("config.json")).ok()?).ok()?;
        Some(config.get("currentContext")?.as_str()?.to_owned())
    }

    /// Makes `name` the current context.
    pub(crate) fn choose(&self, name: &str) -> Result<()> {
        self.edit_config(|config| {
            config.insert("currentContext".into(), name.into());
        })
    }

    fn leave(&self, name: &str) -> Result<()> {
        if self.current().as_deref() != Some(name) {
            return Ok(());
        }
        self.edit_config(|config| {
            config.remove("currentContext");
        })
    }

    fn edit_config(&self, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Result<()> {
        let file = self.0.join("config.json");
        let mut config = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| Error::failed(format!("`{}` is not JSON", file.display())).caused_by(&e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => serde_json::Map::new(),
            Err(e) => return Err(io("read", &file, &e)),
        };
        edit(&mut config);
        let text = serde_json::to_string_pretty(&config)
            .map_err(|e| Error::failed("the docker configuration cannot be written").caused_by(&e))?;
        replace(&file, text.as_bytes()).map(|_| ())
    }

    fn refuse_foreign(&self, meta: &Meta, machine_id: &str) -> Result<()> {
        if owner(meta) == Some(machine_id) {
            return Ok(());
        }
        let name = &meta.name;
        Err(Error::new(
            Kind::Refused,
            format!("there is a docker context `{name}` already, and it is not this machine's"),
        )
        .fact("folder", self.meta(name).display().to_string())
        .hint(format!("remove it (`docker context rm {name}`) or do without one (`--no-context`)")))
    }

    fn read(&self, name: &str) -> Result<Option<Meta>> {
        let file = self.meta(name).join("meta.json");
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
                Error::failed(format!("`{}` is damaged", file.display()))
                    .caused_by(&e)
                    .hint(format!("`docker context rm -f {name}` removes it"))
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io("read", &file, &e)),
        }
    }

    fn meta(&self, name: &str) -> PathBuf {
        self.0.join("contexts/meta").join(id(name))
    }

    fn tls(&self, name: &str) -> PathBuf {
        self.0.join("contexts/tls").join(id(name))
    }
}

fn id(name: &str) -> String {
    hex::encode(Sha256::digest(name))
}

fn owner(meta: &Meta) -> Option<&str> {
    meta.metadata.get(OWNER)?.as_str()
}

fn meta_of(context: &Context<'_>) -> Meta {
    let mut metadata = serde_json::Map::new();
    metadata.insert("Description".into(), context.description.as_str().into());
    metadata.insert(OWNER.into(), context.machine_id.into());
    let mut endpoints = serde_json::Map::new();
    endpoints.insert("docker".into(), serde_json::json!({ "Host": context.host, "SkipTLSVerify": false }));
    Meta { name: context.name.clone(), metadata, endpoints }
}

/// Replaces one of the folder's files.
fn replace(file: &Path, content: &[u8]) -> Result<bool> {
    files::replace(file, content).map_err(|e| io("write", file, &e))
}

fn io(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::failed(format!("cannot {what} `{}`", path.display()))
        .caused_by(error)
        .hint("check who owns the docker client's folder, or name another one in DOCKER_CONFIG")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(name: &str) -> Context<'static> {
        Context {
            name: name.into(),
            machine_id: "id1",
            description: "wharf machine".into(),
            host: "tcp://127.0.0.1:2376".into(),
            ca: "CA".into(),
            cert: "CERT".into(),
            key: "KEY".into(),
        }
    }

    #[test]
    fn a_context_is_written_refreshed_and_removed() {
        let home = tempfile::tempdir().unwrap();
        let folder = DockerFolder::new(home.path().join(".docker"));
        assert_eq!(folder.write(&context("web")).unwrap(), Written::Created);
        assert_eq!(folder.write(&context("web")).unwrap(), Written::Unchanged);
        let moved = Context { host: "tcp://127.0.0.1:2377".into(), ..context("web") };
        assert_eq!(folder.write(&moved).unwrap(), Written::Refreshed);
        let tls = folder.tls("web").join("docker");
        assert_eq!(fs::read_to_string(tls.join("key.pem")).unwrap(), "KEY");
        assert!(folder.is_ours("web", "id1") && !folder.is_ours("web", "id2"));
        assert!(folder.remove("web", "id1").unwrap());
        assert!(!tls.exists() && !folder.meta("web").exists());
        assert!(!folder.remove("web", "id1").unwrap());
    }

    #[test]
    fn foreign_contexts_stay_untouched() {
        let home = tempfile::tempdir().unwrap();
        let folder = DockerFolder::new(home.path().to_owned());
        let meta = folder.meta("web").join("meta.json");
        let foreign = br#"{"Name":"web","Metadata":{},"Endpoints":{}}"#;
        replace(&meta, foreign).unwrap();
        assert_eq!(folder.write(&context("web")).unwrap_err().kind, Kind::Refused);
        assert_eq!(folder.remove("web", "id1").unwrap_err().kind, Kind::Refused);
        assert_eq!(fs::read(&meta).unwrap(), foreign);
        assert!(!folder.tls("web").exists());
    }

    #[test]
    fn the_current_context_is_left_when_it_goes() {
        let home = tempfile::tempdir().unwrap();
        let folder = DockerFolder::new(home.path().to_owned());
        folder.write(&context("web")).unwrap();
        replace(&home.path().join("config.json"), br#"{"auths":{"r":{}},"currentContext":"web"}"#).unwrap();
        assert_eq!(folder.current().as_deref(), Some("web"));
        folder.remove("web", "id1").unwrap();
        assert_eq!(folder.current(), None);
        let config = fs::read_to_string(home.path().join("config.json")).unwrap();
        assert!(config.contains("auths"), "{config}");
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let folder = DockerFolder::new(home.path().join("d"));
        folder.write(&context("web")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.tls("web").join("docker/key.pem")), 0o600);
        assert_eq!(mode(&folder.tls("web").join("docker")), 0o700);
    }

    #[test]
    fn names_the_docker_client_refuses_are_prefixed() {
        assert_eq!(context_name("web"), "web");
        assert_eq!(context_name("default"), "wharf-default");
        assert_eq!(context_name("a"), "wharf-a");
    }
}
