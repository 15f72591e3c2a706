//! Variables in words: `$name`, `${name}`, `${name:-word}`, `${name:+word}`, `${name:?word}`, and the same without the
//! colon; quotes and escapes are taken away. As the classic builder does it, which is no shell.

use std::iter::Peekable;
use std::str::Chars;

use super::Refused;

/// The value of a variable, if it has one.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What an environment, `name=value` by `name=value`, says of a variable.
pub(crate) fn in_environment(environment: &[String], name: &str) -> Option<String> {
    let set = environment.iter().filter_map(|line| line.split_once('=')).find(|(key, _)| *key == name);
    set.map(|(_, value)| value.to_owned())
}

/// A word with its variables replaced.
pub(crate) fn word(source: &str, escape: char, lookup: Lookup<'_>) -> Result<String, Refused> {
    expanded(source, escape, lookup).map(|pieces| pieces.text)
}

/// The same, split where a variable's value or the word itself has blanks that nothing quotes.
pub(crate) fn split(source: &str, escape: char, lookup: Lookup<'_>) -> Result<Vec<String>, Refused> {
    expanded(source, escape, lookup).map(Pieces::words)
}

fn expanded(source: &str, escape: char, lookup: Lookup<'_>) -> Result<Pieces, Refused> {
    let mut expansion = Expansion { rest: source.chars().peekable(), escape, lookup, depth: 0 };
    expansion.until(None).map_err(|why| format!("failed to process {source:?}: {why}"))
}

/// What came out so far: as one text, and as words.
#[derive(Debug, Default)]
struct Pieces {
    text: String,
    words: Vec<String>,
    word: String,
    in_word: bool,
}

impl Pieces {
    fn add(&mut self, character: char) {
        if !character.is_whitespace() {
            return self.add_quoted(character);
        }
        self.text.push(character);
        if std::mem::take(&mut self.in_word) {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn add_quoted(&mut self, character: char) {
        self.text.push(character);
        self.word.push(character);
        self.in_word = true;
    }

    fn words(mut self) -> Vec<String> {
        if self.in_word {
            self.words.push(self.word);
        }
        self.words
    }
}

struct Expansion<'a> {
    rest: Peekable<Chars<'a>>,
    escape: char,
    lookup: Lookup<'a>,
    depth: usize,
}

impl Expansion<'_> {
    /// Up to and without `stop`, or to the end.
    fn until(&mut self, stop: Option<char>) -> Result<Pieces, Refused> {
        let mut pieces = Pieces::default();
        while let Some(&next) = self.rest.peek() {
            if Some(next) == stop {
                self.rest.next();
                return Ok(pieces);
            }
            match next {
                '$' => self.variable()?.chars().for_each(|character| pieces.add(character)),
                '\'' | '"' => {
                    let text = if next == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    pieces.in_word = true;
                    text.chars().for_each(|character| pieces.add_quoted(character));
                }
                _ if next == self.escape => {
                    self.rest.next();
                    if let Some(character) = self.rest.next() {
                        pieces.add_quoted(character);
                    }
                }
                _ => {
                    self.rest.next();
                    pieces.add(next);
                }
            }
        }
        match stop {
            None => Ok(pieces),
            Some(_) => Err("syntax error: missing '}'".to_owned()),
        }
    }

    fn single_quoted(&mut self) -> Result<String, Refused> {
        self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(text),
                Some(character) => text.push(character),
                None => return Err(unclosed("single-quote")),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, Refused> {
        self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.peek() {
                None => return Err(unclosed("double-quote")),
                Some('$') => text.push_str(&self.variable()?),
                Some('"') => {
                    self.rest.next();
                    return Ok(text);
                }
                Some(_) => self.quoted_character(&mut text),
            }
        }
    }

    /// Inside double quotes only quotes, dollars and escapes can be escaped.
    fn quoted_character(&mut self, text: &mut String) {
        let Some(character) = self.rest.next() else { return };
        let escape = self.escape;
        if character != escape {
            return text.push(character);
        }
        match self.rest.next_if(|next| matches!(next, '"' | '$') || *next == escape) {
            Some(escaped) => text.push(escaped),
            None if self.rest.peek().is_none() => {}
            None => text.push(character),
        }
    }

    fn variable(&mut self) -> Result<String, Refused> {
        self.rest.next();
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.value(&name) });
        }
        match self.rest.peek() {
            None => return Err("syntax error: missing '}'".to_owned()),
            Some('{' | '}' | ':') => return Err("syntax error: bad substitution".to_owned()),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next() {
            None => Err("syntax error: missing '}'".to_owned()),
            Some('}') => Ok(self.value(&name)),
            Some(':') => match self.rest.next() {
                Some(modifier @ ('-' | '+' | '?')) => self.modified(&name, modifier, true),
                Some(other) => Err(format!("unsupported modifier ({other}) in substitution")),
                None => Err("syntax error: missing '}'".to_owned()),
            },
            Some(modifier @ ('-' | '+' | '?')) => self.modified(&name, modifier, false),
            Some(_) => Err("missing ':' in substitution".to_owned()),
        }
    }

    /// `empty_counts_as_unset` is what the colon says.
    fn modified(
        &mut self,
        name: &str,
        modifier: char,
        empty_counts_as_unset: bool,
    ) -> Result<String, Refused> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("substitutions are nested more than {DEEPEST} deep"));
        }
        let alternative = self.until(Some('}'))?.text;
        self.depth -= 1;
        let value = (self.lookup)(name).filter(|value| !(empty_counts_as_unset && value.is_empty()));
        match (modifier, value) {
            ('+', Some(_)) | ('-', None) => Ok(alternative),
            ('?', None) if alternative.is_empty() => Err(format!("{name}: is not allowed to be unset")),
            ('?', None) => Err(format!("{name}: {alternative}")),
            (_, value) => Ok(value.unwrap_or_default()),
        }
    }

    fn value(&self, name: &str) -> String {
        (self.lookup)(name).unwrap_or_default()
    }

    /// Letters, digits and `_`; or digits alone; or one of the shell's special signs.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(first) if first.is_numeric() => {
                while let Some(digit) = self.rest.next_if(|next| next.is_numeric()) {
                    name.push(digit);
                }
                return name;
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => return self.rest.next().into_iter().collect(),
            _ => {}
        }
        while let Some(character) = self.rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
            name.push(character);
        }
        name
    }
}

fn unclosed(what: &str) -> Refused {
    format!("unexpected end of statement while looking for matching {what}")
}

/// Nobody writes more, and every level takes some of the stack.
const DEEPEST: usize = 64;
