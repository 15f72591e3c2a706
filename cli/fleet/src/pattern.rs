//! Name patterns: `web-{1..5}`, `node-{01..12}`, `{api,worker}-{a,b}`.

/// More machines than this in one pattern are a slip, not a fleet.
const MOST: usize = 1000;

/// The names that a pattern stands for, in order.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find(['{', '}']) {
        let (plain, from) = rest.split_at(open);
        let Some(inside) = from.strip_prefix('{') else {
            return Err("has a `}` without a `{`".to_owned());
        };
        let Some(close) = inside.find(['{', '}']).filter(|at| inside[*at..].starts_with('}')) else {
            return Err("has a `{` that is not closed".to_owned());
        };
        let choices = choices(&inside[..close])?;
        if names.len().saturating_mul(choices.len()) > MOST {
            return Err(format!("stands for more than {MOST} machines"));
        }
        names = names
            .iter()
            .flat_map(|name| choices.iter().map(move |choice| format!("{name}{plain}{choice}")))
            .collect();
        rest = &inside[close + 1..];
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

/// What stands between the braces: a range, or words between commas.
fn choices(inside: &str) -> Result<Vec<String>, String> {
    let Some((from, to)) = inside.split_once("..") else {
        let words: Vec<String> = inside.split(',').map(|word| word.trim().to_owned()).collect();
        return match words.iter().any(String::is_empty) {
            true => Err(format!("has an empty choice in `{{{inside}}}`")),
            false => Ok(words),
        };
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<usize>().ok()).flatten()
    };
    let (Some(first), Some(last)) = (number(from), number(to)) else {
        return Err(format!("has a range `{{{inside}}}` that is not `{{1..5}}`"));
    };
    if first > last {
        return Err(format!("has a range `{{{inside}}}` that ends before it begins"));
    }
    if last - first >= MOST {
        return Err(format!("stands for more than {MOST} machines"));
    }
    // `{01..12}`: as many digits as the first one has.
    let width = if from.starts_with('0') { from.len() } else { 0 };
    Ok((first..=last).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn ranges_and_words_make_names() {
        assert_eq!(expand("db").unwrap(), ["db"]);
        assert_eq!(expand("web-{1..3}").unwrap(), ["web-1", "web-2", "web-3"]);
        assert_eq!(expand("n{08..10}x").unwrap(), ["n08x", "n09x", "n10x"]);
        assert_eq!(expand("{a, b}-{1..2}").unwrap(), ["a-1", "a-2", "b-1", "b-2"]);
        assert_eq!(expand("web-{1..1000}").unwrap().len(), 1000);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, because) in [
            ("web-{1..", "not closed"),
            ("web-{{1..2}}", "not closed"),
            ("web-1}", "without a `{`"),
            ("web-{5..1}", "ends before"),
            ("web-{a..c}", "not `{1..5}`"),
            ("web-{1..1001}", "more than 1000"),
            ("{1..100}-{1..100}", "more than 1000"),
            ("web-{}", "empty choice"),
            ("web-{a,,b}", "empty choice"),
        ] {
            let wrong = expand(pattern).unwrap_err();
            assert!(wrong.contains(because), "{pattern}: {wrong}");
        }
    }
}
