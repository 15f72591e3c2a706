//! The official descriptions, condensed: which fields a body has in which api-version. `descriptions/condense.py` made
//! the files from Microsoft's published ones; they are compiled in, so that a simulator needs nothing beside itself.

mod check;
mod field;
mod files;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

pub use check::{Complaint, Reason, Role};
pub use field::{Field, Kind};

/// One provider in one api-version.
#[derive(Debug)]
pub struct Description {
    /// The version that these facts are of.
    pub version: &'static str,
    bodies: BTreeMap<String, String>,
    models: BTreeMap<String, BTreeMap<String, Field>>,
    routes: BTreeMap<String, Value>,
}

impl Description {
    /// The description of `kind` (as `virtualMachines`) in `version` of `provider` (as `compute`), or of the next version
    /// that is described. `None` where nothing describes the kind.
    pub fn find(provider: &str, kind: &str, version: &str) -> Option<&'static Self> {
        let mut newest = None;
        for description in all().get(provider)?.iter().filter(|d| d.describes(kind)) {
            if description.version >= version {
                return Some(description);
            }
            newest = Some(description);
        }
        newest
    }

    /// Every described version of `kind`, oldest first.
    pub fn versions(provider: &str, kind: &str) -> Vec<&'static str> {
        all().get(provider).into_iter().flatten().filter(|d| d.describes(kind)).map(|d| d.version).collect()
    }

    fn describes(&self, kind: &str) -> bool {
        self.bodies.contains_key(kind)
            || self
                .routes
                .keys()
                .any(|path| path.trim_start_matches('/').split(['/', '@']).next() == Some(kind))
    }

    /// The model of `kind`'s own body.
    pub fn body(&self, kind: &str) -> Option<&str> {
        self.bodies.get(kind).map(String::as_str)
    }

    /// What the description says of `method` on `path` (below the provider, with its parameters' names).
    pub fn route(&self, path: &str, method: &str) -> Option<&Value> {
        self.routes.get(path).and_then(|route| route.get(method))
    }

    /// Whether the description lists routes at all; the newer ones list only bodies.
    pub fn has_routes(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Whether `model` has a property at `path`.
    pub fn knows(&self, model: &str, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        let Some(field) = self.models.get(model).and_then(|m| m.get(*first)) else { return false };
        match field.kind.model() {
            Some(inner) => self.knows(inner, rest),
            None => rest.is_empty() || matches!(field.kind, Kind::Any),
        }
    }

    pub(crate) fn model(&self, name: &str) -> Option<&BTreeMap<String, Field>> {
        self.models.get(name)
    }
}

fn all() -> &'static BTreeMap<&'static str, Vec<Description>> {
    static ALL: OnceLock<BTreeMap<&'static str, Vec<Description>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (provider, version, text) in files::FILES {
            found.entry(*provider).or_default().push(read(version, text));
        }
        found
    })
}

/// The files are ours and a test reads every one: what cannot be read describes nothing.
fn read(version: &'static str, text: &str) -> Description {
    let file: Value = serde_json::from_str(text).unwrap_or_default();
    let object = |name: &str| file.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = |model: &Value| -> BTreeMap<String, Field> {
        let fields = model.as_object().into_iter().flatten();
        fields.map(|(name, kind)| (name.clone(), Field::parse(kind.as_str().unwrap_or("any")))).collect()
    };
    Description {
        version,
        bodies: object("bodies").iter().map(|(k, v)| (k.clone(), words(v))).collect(),
        models: object("models").iter().map(|(k, v)| (k.clone(), fields(v))).collect(),
        routes: object("routes").into_iter().collect(),
    }
}

/// What each profile of Azure Stack Hub names: profile → namespace → type → versions.
pub fn profiles() -> &'static Value {
    static PROFILES: OnceLock<Value> = OnceLock::new();
    PROFILES.get_or_init(|| serde_json::from_str(files::PROFILES).unwrap_or_default())
}
