//! Errors as text.

use std::fmt::Write as _;

use super::Style;
use crate::error::Error;

/// The message, what is known beside it, what caused it, and what to do now.
pub(super) fn error(error: &Error, machine: Option<&str>, style: Style) -> String {
    let mut text = style.error("error:");
    if let Some(machine) = machine {
        let _ = write!(text, " {machine}:");
    }
    let _ = writeln!(text, " {}", error.message);
    for (name, value) in &error.facts {
        let mut lines = value.trim_end().lines();
        let _ = writeln!(text, "  {name}: {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    }
    for cause in &error.causes {
        let _ = writeln!(text, "  because: {cause}");
    }
    let _ = writeln!(text, "{} {}", style.hint("hint:"), error.advice());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_error_reads_top_down() {
        let failure = Error::new(Kind::HostKey, "the host key is not the expected one")
            .fact("expected", "SHA256:aaa")
            .fact("log", "one\ntwo\n")
            .caused_by(&std::io::Error::other("closed"))
            .hint("look twice");
        let text = error(&failure, Some("web"), Style { colour: false });
        assert_eq!(
            text,
            "error: web: the host key is not the expected one\n  expected: SHA256:aaa\n  log: one\n    two\n  because: closed\nhint: look twice\n"
        );
        assert!(error(&failure, None, Style { colour: true }).starts_with("\x1b[1;31merror:\x1b[0m the"));
    }
}
