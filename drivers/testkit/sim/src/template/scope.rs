//! What a template's expressions may name: its parameters and variables, where it is deployed, and what is there already.

use serde_json::{Map, Value, json};

use super::expression::{self, Expression};
use super::function;

/// Where a template is deployed.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) subscription: String,
    pub(crate) tenant: String,
    pub(crate) group: String,
    pub(crate) location: String,
    pub(crate) deployment: String,
    /// Resource Manager's address.
    pub(crate) endpoint: String,
}

/// Looks a resource up: by name or id, in a version (or the one that the template says), whole or its properties.
pub(crate) type Look<'l> = dyn Fn(&Value, Option<&str>, bool) -> Result<Value, String> + 'l;

/// What expressions are evaluated in.
pub(crate) struct Scope<'s> {
    pub(super) place: &'s Place,
    pub(super) parameters: &'s Map<String, Value>,
    pub(super) variables: &'s Map<String, Value>,
    /// The turn of each loop that is gone through, the innermost last; the resource's own is named "".
    pub(super) turns: Vec<(String, i64)>,
    /// How `reference()` finds what it names; without it, nothing may be referred to yet.
    pub(super) look: Option<&'s Look<'s>>,
    /// Whether a parameter's default is evaluated: the only place for `newGuid` and `utcNow`.
    pub(super) default: Option<&'s super::Fresh>,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is wrong.
    Wrong(String),
    /// It refers to something that is only there later.
    Later,
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

impl Scope<'_> {
    /// A value with every expression in it replaced by what it says, and loops over properties gone through.
    pub(crate) fn evaluate(&self, value: &Value) -> Result<Value, Trouble> {
        match value {
            Value::String(text) => match expression::parse(text) {
                Some(parsed) => self.value(&parsed?),
                None => Ok(Value::String(expression::literal(text))),
            },
            Value::Array(items) => {
                items.iter().map(|item| self.evaluate(item)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Value::Object(fields) => {
                let mut shown = Map::new();
                for (name, field) in fields {
                    if name == "copy" && field.is_array() {
                        self.repeat(field, &mut shown)?;
                        continue;
                    }
                    let Value::String(name) = self.evaluate(&Value::String(name.clone()))? else {
                        return Err(Trouble::Wrong(format!("The property name '{name}' is no string.")));
                    };
                    shown.insert(name, self.evaluate(field)?);
                }
                Ok(Value::Object(shown))
            }
            other => Ok(other.clone()),
        }
    }

    /// `"copy": [{"name": …, "count": …, "input": …}]`: lists that are made of turns.
    fn repeat(&self, loops: &Value, into: &mut Map<String, Value>) -> Result<(), Trouble> {
        for each in loops.as_array().into_iter().flatten() {
            let name = each["name"].as_str().unwrap_or_default();
            let count = self.count(&each["count"])?;
            let mut items = Vec::new();
            for turn in 0..count {
                let mut turns = self.turns.clone();
                turns.push((name.to_owned(), turn));
                items.push(Scope { turns, ..self.again() }.evaluate(&each["input"])?);
            }
            into.insert(name.to_owned(), Value::Array(items));
        }
        Ok(())
    }

    /// How often a loop goes round.
    pub(super) fn count(&self, count: &Value) -> Result<i64, Trouble> {
        let count = self.evaluate(count)?;
        count.as_i64().filter(|count| (0..=800).contains(count)).ok_or_else(|| {
            Trouble::Wrong(format!("The copy count '{count}' is not a number between 0 and 800."))
        })
    }

    fn again(&self) -> Scope<'_> {
        Scope { turns: self.turns.clone(), ..*self }
    }

    /// What an expression says.
    pub(super) fn value(&self, expression: &Expression) -> Result<Value, Trouble> {
        match expression {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Member(of, name) => {
                let (of, name) = (self.value(of)?, self.value(name)?);
                member(&of, &name).ok_or_else(|| {
                    Trouble::Wrong(format!(
                        "The language expression property '{}' doesn't exist, available properties are '{}'.",
                        plain(&name),
                        of.as_object()
                            .map(|o| o.keys().cloned().collect::<Vec<_>>().join(", "))
                            .unwrap_or_default()
                    ))
                })
            }
            Expression::Call(name, arguments) => self.call(name, arguments),
        }
    }

    fn call(&self, name: &str, arguments: &[Expression]) -> Result<Value, Trouble> {
        // Only the branch that is taken is looked at.
        if let ("if", [condition, yes, no]) = (name, arguments) {
            let taken = match self.value(condition)? {
                Value::Bool(true) => yes,
                Value::Bool(false) => no,
                other => {
                    return Err(Trouble::Wrong(format!("The condition of 'if' is no boolean: {other}.")));
                }
            };
            return self.value(taken);
        }
        let values = arguments.iter().map(|a| self.value(a)).collect::<Result<Vec<_>, _>>()?;
        match (name, &values[..]) {
            ("parameters", [Value::String(wanted)]) => named(self.parameters, wanted)
                .ok_or_else(|| Trouble::Wrong(format!("The template parameter '{wanted}' is not found."))),
            ("variables", [Value::String(wanted)]) => named(self.variables, wanted)
                .ok_or_else(|| Trouble::Wrong(format!("The template variable '{wanted}' is not found."))),
            ("copyindex", rest) => self.turn(rest),
            ("reference", [what, rest @ ..]) => {
                let look = self.look.ok_or(Trouble::Later)?;
                let version = rest.first().and_then(Value::as_str);
                let full =
                    rest.get(1).and_then(Value::as_str).is_some_and(|f| f.eq_ignore_ascii_case("full"));
                look(what, version, full).map_err(Trouble::Wrong)
            }
            ("newguid", []) => self.fresh(name).map(|fresh| json!(fresh.guid)),
            ("utcnow", _) => self.fresh(name).map(|fresh| json!(fresh.now)),
            _ => function::call(self.place, name, &values).map_err(Trouble::Wrong),
        }
    }

    fn fresh(&self, name: &str) -> Result<&super::Fresh, Trouble> {
        self.default.ok_or_else(|| {
            let message = format!(
                "The template function '{name}' is not expected at this location. It may be used in parameter default values only."
            );
            Trouble::Wrong(message)
        })
    }

    /// `copyIndex()`, `copyIndex(offset)`, `copyIndex('loop')`, `copyIndex('loop', offset)`.
    fn turn(&self, arguments: &[Value]) -> Result<Value, Trouble> {
        let name = arguments.first().and_then(Value::as_str);
        let offset = arguments.last().and_then(Value::as_i64).unwrap_or(0);
        let found = match name {
            Some(name) => self.turns.iter().rev().find(|(own, _)| own.eq_ignore_ascii_case(name)),
            None => self.turns.first(),
        };
        let (_, turn) = found.ok_or_else(|| {
            Trouble::Wrong(
                "The template function 'copyIndex' is not expected at this location. The function can only be used in a \
                 resource with copy specified."
                    .to_owned(),
            )
        })?;
        Ok(json!(turn + offset))
    }
}

/// The value under a name, in any case.
pub(super) fn named(of: &Map<String, Value>, name: &str) -> Option<Value> {
    of.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}

fn member(of: &Value, name: &Value) -> Option<Value> {
    match (of, name) {
        (Value::Object(fields), Value::String(name)) => named(fields, name),
        (Value::Array(items), Value::Number(at)) => items.get(usize::try_from(at.as_i64()?).ok()?).cloned(),
        _ => None,
    }
}

/// A value as it is written in a sentence.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
