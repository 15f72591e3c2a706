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
        f.write_str(&laid_out(&self.rows, WIDE, usize::MAX))
    }
}

impl Table {
    /// The same for a terminal so wide, 0 where nobody knows: where it is too narrow, columns without anything in them go,
    /// the others stand closer, and the last one goes on below itself.
    pub(crate) fn fitted(&self, width: usize) -> String {
        if width == 0 || total(&self.rows, WIDE) <= width {
            return self.to_string();
        }
        let columns = self.rows.first().map_or(0, Vec::len);
        let empty =
            |column: usize| self.rows.iter().skip(1).all(|row| row.get(column).is_none_or(String::is_empty));
        let kept: Vec<usize> = (0..columns).filter(|column| !empty(*column)).collect();
        let kept = if kept.is_empty() { (0..columns).collect() } else { kept };
        let row = |row: &Vec<String>| kept.iter().filter_map(|column| row.get(*column).cloned()).collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        let gap = (NARROW..=WIDE).rev().find(|gap| total(&rows, *gap) <= width).unwrap_or(NARROW);
        laid_out(&rows, gap, width)
    }
}

/// Spaces between columns, where there is room and where there is none.
const WIDE: usize = 3;
const NARROW: usize = 1;
/// A column narrower than this is not worth going on below itself.
const LEAST: usize = 16;

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    (0..columns).map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect()
}

fn total(rows: &[Vec<String>], gap: usize) -> usize {
    let widths = widths(rows);
    widths.iter().sum::<usize>() + gap * widths.len().saturating_sub(1)
}

fn laid_out(rows: &[Vec<String>], gap: usize, width: usize) -> String {
    let widths = widths(rows);
    let before: usize = widths.iter().rev().skip(1).map(|width| width + gap).sum();
    let last = width.saturating_sub(before).max(LEAST);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        let whole = row.len() == widths.len();
        for (cell, width) in row.iter().zip(&widths).take(row.len() - usize::from(whole)) {
            line.push_str(&format!("{cell:<width$}{:gap$}", ""));
        }
        let cell = row.last().filter(|_| whole).map_or("", String::as_str);
        for (number, piece) in broken(cell, last).iter().enumerate() {
            let front = if number == 0 { std::mem::take(&mut line) } else { " ".repeat(before) };
            text.push_str(format!("{front}{piece}").trim_end());
            text.push('\n');
        }
    }
    text
}

/// A cell as lines of at most so many letters, broken between words where that is possible.
fn broken(cell: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut length) = (Vec::new(), String::new(), 0);
    for word in cell.split(' ') {
        let mut letters: Vec<char> = word.chars().collect();
        if length > 0 && length + 1 + letters.len() > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        while letters.len() > width - length {
            line.extend(letters.drain(..width - length));
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        length += letters.len();
        line.extend(letters);
    }
    lines.push(line);
    lines
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
    fn a_narrow_terminal_breaks_no_row_in_the_middle() {
        let mut table = Table::new(&["NAME", "WHAT", "ERRORS"]);
        table.row(["web1".into(), "make the public address web1-vm in westus".into(), String::new()]);
        assert_eq!(table.fitted(0), table.to_string(), "nobody knows how wide it is");
        assert_eq!(table.fitted(80), table.to_string());
        let closer = "NAME  WHAT\nweb1  make the public address web1-vm in westus\n";
        assert_eq!(table.fitted(47), closer);
        let below = "NAME WHAT\nweb1 make the public address\n     web1-vm in westus\n";
        assert_eq!(table.fitted(30), below);
        let mut long = Table::new(&["NAME"]);
        long.row(["a".repeat(20)]);
        assert_eq!(long.fitted(18), format!("NAME\n{}\naa\n", "a".repeat(18)));
    }

    #[test]
    fn numbers_sort_by_value() {
        let mut names = vec!["web10", "web2", "Web1", "db", "web02", "web", "10", "9"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["9", "10", "db", "web", "Web1", "web02", "web2", "web10"]);
    }
}
