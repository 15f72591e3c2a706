//! The functions of the template language that need nothing but their arguments and the place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::scope::{Place, plain};

type Answer = Result<Value, String>;

/// Calls a function by its name in lower case.
pub(super) fn call(place: &Place, name: &str, arguments: &[Value]) -> Answer {
    let found = of_place(place, name, arguments)
        .or_else(|| of_logic(name, arguments))
        .or_else(|| of_numbers(name, arguments))
        .or_else(|| of_text(name, arguments))
        .or_else(|| of_collections(name, arguments));
    found.unwrap_or_else(|| Err(refused(name, arguments)))
}

fn refused(name: &str, arguments: &[Value]) -> String {
    let sent: Vec<_> = arguments.iter().map(kind_of).collect();
    format!(
        "The template function '{name}' is not valid here, or not with these arguments: ({}).",
        sent.join(", ")
    )
}

/// A value as text: truth is written with a capital.
fn text(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => plain(other),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    }
}

fn of_place(place: &Place, name: &str, arguments: &[Value]) -> Option<Answer> {
    let group = format!("/subscriptions/{}/resourceGroups/{}", place.subscription, place.group);
    Some(Ok(match (name, arguments) {
        ("resourcegroup", []) => json!({
            "id": group, "name": place.group, "type": "Microsoft.Resources/resourceGroups", "location": place.location,
            "tags": {}, "properties": {"provisioningState": "Succeeded"},
        }),
        ("subscription", []) => json!({
            "id": format!("/subscriptions/{}", place.subscription), "subscriptionId": place.subscription,
            "tenantId": place.tenant, "displayName": "Simulated",
        }),
        ("tenant", []) => json!({"tenantId": place.tenant}),
        ("deployment", []) => json!({"name": place.deployment}),
        ("environment", []) => json!({"name": "AzureCloud", "resourceManager": place.endpoint}),
        ("resourceid", arguments) => return Some(resource_id(place, arguments)),
        ("subscriptionresourceid", [kind, names @ ..]) => {
            let below = format!("/subscriptions/{}", place.subscription);
            return Some(provider_path(kind, names).map(|path| json!(format!("{below}{path}"))));
        }
        ("extensionresourceid", [of, kind, names @ ..]) => {
            return Some(provider_path(kind, names).map(|path| json!(format!("{}{path}", plain(of)))));
        }
        _ => return None,
    }))
}

/// `resourceId([subscription], [group], type, name…)`: the type is what has a slash.
fn resource_id(place: &Place, arguments: &[Value]) -> Answer {
    let at = arguments.iter().position(|a| a.as_str().is_some_and(|a| a.contains('/')));
    let Some(at) = at else { return Err("The function 'resourceId' is given no resource type.".to_owned()) };
    let (before, rest) = arguments.split_at(at);
    let (subscription, group) = match before {
        [] => (place.subscription.clone(), place.group.clone()),
        [group] => (place.subscription.clone(), plain(group)),
        [subscription, group, ..] => (plain(subscription), plain(group)),
    };
    let path = provider_path(&rest[0], &rest[1..])?;
    Ok(json!(format!("/subscriptions/{subscription}/resourceGroups/{group}{path}")))
}

fn provider_path(kind: &Value, names: &[Value]) -> Result<String, String> {
    let names: Vec<_> = names.iter().map(plain).collect();
    super::path(&plain(kind), &names)
}

fn of_logic(name: &str, arguments: &[Value]) -> Option<Answer> {
    let both = |all: &dyn Fn(&[bool]) -> bool| {
        let flags: Option<Vec<bool>> = arguments.iter().map(Value::as_bool).collect();
        flags.map(|flags| json!(all(&flags)))
    };
    let value = match (name, arguments) {
        ("equals", [a, b]) => json!(same(a, b)),
        ("not", [Value::Bool(flag)]) => json!(!flag),
        ("and", [_, ..]) => both(&|flags| flags.iter().all(|f| *f))?,
        ("or", [_, ..]) => both(&|flags| flags.iter().any(|f| *f))?,
        ("true", []) => json!(true),
        ("false", []) => json!(false),
        ("null", []) => Value::Null,
        ("coalesce", all) => all.iter().find(|v| !v.is_null()).cloned().unwrap_or_default(),
        ("bool", [value]) => match plain(value).to_ascii_lowercase().as_str() {
            "true" | "1" => json!(true),
            "false" | "0" => json!(false),
            _ => return None,
        },
        ("less", [a, b]) => json!(order(a, b)?.is_lt()),
        ("lessorequals", [a, b]) => json!(order(a, b)?.is_le()),
        ("greater", [a, b]) => json!(order(a, b)?.is_gt()),
        ("greaterorequals", [a, b]) => json!(order(a, b)?.is_ge()),
        _ => return None,
    };
    Some(Ok(value))
}

