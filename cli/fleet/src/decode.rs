//! From a tree to a fleet. An unknown key is a mistake with the nearest right one.

use std::collections::BTreeMap;

use wharf_driver::MachineName;

use crate::certificate::{CERTIFICATE, Certificate};
use crate::hook::{HOOK, Hook, On, is_name};
use crate::interpolate::check_name;
use crate::nearest::nearest;
use crate::place::{Mistakes, Place, Placed, Sources};
use crate::tree::{Node, Value, overlay};
use crate::{Declared, Wish, pattern};

/// The keys of the file, and of each group of machines in it.
pub(crate) const TOP: [&str; 5] = ["fleet", "env", "defaults", "machines", "certificates"];
pub(crate) const GROUP: [&str; 9] =
    ["driver", "cloud", "options", "labels", "engine", "bootstrap", "context", "ttl", "join"];
pub(crate) const ENGINE: [&str; 6] =
    ["registry-mirrors", "insecure-registries", "registry-ca", "options", "environment", "names"];

/// More machines than this are a slip.
const MOST: usize = 5000;

type Entries = [(Placed<String>, Node)];

struct Decoder<'a> {
    sources: &'a Sources,
    mistakes: &'a mut Mistakes,
}

/// A fleet's name, machines and certificates.
type Read = (Placed<String>, Vec<Declared>, Vec<Certificate>);

/// The fleet's name and machines, as far as they can be read.
pub(crate) fn fleet(node: &Node, sources: &Sources, mistakes: &mut Mistakes) -> Option<Read> {
    Decoder { sources, mistakes }.fleet(node)
}

