//! `apply --report FILE`: what became of each machine, in the file's order, as JUnit XML or JSON by the file's extension.
//! It is written whatever the end was, also when nothing was begun because something stood in the way; a report that cannot be written is a failure of its own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::commands::Cx;
use crate::error::{Error, Result};
use crate::files;

/// Where the report goes, and as what.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    path: PathBuf,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    JUnit,
    Json,
}

/// What became of one machine.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What was to be done, in words; nothing where it was as it should be.
    pub(crate) deeds: Vec<&'static str>,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It is as it should be.
    Good,
    /// It was not begun, or left out.
    Skipped,
    Failed {
        kind: String,
        code: u8,
        message: String,
        hint: String,
    },
}

impl Outcome {
    pub(crate) fn of(error: &Error) -> Self {
        Self::Failed {
            kind: format!("{:?}", error.kind),
            code: error.kind.exit_code(),
            message: error.message.clone(),
            hint: error.advice().to_owned(),
        }
    }
}

impl Report {
    /// Where `file` says.
    ///
    /// # Errors
    /// When its extension is that of no report.
    pub(crate) fn parse(file: &str, cx: &Cx) -> Result<Self> {
        let path = cx.world.absolute(file);
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("xml") => Format::JUnit,
            Some("json") => Format::Json,
            _ => {
                return Err(Error::usage(format!("`{file}` does not say what kind of report it is"))
                    .hint("name it .xml for JUnit, or .json"));
            }
        };
        Ok(Self { path, format })
    }

    /// Writes it.
    pub(crate) fn write(&self, fleet: &str, cases: &[Case]) -> Result<()> {
        let text = match self.format {
            Format::JUnit => junit(fleet, cases),
            Format::Json => format!("{:#}\n", object(fleet, cases)),
        };
        files::replace(&self.path, text.as_bytes()).map(drop).map_err(|e| {
            Error::failed(format!("the report `{}` cannot be written", self.path.display())).caused_by(&e)
        })
    }
}

fn object(fleet: &str, cases: &[Case]) -> Value {
    let case = |case: &Case| {
        let mut object = json!({
            "name": case.name,
            "deeds": case.deeds,
            "seconds": case.took.as_secs_f64(),
            "outcome": match case.outcome {
                Outcome::Good => "good",
                Outcome::Skipped => "skipped",
                Outcome::Failed { .. } => "failed",
            },
        });
        if let Outcome::Failed { kind, code, message, hint } = &case.outcome {
            object["error"] = json!({ "kind": kind, "code": code, "message": message, "hint": hint });
        }
        object
    };
    json!({ "fleet": fleet, "machines": cases.iter().map(case).collect::<Vec<_>>() })
}

fn junit(fleet: &str, cases: &[Case]) -> String {
    let count = |wanted: fn(&Outcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count();
    let failures = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped));
    let took: f64 = cases.iter().map(|case| case.took.as_secs_f64()).sum();
    let fleet = escaped(fleet);
    let numbers = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{took:.3}\"",
        cases.len()
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"wharf apply\" {numbers}>\n  \
         <testsuite name=\"{fleet}\" {numbers}>\n"
    );
    for case in cases {
        let (name, seconds) = (escaped(&case.name), case.took.as_secs_f64());
        let _ = write!(text, "    <testcase classname=\"{fleet}\" name=\"{name}\" time=\"{seconds:.3}\"");
        text += &match &case.outcome {
            Outcome::Good => "/>\n".to_owned(),
            Outcome::Skipped => "><skipped/></testcase>\n".to_owned(),
            Outcome::Failed { kind, message, hint, .. } => format!(
                ">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n",
                escaped(kind),
                escaped(message),
                escaped(hint)
            ),
        };
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// Text in XML, without what XML cannot hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_says_breaks_no_report() {
        let failed = Outcome::Failed {
            kind: "Failed".into(),
            code: 1,
            message: "a <b> & \"c\"\x1b[0m\nd".into(),
            hint: "'e'".into(),
        };
        let case = |name: &str, outcome| Case {
            name: name.into(),
            deeds: vec!["create"],
            took: Duration::from_millis(1500),
            outcome,
        };
        let cases = [case("web1", Outcome::Good), case("web2", failed), case("web3", Outcome::Skipped)];
        let text = junit("shop", &cases);
        assert!(
            text.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"4.500\""),
            "{text}"
        );
        assert!(text.contains("message=\"a &lt;b&gt; &amp; &quot;c&quot;[0m d\">'e'</failure>"), "{text}");
        let object = object("shop", &cases);
        assert_eq!(object["machines"][1]["error"]["code"], 1);
        assert_eq!(object["machines"][2]["outcome"], "skipped");
    }
}
