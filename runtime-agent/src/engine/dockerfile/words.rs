//! What stands behind an instruction, taken apart: words, lists and pairs.

use super::Refused;

/// The JSON form: a list of texts at the beginning of `rest`. `None` when it is no JSON list, which makes it words.
pub(super) fn json(rest: &str) -> Result<Option<Vec<String>>, Refused> {
    if !rest.starts_with('[') {
        return Ok(None);
    }
    // What follows the list is passed over, as dockerd does.
    let first = serde_json::Deserializer::from_str(rest).into_iter::<Vec<serde_json::Value>>().next();
    let Some(Ok(values)) = first else { return Ok(None) };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    };
    let texts: Option<Vec<_>> = values.into_iter().map(text).collect();
    let mixed = "when using JSON array syntax, arrays must be comprised of strings only";
    texts.map(Some).ok_or_else(|| mixed.to_owned())
}

/// The JSON form, or words between blanks.
pub(super) fn list(rest: &str) -> Result<Vec<String>, Refused> {
    Ok(json(rest)?.unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect()))
}

/// Words between blanks that are neither quoted nor escaped. Quotes and escapes stay: expansion takes them away.
pub(crate) fn words(rest: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut started) = (String::new(), None::<char>, false);
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        match quote {
            None if character.is_whitespace() => {
                if started {
                    words.push(std::mem::take(&mut word));
                    started = false;
                }
                continue;
            }
            None if character == '\'' || character == '"' => quote = Some(character),
            Some(open) if character == open => quote = None,
            _ if character == escape && quote != Some('\'') => {
                started = true;
                // One at the very end is left out.
                if let Some(next) = characters.next() {
                    word.extend([character, next]);
                }
                continue;
            }
            _ => {}
        }
        started = true;
        word.push(character);
    }
    if started {
        words.push(word);
    }
    words
}

/// `key=value key2="with spaces"`, or the old form `key all the rest`.
pub(super) fn pairs(rest: &str, instruction: &str, escape: char) -> Result<Vec<(String, String)>, Refused> {
    let words = words(rest, escape);
    let Some(first) = words.first() else { return Ok(Vec::new()) };
    if !first.contains('=') {
        let (key, value) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{instruction} must have two arguments"))?;
        return Ok(vec![(key.to_owned(), value.trim_start().to_owned())]);
    }
    let pair = |word: &String| match word.split_once('=') {
        Some(("", _)) => Err(format!("{instruction} names can not be blank")),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
    };
    words.iter().map(pair).collect()
}