impl Decoder<'_> {
    fn wrong(&mut self, at: Place, message: impl Into<String>) {
        self.mistakes.add(self.sources.mistake(at, message));
    }

    fn fleet(&mut self, node: &Node) -> Option<Read> {
        let entries = self.map(node, "the file")?;
        self.known(entries, &TOP);
        if let Some(env) = get(entries, "env") {
            for name in self.texts(env, "env") {
                check_name(&name.value, name.at, self.sources, self.mistakes);
            }
        }
        let name = self.name(node, entries);
        let defaults = get(entries, "defaults");
        if let Some(defaults) = defaults {
            // What is wrong there is said of them, even where every group says otherwise.
            self.wish(defaults);
        }
        let machines = self.machines(entries, defaults, node.at)?;
        let certificates = get(entries, "certificates").map(|node| self.certificates(node));
        Some((name?, machines, certificates.unwrap_or_default()))
    }

    fn name(&mut self, node: &Node, entries: &Entries) -> Option<Placed<String>> {
        let Some(value) = get(entries, "fleet") else {
            self.wrong(node.at, "the fleet has no name: begin with `fleet: NAME`");
            return None;
        };
        let name = self.text(value, "fleet")?;
        if let Err(error) = name.value.parse::<MachineName>() {
            // The same characters as in machines' names: it stands in tags and file names.
            self.wrong(name.at, format!("that is no name for a fleet: {error}"));
            return None;
        }
        Some(name)
    }

    fn machines(&mut self, entries: &Entries, defaults: Option<&Node>, at: Place) -> Option<Vec<Declared>> {
        let Some(node) = get(entries, "machines") else {
            self.wrong(at, "there are no `machines`");
            return None;
        };
        let groups = self.map(node, "`machines`")?;
        let mut machines: Vec<Declared> = Vec::new();
        let mut places: BTreeMap<MachineName, Place> = BTreeMap::new();
        for (pattern, group) in groups {
            let group = match (defaults, &group.value) {
                (Some(defaults), Value::Null) => defaults.clone(),
                (Some(defaults), _) => overlay(defaults.clone(), group.clone()),
                (None, _) => group.clone(),
            };
            let wish = self.wish(&group);
            for name in self.names(pattern) {
                if let Some(first) = places.insert(name.clone(), pattern.at) {
                    let line = first.line;
                    self.wrong(pattern.at, format!("`{name}` is declared in line {line} already"));
                    continue;
                }
                machines.push(Declared { name, pattern: pattern.clone(), wish: wish.clone() });
            }
        }
        if machines.len() > MOST {
            self.wrong(
                node.at,
                format!("these are {} machines, and at most {MOST} make a fleet", machines.len()),
            );
        }
        Some(machines)
    }

    fn certificates(&mut self, node: &Node) -> Vec<Certificate> {
        let Some(entries) = self.map(node, "`certificates`") else { return Vec::new() };
        entries.iter().filter_map(|(who, node)| self.certificate(who, node)).collect()
    }

    fn certificate(&mut self, who: &Placed<String>, node: &Node) -> Option<Certificate> {
        let entries = self.map(node, "a certificate")?;
        self.known(entries, &CERTIFICATE);
        let mut of = |key: &str| get(entries, key).map(|node| self.text(node, key));
        let (role, valid, folder, machine) = (of("role"), of("valid"), of("folder"), of("machine"));
        if role.is_none() {
            self.wrong(who.at, format!("say what `{}` may do: `role: reader`, operator or admin", who.value));
        }
        if folder.is_none() {
            self.wrong(who.at, format!("say where the files of `{}` go: `folder: FOLDER`", who.value));
        }
        Some(Certificate {
            who: who.clone(),
            role: role??,
            valid: valid.flatten(),
            folder: folder??,
            machine: machine.flatten(),
        })
    }

    fn names(&mut self, pattern: &Placed<String>) -> Vec<MachineName> {
        let names = match pattern::expand(&pattern.value) {
            Ok(names) => names,
            Err(because) => {
                self.wrong(pattern.at, format!("`{}` {because}", pattern.value));
                return Vec::new();
            }
        };
        let mut good = Vec::with_capacity(names.len());
        for name in names {
            match name.parse::<MachineName>() {
                Ok(name) => good.push(name),
                Err(error) => {
                    self.wrong(pattern.at, error.to_string());
                    break;
                }
            }
        }
        good
    }

    fn wish(&mut self, node: &Node) -> Wish {
        let mut wish = Wish::default();
        if node.value == Value::Null {
            return wish;
        }
        let Some(entries) = self.map(node, "a group of machines") else { return wish };
        self.known(entries, &GROUP);
        for (key, value) in entries {
            match key.value.as_str() {
                "driver" => wish.driver = self.text(value, "driver"),
                "cloud" => wish.cloud = self.text(value, "cloud"),
                "options" => wish.options = self.options(value),
                "labels" => wish.labels = self.pairs(value, "label"),
                "engine" => self.engine(value, &mut wish),
                "bootstrap" => wish.bare = self.switch(value, "bootstrap") == Some(false),
                "ttl" => wish.ttl = self.text(value, "ttl"),
                "context" => wish.context = self.switch(value, "context"),
                "join" => wish.hooks = self.hooks(value),
                _ => {}
            }
        }
        wish
    }

    fn engine(&mut self, node: &Node, wish: &mut Wish) {
        let Some(entries) = self.map(node, "`engine`") else { return };
        self.known(entries, &ENGINE);
        for (key, value) in entries {
            match key.value.as_str() {
                "environment" => {
                    wish.environment = self.pairs(value, "variable");
                    continue;
                }
                "registry-ca" => {
                    wish.registry_authorities = self.pairs(value, "authority of a registry");
                    continue;
                }
                _ => {}
            }
            let values = self.texts(value, &key.value);
            match key.value.as_str() {
                "registry-mirrors" => wish.registry_mirrors = values,
                "insecure-registries" => wish.insecure_registries = values,
                "options" => wish.engine_options = values,
                "names" => wish.names = values,
                _ => {}
            }
        }
    }

    fn hooks(&mut self, node: &Node) -> Vec<Hook> {
        let Some(entries) = self.map(node, "`join`") else { return Vec::new() };
        entries.iter().filter_map(|(name, hook)| self.hook(name, hook)).collect()
    }

    fn hook(&mut self, name: &Placed<String>, node: &Node) -> Option<Hook> {
        if !is_name(&name.value) {
            self.wrong(
                name.at,
                format!("`{}` is no name for a hook: letters, digits, `-`, `_`, `.`", name.value),
            );
        }
        let entries = self.map(node, "a hook")?;
        self.known(entries, &HOOK);
        let mut hook =
            Hook { name: name.clone(), run: name.clone(), on: On::Here, env: Vec::new(), timeout: None };
        let (mut on, mut run) = (None, None);
        for (key, value) in entries {
            match key.value.as_str() {
                "on" => on = self.text(value, "on"),
                "run" => run = self.text(value, "run").filter(|run| !run.value.trim().is_empty()),
                "env" => hook.env = self.texts(value, "env"),
                "timeout" => hook.timeout = self.text(value, "timeout"),
                _ => {}
            }
        }
        match on.as_ref().map(|on| on.value.as_str()) {
            Some("here") => {}
            Some("machine") => hook.on = On::Machine,
            _ => {
                let at = on.as_ref().map_or(name.at, |on| on.at);
                self.wrong(at, format!("say where `{}` runs: `on: here` or `on: machine`", name.value));
            }
        }
        match run {
            Some(run) => hook.run = run,
            None => self.wrong(name.at, format!("say what `{}` runs: `run: COMMAND`", name.value)),
        }
        Some(hook)
    }

    fn options(&mut self, node: &Node) -> Vec<(Placed<String>, Vec<Placed<String>>)> {
        let Some(entries) = self.map(node, "`options`") else { return Vec::new() };
        let values = |(key, value): &(Placed<String>, Node)| (key.clone(), self.texts(value, &key.value));
        entries.iter().map(values).collect()
    }

    /// A map, or a list of `key=value`.
    fn pairs(&mut self, node: &Node, what: &str) -> Vec<Placed<String>> {
        let Value::Map(entries) = &node.value else {
            let pairs = self.texts(node, what);
            for pair in &pairs {
                if pair.value.split_once('=').is_none_or(|(key, _)| key.is_empty()) {
                    self.wrong(pair.at, format!("the {what} `{}` is not key=value", pair.value));
                }
            }
            return pairs;
        };
        let mut pairs = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if let Some(text) = self.text(value, &key.value) {
                pairs.push(Placed::new(format!("{}={}", key.value, text.value), text.at));
            }
        }
        pairs
    }

    fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Entries> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            other => {
                self.wrong(
                    node.at,
                    format!("{what} should be a map of keys and values, and is {}", other.kind()),
                );
                None
            }
        }
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<Placed<String>> {
        let text = match &node.value {
            Value::Text(text) | Value::Number(text) => text.clone(),
            Value::Switch(on) => on.to_string(),
            Value::Null => {
                self.wrong(node.at, format!("`{key}` has no value"));
                return None;
            }
            other @ (Value::List(_) | Value::Map(_)) => {
                self.wrong(node.at, format!("`{key}` should be one value, and is {}", other.kind()));
                return None;
            }
        };
        Some(Placed::new(text, node.at))
    }

    fn texts(&mut self, node: &Node, key: &str) -> Vec<Placed<String>> {
        match &node.value {
            Value::List(items) => items.iter().filter_map(|item| self.text(item, key)).collect(),
            _ => self.text(node, key).into_iter().collect(),
        }
    }

    fn switch(&mut self, node: &Node, key: &str) -> Option<bool> {
        match &node.value {
            Value::Switch(on) => Some(*on),
            // A variable's value is a text.
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            other => {
                self.wrong(node.at, format!("`{key}` should be true or false, and is {}", other.kind()));
                None
            }
        }
    }

    fn known(&mut self, entries: &Entries, keys: &[&str]) {
        for (key, _) in entries.iter().filter(|(key, _)| !keys.contains(&key.value.as_str())) {
            let message = match nearest(&key.value, keys.iter().copied()) {
                Some(near) => format!("there is no key `{}` here; did you mean `{near}`?", key.value),
                None => format!("there is no key `{}` here; there are {}", key.value, keys.join(", ")),
            };
            self.wrong(key.at, message);
        }
    }
}

fn get<'n>(entries: &'n Entries, key: &str) -> Option<&'n Node> {
    entries.iter().find(|(known, _)| known.value == key).map(|(_, node)| node)
}