/// Strings are compared in any case only by their order; for equality, case counts.
fn same(a: &Value, b: &Value) -> bool {
    a == b
}

fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(a.as_i64()?.cmp(&b.as_i64()?)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn of_numbers(name: &str, arguments: &[Value]) -> Option<Answer> {
    let listed = match arguments {
        [Value::Array(items)] => items.as_slice(),
        items => items,
    };
    let numbers = || listed.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>();
    let two = || match arguments {
        [a, b] => Some((a.as_i64()?, b.as_i64()?)),
        _ => None,
    };
    let whole = |number: Option<i64>| Some(number.map(|n| json!(n)).ok_or_else(|| refused(name, arguments)));
    match name {
        "add" => two().and_then(|(a, b)| whole(a.checked_add(b))),
        "sub" => two().and_then(|(a, b)| whole(a.checked_sub(b))),
        "mul" => two().and_then(|(a, b)| whole(a.checked_mul(b))),
        "div" => two().and_then(|(a, b)| whole(a.checked_div(b))),
        "mod" => two().and_then(|(a, b)| whole(a.checked_rem(b))),
        "min" => numbers().and_then(|all| whole(all.into_iter().min())),
        "max" => numbers().and_then(|all| whole(all.into_iter().max())),
        "int" => match arguments {
            [Value::String(text)] => whole(text.trim().parse().ok()),
            [Value::Number(number)] => whole(number.as_i64()),
            _ => None,
        },
        "range" => two().filter(|(_, count)| (0..=10_000).contains(count)).and_then(|(from, count)| {
            let end = from.checked_add(count)?;
            Some(Ok(json!((from..end).collect::<Vec<_>>())))
        }),
        _ => None,
    }
}

fn of_text(name: &str, arguments: &[Value]) -> Option<Answer> {
    let texts: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
    let numbers: Vec<usize> = arguments.iter().filter_map(|v| usize::try_from(v.as_i64()?).ok()).collect();
    let value = match (name, &texts[..], &numbers[..]) {
        ("string", ..) if arguments.len() == 1 => json!(text(&arguments[0])),
        ("json", [text], _) => match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => return Some(Err(format!("The value of 'json' is no JSON: {error}."))),
        },
        ("tolower", [text], _) => json!(text.to_lowercase()),
        ("toupper", [text], _) => json!(text.to_uppercase()),
        ("trim", [text], _) => json!(text.trim()),
        ("format", [form, ..], _) => return Some(format(form, &arguments[1..]).map(Value::String)),
        ("replace", [text, old, new], _) => json!(text.replace(old, new)),
        ("startswith", [text, front], _) => {
            json!(text.to_lowercase().starts_with(&front.to_lowercase()))
        }
        ("endswith", [text, end], _) => json!(text.to_lowercase().ends_with(&end.to_lowercase())),
        ("indexof", [text, part], _) => position(text.to_lowercase().find(&part.to_lowercase())),
        ("lastindexof", [text, part], _) => position(text.to_lowercase().rfind(&part.to_lowercase())),
        ("substring", [text], [from]) => json!(text.chars().skip(*from).collect::<String>()),
        ("substring", [text], [from, count]) => {
            json!(text.chars().skip(*from).take(*count).collect::<String>())
        }
        ("padleft", [text, rest @ ..], [width]) => {
            let with = rest.first().and_then(|c| c.chars().next()).unwrap_or(' ');
            let missing = width.saturating_sub(text.chars().count()).min(1024);
            json!(std::iter::repeat_n(with, missing).chain(text.chars()).collect::<String>())
        }
        ("split", [text, by], _) if !by.is_empty() => json!(text.split(by).collect::<Vec<_>>()),
        ("split", [text], _) => {
            let by: Vec<&str> = arguments.get(1)?.as_array()?.iter().filter_map(Value::as_str).collect();
            let ends = |c: char| by.iter().any(|b| b.contains(c));
            json!(text.split(ends).collect::<Vec<_>>())
        }
        ("base64", [text], _) => json!(STANDARD.encode(text)),
        ("base64tostring", [text], _) => decoded(text)?,
        ("base64tojson", [text], _) => serde_json::from_str(decoded(text)?.as_str()?).ok()?,
        ("uri", [base, rest], _) => {
            json!(format!("{}/{}", base.trim_end_matches('/'), rest.trim_start_matches('/')))
        }
        ("uniquestring", [_, ..], _) => json!(unique(&texts)),
        ("guid", [_, ..], _) => json!(guid(&texts)),
        _ => return None,
    };
    Some(Ok(value))
}

