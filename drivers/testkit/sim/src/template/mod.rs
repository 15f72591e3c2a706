//! Deployment templates: what a template with these parameters wants made, in which order, and what each body says.
//!
//! ```text
//! template + parameters ──► Template::read ──► Planned, Planned, …   (names, versions, what each waits for)
//!                                                │
//!                            Template::body ◄────┘   (once what it waits for is there: `reference()` looks there)
//! ```

mod expression;
mod function;
mod parameter;
mod scope;

use serde_json::{Map, Value, json};

use expression::Expression;
pub(crate) use scope::{Place, Trouble};
use scope::{Scope, plain};

/// Gets a resource by id, in a version.
pub(crate) type Fetch<'f> = dyn Fn(&str, &str) -> Result<Value, String> + 'f;

/// What `newGuid` and `utcNow` say during one deployment.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    pub(crate) guid: String,
    pub(crate) now: String,
}

/// A template that was read with its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    place: Place,
    parameters: Map<String, Value>,
    variables: Map<String, Value>,
    pub(crate) resources: Vec<Planned>,
    outputs: Map<String, Value>,
    /// Names of the loops over resources.
    loops: Vec<String>,
    /// The parameters as an answer shows them: secrets without their values.
    pub(crate) shown: Value,
}

/// A resource that the template wants.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    /// As `Microsoft.Network/virtualNetworks/subnets`.
    pub(crate) kind: String,
    /// As `net/one`.
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) version: String,
    /// Those that must be there before, by their place in the list.
    pub(crate) after: Vec<usize>,
    /// Left out by its condition, or there already.
    pub(crate) skipped: bool,
    symbol: Option<String>,
    turns: Vec<(String, i64)>,
    depends_on: Vec<Value>,
    raw: Map<String, Value>,
}

/// What is said beside a resource's body.
const BESIDE: &[&str] = &[
    "apiVersion",
    "type",
    "name",
    "dependsOn",
    "condition",
    "copy",
    "comments",
    "metadata",
    "resources",
    "existing",
    "scope",
    "subscriptionId",
    "resourceGroup",
    "asserts",
];

impl Template {
    /// Reads `template` with `parameters` as they are sent (`{"a": {"value": 1}}`).
    pub(crate) fn read(template: &Value, sent: &Value, place: Place, fresh: &Fresh) -> Result<Self, String> {
        for needed in ["$schema", "contentVersion", "resources"] {
            if template[needed].is_null() {
                return Err(format!(
                    "Required property '{needed}' not found in JSON. Path '', line 1, position 1."
                ));
            }
        }
        let (parameters, shown) = parameter::read(&template["parameters"], sent, &place, fresh)?;
        let mut read = Self {
            place,
            parameters,
            variables: Map::new(),
            resources: Vec::new(),
            outputs: template["outputs"].as_object().cloned().unwrap_or_default(),
            loops: Vec::new(),
            shown,
        };
        read.read_variables(&template["variables"])?;
        read.expand(&template["resources"], None)?;
        read.order()?;
        Ok(read)
    }

