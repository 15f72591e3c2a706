//! File name patterns, as Go's `path.Match` reads them: `*` and `?` stop at slashes, `[a-z]` and `[^a-z]` are one
//! character, `\` takes the next one as it is. And `**`, which `.dockerignore` knows: any number of folders.

/// Whether the whole text is what the pattern says.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), text.split('/').collect());
    pattern.len() == text.len()
        && pattern.iter().zip(&text).all(|(pattern, text)| segment(pattern.as_bytes(), text.as_bytes()))
}

/// The same where `**` stands for any number of folders.
pub(crate) fn matches_deep(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), text.split('/').collect());
    // What of the text the patterns so far can have taken.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for part in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in (0..=text.len()).filter(|at| reached[*at]) {
            if part == "**" {
                next[at..].fill(true);
            } else if text.get(at).is_some_and(|text| segment(part.as_bytes(), text.as_bytes())) {
                next[at + 1] = true;
            }
        }
        reached = next;
    }
    reached[text.len()]
}

/// Whether it has characters that mean others.
pub(crate) fn is_pattern(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' => return true,
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    false
}

/// Whether every bracket is closed and something follows every backslash; anything else never matches.
pub(crate) fn is_whole(pattern: &str) -> bool {
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next().is_none() => return false,
            '[' => loop {
                match characters.next() {
                    Some(']') => break,
                    Some('\\') => drop(characters.next()),
                    Some(_) => {}
                    None => return false,
                }
            },
            _ => {}
        }
    }
    true
}

/// One name. Going back to the last `*` is enough: what an earlier one took cannot matter.
fn segment(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while of < text.len() {
        if pattern.get(at) == Some(&b'*') {
            back = Some((at + 1, of));
            at += 1;
            continue;
        }
        if let Some(length) = one(&pattern[at..], text[of]) {
            (at, of) = (at + length, of + 1);
            continue;
        }
        let Some((after, taken)) = &mut back else { return false };
        *taken += 1;
        (at, of) = (*after, *taken);
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How much of the pattern stands for this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|byte| *byte == b']')? + 1;
            let (class, negated) = match &rest[..end] {
                [b'^', class @ ..] => (class, true),
                class => (class, false),
            };
            (in_class(class, byte) != negated).then_some(end + 2)
        }
        [same, ..] => (*same == byte).then_some(1),
        [] => None,
    }
}

fn in_class(class: &[u8], byte: u8) -> bool {
    let mut rest = class;
    loop {
        rest = match rest {
            [low, b'-', high, ..] if (*low..=*high).contains(&byte) => return true,
            [_, b'-', _, after @ ..] => after,
            [same, ..] if *same == byte => return true,
            [_, after @ ..] => after,
            [] => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_gos() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*b*c", "aXbYbc", true),
            ("*.txt", "x/a.txt", false),
            ("*/*.txt", "x/a.txt", true),
            ("[a-c]?", "bz", true),
            ("[^a-c]", "b", false),
            ("[a-]", "-", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("[", "[", false),
            ("é*", "été", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        let slow = "*a".repeat(40);
        assert!(!matches(&slow, &"a".repeat(39)), "also in reasonable time");
        assert!(is_pattern("a*") && !is_pattern(r"a\*b"));
    }

    #[test]
    fn two_stars_are_any_folders() {
        for (pattern, text, expected) in [
            ("**", "a/b", true),
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("a/**/x", "a/x", true),
            ("a/**", "b/x", false),
            ("a/*/x", "a/b/c/x", false),
        ] {
            assert_eq!(matches_deep(pattern, text), expected, "{pattern} {text}");
        }
    }
}
