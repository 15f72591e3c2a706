//! Dockerfile instructions applied to a configuration, for `import --change` and `commit --change`.

use std::collections::BTreeMap;

use super::configuration::{Config, Empty, Healthcheck};

/// Applies one instruction; the error is the text that the client reads.
pub(crate) fn apply(config: &mut Config, change: &str) -> Result<(), String> {
    let change = change.trim();
    let (instruction, rest) = change.split_once(char::is_whitespace).unwrap_or((change, ""));
    let rest = rest.trim();
    let upper = instruction.to_ascii_uppercase();
    if rest.is_empty() {
        return Err(format!("{upper} requires at least one argument"));
    }
    match upper.as_str() {
        "CMD" => config.cmd = Some(command(rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(rest)),
        "ENV" => pairs(rest, "ENV")?
            .into_iter()
            .for_each(|(key, value)| set_variable(&mut config.env, &key, &value)),
        "LABEL" => config.labels.get_or_insert_default().extend(pairs(rest, "LABEL")?),
        "EXPOSE" => {
            for port in rest.split_whitespace() {
                config.exposed_ports.extend(ports(port)?.into_iter().map(|port| (port, Empty {})));
            }
        }
        "VOLUME" => {
            let paths = list(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect());
            config.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
        }
        "USER" => config.user = rest.to_owned(),
        "WORKDIR" => config.working_dir = absolute(&config.working_dir, rest),
        "STOPSIGNAL" => config.stop_signal = rest.to_owned(),
        "SHELL" => config.shell = Some(list(rest).ok_or("SHELL requires the arguments to be in JSON form")?),
        "ONBUILD" => config.on_build.get_or_insert_default().push(rest.to_owned()),
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        _ => return Err(format!("{instruction} is not a valid change command")),
    }
    Ok(())
}

fn healthcheck(rest: &str) -> Result<Healthcheck, String> {
    let mut words = rest.splitn(2, char::is_whitespace);
    let test = match (words.next().unwrap_or_default().to_ascii_uppercase().as_str(), words.next()) {
        ("NONE", None) => vec!["NONE".to_owned()],
        ("CMD", Some(line)) => match list(line.trim()) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), line.trim().to_owned()],
        },
        _ => return Err("HEALTHCHECK must be NONE or CMD and a command".to_owned()),
    };
    Ok(Healthcheck { test, ..Healthcheck::default() })
}

/// A JSON list, or a line for the shell.
fn command(rest: &str) -> Vec<String> {
    list(rest).unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), rest.to_owned()])
}

fn list(rest: &str) -> Option<Vec<String>> {
    rest.starts_with('[').then(|| serde_json::from_str(rest).ok()).flatten()
}

/// `key=value key2="with spaces"`, or the old form `key all the rest`.
fn pairs(rest: &str, instruction: &str) -> Result<BTreeMap<String, String>, String> {
    let words = words(rest);
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !first.contains('=') {
        let (key, value) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{instruction} must have two arguments"))?;
        return Ok([(key.to_owned(), value.trim().to_owned())].into());
    }
    let pair = |word: &String| match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
    };
    words.iter().map(pair).collect()
}

/// Splits at blanks that are neither quoted nor escaped, and takes quotes and escapes away.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut started) = (String::new(), None, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => word.extend(characters.next()),
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => (quote, started) = (Some(character), true),
            (c, None) if c.is_whitespace() => {
                if started || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                    started = false;
                }
            }
            (c, _) => word.push(c),
        }
    }
    if started || !word.is_empty() {
        words.push(word);
    }
    words
}

pub(crate) fn set_variable(env: &mut Vec<String>, key: &str, value: &str) {
    let entry = format!("{key}={value}");
    match env.iter_mut().find(|known| known.split('=').next() == Some(key)) {
        Some(known) => *known = entry,
        None => env.push(entry),
    }
}

/// `80`, `53/udp`, `8000-8002`: each port with its protocol.
pub(crate) fn ports(text: &str) -> Result<Vec<String>, String> {
    let invalid = || format!("invalid containerPort: {text}");
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number > 0).ok_or_else(invalid);
    let (first, last) = (number(first)?, number(last)?);
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") || first > last {
        return Err(invalid());
    }
    Ok((first..=last).map(|number| format!("{number}/{protocol}")).collect())
}

fn absolute(folder: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", folder.trim_end_matches('/')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applies_what_dockerfiles_say() {
        let mut config = Config::default();
        for change in [
            r#"CMD ["a", "b c"]"#,
            "entrypoint run it",
            r#"ENV A=1 B="two words" C=x\ y"#,
            "ENV A 3 4",
            "LABEL l='m n'",
            "EXPOSE 80 53/udp",
            "VOLUME /a /b",
            r#"VOLUME ["/c"]"#,
            "WORKDIR /w",
            "WORKDIR x",
            "USER u",
            "STOPSIGNAL SIGINT",
            "HEALTHCHECK CMD true",
        ] {
            apply(&mut config, change).unwrap_or_else(|error| panic!("{change}: {error}"));
        }
        assert_eq!(config.cmd.unwrap(), ["a", "b c"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "run it"]);
        assert_eq!(config.env, ["A=3 4", "B=two words", "C=x y"]);
        assert_eq!(config.labels.unwrap()["l"], "m n");
        assert_eq!(config.exposed_ports.into_keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!(config.volumes.len(), 3);
        assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/w/x", "u"));
        assert_eq!(config.healthcheck.unwrap().test, ["CMD-SHELL", "true"]);
    }

    #[test]
    fn says_what_it_does_not_know() {
        let mut config = Config::default();
        assert_eq!(apply(&mut config, "RUN x").unwrap_err(), "RUN is not a valid change command");
        assert_eq!(apply(&mut config, "CMD").unwrap_err(), "CMD requires at least one argument");
        assert_eq!(apply(&mut config, "EXPOSE x").unwrap_err(), "invalid containerPort: x");
        assert_eq!(config, Config::default());
    }
}
