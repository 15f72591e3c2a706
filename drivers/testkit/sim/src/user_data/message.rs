//! The parts of user data, by their type.

use super::Refused;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: String,
    pub(super) text: String,
}

/// Splits user data into its parts.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, Refused> {
    let (head, body) = split(text);
    let Some(kind) = header(head, "content-type").filter(|kind| kind.starts_with("multipart/")) else {
        return Ok(vec![Part { kind: guess(text)?.to_owned(), text: text.to_owned() }]);
    };
    let boundary = kind
        .split(';')
        .find_map(|item| item.trim().strip_prefix("boundary="))
        .map(|boundary| format!("--{}", boundary.trim_matches('"')))
        .ok_or_else(|| Refused("the MIME message names no boundary".to_owned()))?;
    let end = format!("\n{boundary}--");
    let whole = format!("\n{body}");
    let (inside, _) =
        whole.split_once(&end).ok_or_else(|| Refused("the MIME message has no end".to_owned()))?;
    let mut found = Vec::new();
    for part in inside.split(&format!("\n{boundary}\n")).skip(1) {
        let (head, text) = split(part);
        if let Some(encoding) =
            header(head, "content-transfer-encoding").filter(|e| !["7bit", "8bit"].contains(&e.as_str()))
        {
            return Err(Refused(format!("nothing here decodes `{encoding}`")));
        }
        let kind = header(head, "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let kind = if kind == "text/plain" || kind.is_empty() { guess(text)?.to_owned() } else { kind };
        found.push(Part { kind, text: text.to_owned() });
    }
    Ok(found)
}

fn split(text: &str) -> (&str, &str) {
    text.split_once("\n\n").unwrap_or((text, ""))
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn guess(text: &str) -> Result<&'static str, Refused> {
    match text.lines().next().unwrap_or_default().trim_end() {
        "#cloud-config" => Ok("text/cloud-config"),
        first if first.starts_with("#!") => Ok("text/x-shellscript"),
        first => Err(Refused(format!("cloud-init reads nothing that begins with `{first}`"))),
    }
}
