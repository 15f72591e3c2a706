//! What somebody who mistyped a name probably meant.

/// The one of `known` that is nearest to `wished`, if any is near at all.
pub fn nearest<'a>(wished: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wished = wished.to_ascii_lowercase();
    let far = (wished.chars().count() / 3).max(1);
    let distance = |name: &str| strsim::damerau_levenshtein(&wished, &name.to_ascii_lowercase());
    known
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(off, _)| *off <= far)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["options", "driver", "labels"];
        assert_eq!(nearest("optoins", known), Some("options"));
        assert_eq!(nearest("Label", known), Some("labels"));
        assert_eq!(nearest("hooks", known), None);
        assert_eq!(nearest("", known), None);
    }
}
