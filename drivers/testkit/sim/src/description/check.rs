//! Whether a body is what its version describes, and what of an answer a version knows.

use serde_json::{Map, Value};

use super::{Description, Field, Kind};

/// What is wrong with a body, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// As `properties.storageProfile.osDisk`.
    pub path: String,
    /// The last part of the path.
    pub member: String,
    /// The model that it stands in.
    pub model: String,
    /// What is wrong.
    pub reason: Reason,
}

/// The ways in which a body can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The version has no such field.
    Unknown,
    /// A required field is missing.
    Missing,
    /// Something else belongs there: what, and what was sent.
    Type(&'static str, String),
    /// The value is none of those allowed.
    Value(String, Vec<String>),
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sent to make or replace something.
    Whole,
    /// Sent to change something: required fields may be left out.
    Partial,
    /// Answered: fields that are read-only are judged, too.
    Answer,
}

impl Description {
    /// The first thing wrong with `body` as a `model`.
    pub fn check(&self, model: &str, body: &Value, role: Role) -> Result<(), Complaint> {
        self.check_kind(&Kind::Model(model.to_owned()), body, role)
    }

    /// The first thing wrong with `body` as a `kind`.
    pub fn check_kind(&self, kind: &Kind, body: &Value, role: Role) -> Result<(), Complaint> {
        let model = kind.model().unwrap_or_default();
        self.check_value(&Place { path: String::new(), member: "", model, role }, kind, body)
    }

    fn check_value(&self, at: &Place<'_>, kind: &Kind, value: &Value) -> Result<(), Complaint> {
        let fits = match (kind, value) {
            (_, Value::Null)
            | (Kind::Any, _)
            | (Kind::String, Value::String(_))
            | (Kind::Boolean, Value::Bool(_)) => true,
            // The descriptions of newer versions know no fractions, and call prices integers, too.
            (Kind::Integer, Value::Number(n)) => {
                n.is_i64() || n.is_u64() || n.as_f64().is_some_and(|n| n.fract() == 0.0)
            }
            (Kind::Number, Value::Number(_)) => true,
            (Kind::Enum(allowed), Value::String(s)) => {
                if allowed.iter().any(|a| a.eq_ignore_ascii_case(s)) {
                    return Ok(());
                }
                return Err(at.complain(Reason::Value(s.clone(), allowed.clone())));
            }
            (Kind::Model(model), Value::Object(object)) => return self.check_model(at, model, object),
            (Kind::List(inner), Value::Array(items)) => {
                for (number, item) in items.iter().enumerate() {
                    self.check_value(&at.item(number), inner, item)?;
                }
                true
            }
            (Kind::Map(inner), Value::Object(object)) => {
                for (name, item) in object {
                    self.check_value(&at.below(name, at.model), inner, item)?;
                }
                true
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(at.complain(Reason::Type(wanted(kind), value.to_string()))) }
    }

    fn check_model(&self, at: &Place<'_>, model: &str, object: &Map<String, Value>) -> Result<(), Complaint> {
        let Some(fields) = self.model(model) else { return Ok(()) };
        for (name, value) in object {
            let below = at.below(name, model);
            match find(fields.iter(), name) {
                None => return Err(below.complain(Reason::Unknown)),
                Some((_, field)) if field.read_only && at.role != Role::Answer => {}
                Some((_, field)) => self.check_value(&below, &field.kind, value)?,
            }
        }
        for (name, _) in fields.iter().filter(|(_, f)| f.required && at.role != Role::Partial) {
            if object.iter().all(|(sent, value)| !sent.eq_ignore_ascii_case(name) || value.is_null()) {
                return Err(at.below(name, model).complain(Reason::Missing));
            }
        }
        Ok(())
    }

    /// What of `value` this version shows: fields that it does not know are left out, and so is everything when it knows
    /// no such model.
    pub fn project(&self, model: &str, value: &Value) -> Value {
        self.project_kind(&Kind::Model(model.to_owned()), value)
    }

    fn project_kind(&self, kind: &Kind, value: &Value) -> Value {
        match (kind, value) {
            (Kind::Model(model), Value::Object(object)) => {
                let Some(fields) = self.model(model) else { return value.clone() };
                let known = object.iter().filter_map(|(name, value)| {
                    let field = fields.get(name)?;
                    Some((name.clone(), self.project_kind(&field.kind, value)))
                });
                Value::Object(known.collect())
            }
            (Kind::List(inner), Value::Array(items)) => {
                Value::Array(items.iter().map(|item| self.project_kind(inner, item)).collect())
            }
            _ => value.clone(),
        }
    }

    /// `body` without what a request cannot set, and with every name spelt as described, ready to be kept.
    pub fn settable(&self, model: &str, body: &Value) -> Value {
        self.settable_kind(&Kind::Model(model.to_owned()), body)
    }

    fn settable_kind(&self, kind: &Kind, value: &Value) -> Value {
        match (kind, value) {
            (Kind::Model(model), Value::Object(object)) => {
                let Some(fields) = self.model(model) else { return value.clone() };
                let kept = object.iter().filter(|(_, value)| !value.is_null()).filter_map(|(name, value)| {
                    let (name, field) = find(fields.iter(), name)?;
                    // An id names the resource that a reference is to: it is kept though a resource's own is read-only.
                    let keep = !field.read_only || name == "id";
                    keep.then(|| (name.clone(), self.settable_kind(&field.kind, value)))
                });
                Value::Object(kept.collect())
            }
            (Kind::List(inner), Value::Array(items)) => {
                Value::Array(items.iter().map(|item| self.settable_kind(inner, item)).collect())
            }
            (Kind::Enum(allowed), Value::String(s)) => {
                let spelt = allowed.iter().find(|a| a.eq_ignore_ascii_case(s));
                Value::String(spelt.unwrap_or(s).clone())
            }
            _ => value.clone(),
        }
    }
}

/// ARM takes names in any case.
fn find<'f>(
    mut fields: impl Iterator<Item = (&'f String, &'f Field)>,
    name: &str,
) -> Option<(&'f String, &'f Field)> {
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// Where in a body we are.
struct Place<'p> {
    path: String,
    member: &'p str,
    model: &'p str,
    role: Role,
}

impl<'p> Place<'p> {
    fn below<'q>(&self, member: &'q str, model: &'q str) -> Place<'q> {
        let path = if self.path.is_empty() { member.to_owned() } else { format!("{}.{member}", self.path) };
        Place { path, member, model, role: self.role }
    }

    fn item(&self, number: usize) -> Place<'p> {
        Place {
            path: format!("{}[{number}]", self.path),
            member: self.member,
            model: self.model,
            role: self.role,
        }
    }

    fn complain(&self, reason: Reason) -> Complaint {
        let (path, member, model) = (self.path.clone(), self.member.to_owned(), self.model.to_owned());
        Complaint { path, member, model, reason }
    }
}

fn wanted(kind: &Kind) -> &'static str {
    match kind {
        Kind::String | Kind::Enum(_) => "System.String",
        Kind::Integer => "System.Nullable`1[System.Int32]",
        Kind::Number => "System.Nullable`1[System.Double]",
        Kind::Boolean => "System.Nullable`1[System.Boolean]",
        Kind::List(_) => "System.Collections.Generic.List`1",
        Kind::Model(_) | Kind::Map(_) | Kind::Any => "System.Object",
    }
}