    fn scope<'s>(&'s self, turns: &[(String, i64)], look: Option<&'s scope::Look<'s>>) -> Scope<'s> {
        Scope {
            place: &self.place,
            parameters: &self.parameters,
            variables: &self.variables,
            turns: turns.to_vec(),
            look,
            default: None,
        }
    }

    /// Variables may name each other, in any order.
    fn read_variables(&mut self, raw: &Value) -> Result<(), String> {
        let mut waiting: Vec<(String, Value)> = raw
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut left = Vec::new();
            let mut why = String::new();
            for (name, value) in waiting {
                // Lists made of turns stand beside the others.
                let found = if name == "copy" && value.is_array() {
                    self.scope(&[], None).evaluate(&json!({"copy": value}))
                } else {
                    self.scope(&[], None).evaluate(&json!({&name: value}))
                };
                match found {
                    Ok(found) => self.variables.extend(found.as_object().cloned().unwrap_or_default()),
                    Err(trouble) => {
                        why = trouble.why();
                        left.push((name, value));
                    }
                }
            }
            if left.len() == before {
                return Err(why);
            }
            waiting = left;
        }
        Ok(())
    }

    /// Lists resources, each as often as it is wanted, and what stands in them.
    fn expand(&mut self, resources: &Value, parent: Option<(&str, &str)>) -> Result<(), String> {
        let all: Vec<(Option<&String>, &Value)> = match resources {
            Value::Array(list) => list.iter().map(|resource| (None, resource)).collect(),
            Value::Object(named) => named.iter().map(|(symbol, resource)| (Some(symbol), resource)).collect(),
            _ => Vec::new(),
        };
        for (symbol, raw) in all {
            let turns: Vec<Vec<(String, i64)>> = if raw["copy"].is_object() {
                let name = plain(&raw["copy"]["name"]);
                let count = self.scope(&[], None).count(&raw["copy"]["count"]).map_err(Trouble::why)?;
                self.loops.push(name.clone());
                (0..count).map(|turn| vec![(name.clone(), turn)]).collect()
            } else {
                vec![Vec::new()]
            };
            for turns in turns {
                self.plan(symbol, raw, turns, parent)?;
            }
        }
        Ok(())
    }

    fn plan(
        &mut self,
        symbol: Option<&String>,
        raw: &Value,
        turns: Vec<(String, i64)>,
        parent: Option<(&str, &str)>,
    ) -> Result<(), String> {
        let scope = self.scope(&turns, None);
        let text = |field: &str| -> Result<String, String> {
            let value = scope.evaluate(&raw[field]).map_err(Trouble::why)?;
            value.as_str().map(str::to_owned).ok_or_else(|| {
                format!("Required property '{field}' not found in JSON, or no string. Path 'resources', line 1, position 1.")
            })
        };
        let (own_kind, own_name) = (text("type")?, text("name")?);
        let version = text("apiVersion")?;
        let wanted =
            scope.evaluate(raw.get("condition").unwrap_or(&Value::Bool(true))).map_err(Trouble::why)?;
        let wanted =
            wanted.as_bool().ok_or_else(|| format!("The condition of '{own_name}' is no boolean."))?;
        let (kind, name) = match parent {
            Some((kind, name)) if !own_kind.contains('.') => {
                (format!("{kind}/{own_kind}"), format!("{name}/{own_name}"))
            }
            _ => (own_kind, own_name),
        };
        for elsewhere in ["subscriptionId", "resourceGroup", "scope"] {
            if !raw[elsewhere].is_null() && raw["existing"] != true {
                return Err(format!(
                    "The simulator deploys into one resource group only, not by '{elsewhere}'."
                ));
            }
        }
        let names: Vec<String> = name.split('/').map(str::to_owned).collect();
        let Place { subscription, group, .. } = &self.place;
        let id = format!("/subscriptions/{subscription}/resourceGroups/{group}{}", path(&kind, &names)?);
        if self.resources.iter().any(|r| r.id.eq_ignore_ascii_case(&id)) {
            return Err(format!(
                "The resource '{kind}/{name}' at line '1' and column '1' is defined multiple times in a template. Please \
                 see https://aka.ms/arm-syntax-resources for usage details."
            ));
        }
        let body = raw.as_object().into_iter().flatten();
        let body = body.filter(|(field, _)| !BESIDE.contains(&field.as_str()));
        let planned = Planned {
            kind: kind.clone(),
            name: name.clone(),
            id,
            version,
            after: Vec::new(),
            skipped: !wanted || raw["existing"] == true,
            symbol: symbol.cloned(),
            turns,
            depends_on: raw["dependsOn"].as_array().cloned().unwrap_or_default(),
            raw: body.map(|(field, value)| (field.clone(), value.clone())).collect(),
        };
        self.resources.push(planned);
        if wanted && raw["resources"].is_array() {
            self.expand(&raw["resources"], Some((&kind, &name)))?;
        }
        Ok(())
    }

    /// Finds what each resource waits for: what it names in `dependsOn`, and what it refers to.
    fn order(&mut self) -> Result<(), String> {
        for at in 0..self.resources.len() {
            let planned = &self.resources[at];
            let mut after = Vec::new();
            for wanted in &planned.depends_on {
                let wanted = self.scope(&planned.turns, None).evaluate(wanted).map_err(Trouble::why)?;
                after.extend(self.find_named(&plain(&wanted))?);
            }
            self.references(at, &Value::Object(planned.raw.clone()), &mut after)?;
            after.retain(|other| *other != at);
            after.sort_unstable();
            after.dedup();
            self.resources[at].after = after;
        }
        self.refuse_circles()
    }

    /// Those that `dependsOn` means: an id, `type/name`, a name, a symbol, or a loop's name.
    fn find_named(&self, wanted: &str) -> Result<Vec<usize>, String> {
        let same = |a: &str| a.eq_ignore_ascii_case(wanted);
        let is = |r: &Planned| {
            same(&r.id)
                || same(&r.name)
                || same(&format!("{}/{}", r.kind, r.name))
                || r.symbol.as_deref().is_some_and(same)
                || r.turns.first().is_some_and(|(name, _)| same(name))
                || r.id.rsplit_once("/providers/").is_some_and(|(_, path)| same(path))
        };
        let found: Vec<usize> =
            self.resources.iter().enumerate().filter(|(_, r)| is(r)).map(|(at, _)| at).collect();
        // A loop that goes round no time is there all the same.
        if found.is_empty() && !self.loops.iter().any(|name| same(name)) {
            return Err(format!(
                "The resource '{wanted}' is not defined in the template. Please see https://aka.ms/arm-syntax for usage \
                 details."
            ));
        }
        Ok(found)
    }

    /// Those that `reference()` names anywhere in a body.
    fn references(&self, at: usize, value: &Value, found: &mut Vec<usize>) -> Result<(), String> {
        match value {
            Value::String(text) => match expression::parse(text) {
                Some(parsed) => self.references_of(at, &parsed?, found),
                None => Ok(()),
            },
            Value::Array(items) => items.iter().try_for_each(|item| self.references(at, item, found)),
            Value::Object(fields) => fields.values().try_for_each(|field| self.references(at, field, found)),
            _ => Ok(()),
        }
    }

    fn references_of(&self, at: usize, of: &Expression, found: &mut Vec<usize>) -> Result<(), String> {
        match of {
            Expression::Literal(_) => Ok(()),
            Expression::Member(of, name) => {
                self.references_of(at, of, found)?;
                self.references_of(at, name, found)
            }
            Expression::Call(name, arguments) => {
                if let ("reference", Some(what)) = (name.as_str(), arguments.first()) {
                    // What cannot be named yet, within a list that is made of turns, waits for nothing by itself.
                    if let Ok(what) = self.scope(&self.resources[at].turns, None).value(what) {
                        found.extend(self.position(&plain(&what)));
                    }
                }
                arguments.iter().try_for_each(|argument| self.references_of(at, argument, found))
            }
        }
    }

    fn position(&self, what: &str) -> Option<usize> {
        self.resources.iter().position(|r| {
            r.id.eq_ignore_ascii_case(what)
                || r.name.eq_ignore_ascii_case(what)
                || r.symbol.as_deref().is_some_and(|s| s.eq_ignore_ascii_case(what))
        })
    }

    fn refuse_circles(&self) -> Result<(), String> {
        let mut done = vec![false; self.resources.len()];
        loop {
            let free = |at: &usize| !done[*at] && self.resources[*at].after.iter().all(|a| done[*a]);
            let ready: Vec<usize> = (0..done.len()).filter(free).collect();
            if ready.is_empty() {
                break;
            }
            for at in ready {
                done[at] = true;
            }
        }
        let Some(at) = done.iter().position(|done| !done) else { return Ok(()) };
        Err(format!(
            "Circular dependency detected on resource: '{}'. Please see https://aka.ms/arm-syntax-resources for usage details.",
            self.resources[at].id
        ))
    }

    /// The body of a resource; without a way to fetch others, [`Trouble::Later`] where it needs one.
    pub(crate) fn body(&self, at: usize, fetch: Option<&Fetch<'_>>) -> Result<Value, Trouble> {
        let planned = &self.resources[at];
        // What is deployed inside may have a scope of its own.
        let mut raw = planned.raw.clone();
        let inner = raw.get("properties").filter(|_| planned.is_deployment()).and_then(|properties| {
            let scope = properties["expressionEvaluationOptions"]["scope"].as_str()?;
            scope.eq_ignore_ascii_case("inner").then(|| properties["template"].clone())
        });
        if let (Some(_), Some(properties)) = (&inner, raw.get_mut("properties")) {
            properties["template"] = Value::Null;
        }
        let mut body = self.with(&planned.turns, fetch, &Value::Object(raw))?;
        match inner {
            Some(template) => body["properties"]["template"] = template,
            None if planned.is_deployment() => {}
            None => leave_out_nulls(&mut body),
        }
        Ok(body)
    }

    /// What the template says at its end.
    pub(crate) fn outputs(&self, fetch: &Fetch<'_>) -> Result<Value, String> {
        let mut shown = Map::new();
        for (name, output) in &self.outputs {
            let wanted = output.get("condition").cloned().unwrap_or(Value::Bool(true));
            if self.with(&[], Some(fetch), &wanted).map_err(Trouble::why)? != true {
                continue;
            }
            let kind = output["type"].as_str().unwrap_or("String");
            let value = self.with(&[], Some(fetch), &output["value"]).map_err(Trouble::why)?;
            let secret = kind.to_ascii_lowercase().starts_with("secure");
            let kind = parameter::proper(kind);
            shown.insert(
                name.clone(),
                if secret { json!({"type": kind}) } else { json!({"type": kind, "value": value}) },
            );
        }
        Ok(Value::Object(shown))
    }

    fn with(
        &self,
        turns: &[(String, i64)],
        fetch: Option<&Fetch<'_>>,
        value: &Value,
    ) -> Result<Value, Trouble> {
        let Some(fetch) = fetch else { return self.scope(turns, None).evaluate(value) };
        let look = |what: &Value, version: Option<&str>, full: bool| {
            let what = plain(what);
            let known = self.position(&what).map(|at| &self.resources[at]);
            let id = known.map_or(what.as_str(), |r| &r.id);
            let version = version.or(known.map(|r| r.version.as_str()));
            let (true, Some(version)) = (id.starts_with('/'), version) else {
                return Err(format!("The resource '{what}' is not defined in the template."));
            };
            let found = fetch(id, version)?;
            Ok(if full { found } else { found["properties"].clone() })
        };
        self.scope(turns, Some(&look)).evaluate(value)
    }
}