fn position(at: Option<usize>) -> Value {
    at.map_or_else(|| json!(-1), |at| json!(at))
}

fn decoded(text: &str) -> Option<Value> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok().map(Value::String)
}

/// `{0}` is the first argument; a doubled brace is one brace.
fn format(form: &str, arguments: &[Value]) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = form;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(more) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = more;
            continue;
        }
        let wrong = || format!("The format string '{form}' is invalid.");
        let (inside, more) = rest.split_once('}').filter(|_| brace == "{").ok_or_else(wrong)?;
        let number: usize =
            inside.split([',', ':']).next().unwrap_or_default().parse().map_err(|_| wrong())?;
        text.push_str(&self::text(arguments.get(number).ok_or_else(wrong)?));
        rest = more;
    }
    Ok(text + rest)
}

/// Thirteen letters that depend on the texts alone. The real service hashes in another way: only that it is always the
/// same is promised.
fn unique(texts: &[&str]) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = Sha256::digest(texts.join("-"));
    hash.iter().take(13).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// A uuid that depends on the texts alone.
fn guid(texts: &[&str]) -> String {
    let hex: String = Sha256::digest(texts.join("-")).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-5{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn of_collections(name: &str, arguments: &[Value]) -> Option<Answer> {
    let value = match (name, arguments) {
        ("concat", all) if !all.is_empty() && all.iter().all(Value::is_array) => {
            json!(all.iter().filter_map(Value::as_array).flatten().collect::<Vec<_>>())
        }
        ("concat", all) if !all.iter().any(|a| a.is_array() || a.is_object()) => {
            json!(all.iter().map(text).collect::<String>())
        }
        ("array", [Value::Array(items)]) => json!(items),
        ("array", [one]) => json!([one]),
        ("createarray", all) => json!(all),
        ("createobject", all) if all.len() % 2 == 0 => {
            Value::Object(all.chunks(2).map(|pair| (plain(&pair[0]), pair[1].clone())).collect())
        }
        ("length", [Value::Array(items)]) => json!(items.len()),
        ("length", [Value::Object(fields)]) => json!(fields.len()),
        ("length", [Value::String(text)]) => json!(text.chars().count()),
        ("empty", [value]) => json!(match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => return None,
        }),
        ("contains", [Value::Array(items), item]) => json!(items.iter().any(|i| same(i, item))),
        ("contains", [Value::Object(fields), Value::String(name)]) => {
            json!(super::scope::named(fields, name).is_some())
        }
        ("contains", [Value::String(text), part]) => json!(text.contains(&plain(part))),
        ("first", [Value::Array(items)]) => items.first().cloned().unwrap_or_default(),
        ("first", [Value::String(text)]) => json!(text.chars().next().map(String::from).unwrap_or_default()),
        ("last", [Value::Array(items)]) => items.last().cloned().unwrap_or_default(),
        ("last", [Value::String(text)]) => json!(text.chars().last().map(String::from).unwrap_or_default()),
        ("take", [of, count]) => part(of, 0, usize::try_from(count.as_i64()?.max(0)).ok()?)?,
        ("skip", [of, count]) => part(of, usize::try_from(count.as_i64()?.max(0)).ok()?, usize::MAX)?,
        ("join", [Value::Array(items), by]) => {
            json!(items.iter().map(plain).collect::<Vec<_>>().join(&plain(by)))
        }
        ("union", [first, rest @ ..]) => {
            rest.iter().try_fold(first.clone(), |all, next| union(&all, next))?
        }
        ("intersection", [Value::Array(first), rest @ ..]) => {
            let everywhere =
                |item: &&Value| rest.iter().all(|r| r.as_array().is_some_and(|r| r.contains(item)));
            json!(first.iter().filter(everywhere).collect::<Vec<_>>())
        }
        _ => return None,
    };
    Some(Ok(value))
}

fn part(of: &Value, from: usize, count: usize) -> Option<Value> {
    match of {
        Value::Array(items) => Some(json!(items.iter().skip(from).take(count).collect::<Vec<_>>())),
        Value::String(text) => Some(json!(text.chars().skip(from).take(count).collect::<String>())),
        _ => None,
    }
}

fn union(a: &Value, b: &Value) -> Option<Value> {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            let mut all: Vec<&Value> = Vec::new();
            for item in a.iter().chain(b) {
                if !all.contains(&item) {
                    all.push(item);
                }
            }
            Some(json!(all))
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut all: Map<String, Value> = a.clone();
            for (name, value) in b {
                let both = all.get(name).filter(|own| own.is_object() && value.is_object());
                let merged = both.and_then(|own| union(own, value)).unwrap_or_else(|| value.clone());
                all.insert(name.clone(), merged);
            }
            Some(Value::Object(all))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;

    #[test]
    fn text_numbers_and_collections() {
        for (expression, wanted) in [
            ("[concat('a', 1, true())]", "a1True"),
            ("[format('{0}-{{x}}-{1}', 'a', 2)]", "a-{x}-2"),
            ("[substring('abcdef', 2, 3)]", "cde"),
            ("[padLeft('7', 3, '0')]", "007"),
            ("[string(split('a,b;c', createArray(',', ';')))]", r#"["a","b","c"]"#),
            ("[base64ToString(base64('häuser'))]", "häuser"),
            ("[string(add(mul(2, 3), mod(7, 4)))]", "9"),
            ("[string(max(createArray(1, 5, 3)))]", "5"),
            ("[string(union(createObject('a', 1), createObject('b', 2)))]", r#"{"a":1,"b":2}"#),
            ("[string(intersection(createArray(1, 2), createArray(2, 3)))]", "[2]"),
            ("[join(take(createArray('a', 'b', 'c'), 2), '+')]", "a+b"),
            ("[if(and(equals('a', 'a'), not(false())), 'yes', variables('nowhere'))]", "yes"),
            ("[string(contains(createObject('Key', 1), 'key'))]", "True"),
            ("[uri('http://a/', '/b')]", "http://a/b"),
            ("[string(indexOf('abc', 'C'))]", "2"),
            ("[coalesce(null(), 'x')]", "x"),
        ] {
            assert_eq!(said(expression).unwrap(), wanted, "{expression}");
        }
    }

    #[test]
    fn names_are_of_the_place() {
        let id =
            "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net/subnets/one";
        let expression = "[resourceId('Microsoft.Network/virtualNetworks/subnets', 'net', 'one')]";
        assert_eq!(said(expression).unwrap(), id);
        let elsewhere = said("[resourceId('other', 'Microsoft.Compute/disks', 'd')]").unwrap();
        assert_eq!(elsewhere, "/subscriptions/s/resourceGroups/other/providers/Microsoft.Compute/disks/d");
        assert_eq!(said("[resourceGroup().location]").unwrap(), "west");
        assert_eq!(said("[uniqueString(resourceGroup().id)]").unwrap().len(), 13);
        assert_eq!(said("[guid('a')]").unwrap(), said("[guid('a')]").unwrap());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for wrong in [
            "[nothing()]",
            "[add('a', 1)]",
            "[div(1, 0)]",
            "[resourceId('Microsoft.Compute/disks')]",
            "[format('{1}', 'a')]",
            "[json('{')]",
            "[parameters('missing')]",
            "[resourceGroup().nothing]",
            "[newGuid()]",
            "[copyIndex()]",
        ] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }
}
