//! The expressions that stand in a template's strings: `[concat('a', parameters('b').c[0])]`.

use serde_json::Value;

/// One expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// A string or a number.
    Literal(Value),
    /// A function, its name in lower case.
    Call(String, Vec<Self>),
    /// What stands under a name or a number in something else.
    Member(Box<Self>, Box<Self>),
}

/// The expression that a template's string is, if it is one.
pub(super) fn parse(text: &str) -> Option<Result<Expression, String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    if inner.starts_with('[') {
        return None;
    }
    let mut parser = Parser { rest: inner, whole: text, depth: 0 };
    let parsed = parser.expression().and_then(|expression| match parser.rest.trim_start() {
        "" => Ok(expression),
        rest => Err(parser.wrong(&format!("expected end of expression, found '{rest}'"))),
    });
    Some(parsed)
}

/// The string that no expression is: a doubled bracket is one bracket.
pub(super) fn literal(text: &str) -> String {
    text.strip_prefix("[[").map_or_else(|| text.to_owned(), |rest| format!("[{rest}"))
}

struct Parser<'t> {
    rest: &'t str,
    whole: &'t str,
    depth: usize,
}

/// How deep expressions may stand in each other.
const DEEPEST: usize = 128;

impl Parser<'_> {
    fn wrong(&self, why: &str) -> String {
        let at = self.whole.len() - self.rest.len();
        format!("Unable to parse language expression '{}': {why} at position {at}.", self.whole)
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        let expression =
            if self.depth > DEEPEST { Err(self.wrong("it is too deep")) } else { self.members() };
        self.depth -= 1;
        expression
    }

    fn members(&mut self) -> Result<Expression, String> {
        let mut value = self.primary()?;
        loop {
            if self.eat('.') {
                let name = Value::String(self.word()?.to_owned());
                value = Expression::Member(Box::new(value), Box::new(Expression::Literal(name)));
            } else if self.eat('[') {
                let index = self.expression()?;
                if !self.eat(']') {
                    return Err(self.wrong("expected ']'"));
                }
                value = Expression::Member(Box::new(value), Box::new(index));
            } else {
                return Ok(value);
            }
        }
    }

    fn primary(&mut self) -> Result<Expression, String> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next() {
            Some('\'') => self.string(),
            Some(c) if c.is_ascii_digit() || c == '-' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.call(),
            _ => Err(self.wrong("expected a function, a string or a number")),
        }
    }

    fn string(&mut self) -> Result<Expression, String> {
        let mut text = String::new();
        let mut rest = self.rest.get(1..).unwrap_or_default();
        loop {
            let Some(end) = rest.find('\'') else { return Err(self.wrong("the string does not end")) };
            text.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            // A doubled quote is one quote.
            let Some(more) = rest.strip_prefix('\'') else { break };
            text.push('\'');
            rest = more;
        }
        self.rest = rest;
        Ok(Expression::Literal(Value::String(text)))
    }

    fn number(&mut self) -> Result<Expression, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(self.rest.len());
        let number: i64 = self.rest[..end].parse().map_err(|_| self.wrong("expected a number"))?;
        self.rest = &self.rest[end..];
        Ok(Expression::Literal(Value::from(number)))
    }

    fn word(&mut self) -> Result<&str, String> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.wrong("expected a name"));
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word)
    }

    fn call(&mut self) -> Result<Expression, String> {
        let name = self.word()?.to_ascii_lowercase();
        if !self.eat('(') {
            return Err(self.wrong("expected '('"));
        }
        let mut arguments = Vec::new();
        if !self.eat(')') {
            loop {
                arguments.push(self.expression()?);
                if self.eat(')') {
                    break;
                }
                if !self.eat(',') {
                    return Err(self.wrong("expected ',' or ')'"));
                }
            }
        }
        Ok(Expression::Call(name, arguments))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_with_members_and_quotes() {
        let parsed = parse("[concat('it''s', parameters('p').list[0], -1)]").unwrap().unwrap();
        let literal = |value: Value| Expression::Literal(value);
        let member = |of: Expression, name: Value| {
            Expression::Member(Box::new(of), Box::new(Expression::Literal(name)))
        };
        let parameter = Expression::Call("parameters".to_owned(), vec![literal(json!("p"))]);
        let item = member(member(parameter, json!("list")), json!(0));
        assert_eq!(
            parsed,
            Expression::Call("concat".to_owned(), vec![literal(json!("it's")), item, literal(json!(-1))])
        );
    }

    #[test]
    fn what_is_none_and_what_is_wrong() {
        assert!(parse("plain").is_none() && parse("[[not]").is_none() && parse("[open").is_none());
        assert_eq!(literal("[[not]"), "[not]");
        assert!(parse(&format!("[{}{}]", "f(".repeat(5000), ")".repeat(5000))).unwrap().is_err());
        for wrong in ["[]", "[f(]", "[f('a]", "[f('a' 'b')]", "[f() g()]", "[f().]", "[f()[1]", "[é()]"] {
            assert!(parse(wrong).unwrap().is_err(), "{wrong}");
        }
    }
}
