//! One property of a described body, parsed from its condensed words.

/// A property: its kind, and whether it must or may not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What it holds.
    pub kind: Kind,
    /// Must be there.
    pub required: bool,
    /// Ignored in requests.
    pub read_only: bool,
}

/// What a property holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Any,
    Enum(Vec<String>),
    Model(String),
    List(Box<Kind>),
    Map(Box<Kind>),
}

impl Field {
    /// Reads the words that `condense.py` wrote.
    pub fn parse(words: &str) -> Self {
        let (required, read_only) = (words.starts_with('!'), words.starts_with('-'));
        Self { kind: Kind::parse(words.trim_start_matches(['!', '-'])), required, read_only }
    }
}

impl Kind {
    /// Reads a kind's words.
    pub fn parse(words: &str) -> Self {
        let (head, rest) = words.split_once(':').unwrap_or((words, ""));
        match head {
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "enum" => Self::Enum(rest.split('|').map(str::to_owned).collect()),
            "ref" => Self::Model(rest.to_owned()),
            "list" => Self::List(Box::new(Self::parse(rest))),
            "map" => Self::Map(Box::new(Self::parse(rest))),
            _ => Self::Any,
        }
    }

    /// The model behind it, through lists.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Model(name) => Some(name),
            Self::List(inner) => inner.model(),
            _ => None,
        }
    }
}
