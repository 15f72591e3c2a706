//! Columns of text, and the order people expect names in.

use std::cmp::Ordering;
use std::fmt;

/// Rows under a header; every column as wide as its widest cell, three spaces between, nothing after the last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row. Line ends become spaces: a row is a line.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| cell.replace(['\n', '\r', '\t'], " ")).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}   "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Compares names as people do: runs of digits by their value, so that `web2` comes before `web10`.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (parts(a).into_iter(), parts(b).into_iter());
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
            (Some(l), Some(r)) => compare(l, r),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare(left: &str, right: &str) -> Ordering {
    let number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    if number(left) && number(right) {
        let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
        return left.len().cmp(&right.len()).then_with(|| left.cmp(right));
    }
    left.to_lowercase().cmp(&right.to_lowercase())
}

/// Cuts a name where digits begin or end.
fn parts(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_end_clean() {
        let mut table = Table::new(&["NAME", "STATE", "ERRORS"]);
        table.row(["a-long-name".into(), "Running".into(), String::new()]);
        table.row(["b".into(), "Error".into(), "first\nsecond".into()]);
        assert_eq!(
            table.to_string(),
            "NAME          STATE     ERRORS\na-long-name   Running\nb             Error     first second\n"
        );
    }

    #[test]
    fn numbers_sort_by_value() {
        let mut names = vec!["web10", "web2", "Web1", "db", "web02", "web", "10", "9"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["9", "10", "db", "web", "Web1", "web02", "web2", "web10"]);
    }
}
