//! Compares what a page shows with what was printed: `…` in a line is anything, alone on a line any number of lines.

/// What stands for anything.
const ANYTHING: char = '…';

/// Whether this was printed.
#[must_use]
pub fn matches(shown: &[String], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == "…" => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((first, rest)) => {
            printed.split_first().is_some_and(|(line, more)| line_matches(first, line) && matches(rest, more))
        }
    }
}

/// The lines without blank ones at both ends and without spaces at their ends, as both sides are compared.
#[must_use]
pub fn tidy(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let blank = lines.iter().take_while(|line| line.is_empty()).count();
    lines.split_off(blank)
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.trim_end().split(ANYTHING);
    let Some(mut rest) = parts.next().and_then(|front| printed.strip_prefix(front)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: &[&str], printed: &str) -> bool {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        matches(&lines, &tidy(printed))
    }

    #[test]
    fn a_dot_stands_for_anything() {
        assert!(shown(&["web1: ready in … s"], "web1: ready in 3.1 s\n"));
        assert!(!shown(&["web1: ready in … s"], "web2: ready in 3.1 s\n"));
        assert!(!shown(&["web1: ready"], "web1: ready in 3.1 s\n"), "a line is whole");
        assert!(shown(&["…", "the end"], "one\ntwo\nthe end\n") && shown(&["the end", "…"], "the end\n"));
        assert!(!shown(&["…", "the end"], "the end\nand more\n"));
        assert!(!shown(&["one"], "one\ntwo\n") && !shown(&["one", "two"], "one\n"));
        assert!(shown(&["a…b…c"], "a1b2c") && !shown(&["a…b…c"], "a1c2b"));
    }
}