impl Planned {
    /// Whether it is a deployment inside this one.
    pub(crate) fn is_deployment(&self) -> bool {
        self.kind.eq_ignore_ascii_case("Microsoft.Resources/deployments")
    }
}

impl Trouble {
    /// In words.
    pub(crate) fn why(self) -> String {
        match self {
            Self::Wrong(why) => why,
            Self::Later => "The template function 'reference' is not expected at this location. Please see \
                            https://aka.ms/arm-template-expressions for usage details."
                .to_owned(),
        }
    }
}

/// A field that is null counts as not written.
fn leave_out_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(leave_out_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_nulls),
        _ => {}
    }
}

/// `/providers/NAMESPACE/KIND/NAME/…` of a type and as many names.
fn path(kind: &str, names: &[String]) -> Result<String, String> {
    let mut parts = kind.split('/');
    let namespace = parts.next().unwrap_or_default();
    let kinds: Vec<&str> = parts.collect();
    let names: Vec<&str> = names.iter().flat_map(|name| name.split('/')).collect();
    if kinds.is_empty() || kinds.len() != names.len() || names.iter().any(|name| name.is_empty()) {
        return Err(format!(
            "The template resource '{}' for type '{kind}' has incorrect segment lengths. A nested resource type must have \
             identical number of segments as its resource name. A root resource type must have segment length one greater \
             than its resource name. Please see https://aka.ms/arm-syntax-resources for usage details.",
            names.join("/")
        ));
    }
    let pairs: String = kinds.iter().zip(&names).map(|(kind, name)| format!("/{kind}/{name}")).collect();
    Ok(format!("/providers/{namespace}{pairs}"))
}

#[cfg(test)]
mod tests;
