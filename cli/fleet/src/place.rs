//! Where something stands in a file, and how a mistake there is shown.

use std::fmt;
use std::sync::Arc;

use crate::Source;

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Which file, by its place among the sources.
    pub(crate) source: usize,
    /// From 1 on.
    pub(crate) line: usize,
    /// From 1 on, in characters.
    pub(crate) column: usize,
    /// How many characters of the line are meant; at least one is shown.
    pub(crate) length: usize,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Place,
}

impl<T> Placed<T> {
    pub(crate) const fn new(value: T, at: Place) -> Self {
        Self { value, at }
    }
}

/// The files that a fleet was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(Arc<Vec<Source>>);

impl Sources {
    pub(crate) fn new(sources: Vec<Source>) -> Self {
        Self(Arc::new(sources))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Source> {
        self.0.get(index)
    }

    /// A mistake at `place`.
    pub fn mistake(&self, place: Place, message: impl Into<String>) -> Mistake {
        let source = self.get(place.source);
        let line = source.and_then(|source| source.text.lines().nth(place.line.checked_sub(1)?));
        Mistake {
            place,
            file: source.map(|source| source.name.clone()).unwrap_or_default(),
            line: line.unwrap_or_default().to_owned(),
            message: message.into(),
        }
    }
}

impl Mistake {
    /// Shows the place without the line, which holds what no log should.
    #[must_use]
    pub fn without_line(self) -> Self {
        Self { line: String::new(), ..self }
    }
}

/// Something that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    place: Place,
    file: String,
    line: String,
    message: String,
}

impl fmt::Display for Mistake {
    /// The place and what is wrong, then the line with the place marked, as compilers do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column, length, .. } = self.place;
        if line == 0 {
            return write!(f, "{}: {}", self.file, self.message);
        }
        write!(f, "{}:{line}:{column}: {}", self.file, self.message)?;
        if self.line.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        let number = line.to_string();
        let left = self.line.chars().count().saturating_sub(column - 1).max(1);
        let marks = "^".repeat(length.clamp(1, left));
        // A tab stays one, so that the marks stand below what they mean.
        let before: String =
            self.line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "  {number} | {}", self.line)?;
        write!(f, "  {} | {before}{marks}", " ".repeat(number.len()))
    }
}

/// Everything that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// One more.
    pub fn add(&mut self, mistake: Mistake) {
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<&Mistake> = self.0.iter().collect();
        sorted.sort_by_key(|mistake| mistake.place);
        for (index, mistake) in sorted.into_iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}
