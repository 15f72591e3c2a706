//! Dockerfile instructions applied to a configuration, for `import --change` and `commit --change`.

use super::configuration::Config;
use crate::engine::dockerfile::{Target, apply, expand, parse_instruction};

/// Applies them in order; the error is the text that the client reads.
pub(crate) fn apply_all(config: &mut Config, changes: &[String]) -> Result<(), String> {
    let mut has_command = false;
    for change in changes.iter().map(|change| change.trim()) {
        let name = change.split_whitespace().next().unwrap_or_default();
        let invalid = || format!("{name} is not a valid change command");
        if !KNOWN.contains(&name.to_ascii_uppercase().as_str()) {
            return Err(invalid());
        }
        let instruction = parse_instruction(change, '\\')?;
        let environment = config.env.clone();
        let lookup = |name: &str| expand::in_environment(&environment, name);
        let mut target = Target { config, escape: '\\', has_command: &mut has_command, lookup: &lookup };
        apply(&mut target, &instruction)?.ok_or_else(invalid)?;
    }
    Ok(())
}

/// Those that change no file.
const KNOWN: &[&str] = &[
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applies_what_dockerfiles_say() {
        let mut config = Config::default();
        let changes = [
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
            "HEALTHCHECK --interval=5s --retries=2 CMD true",
            "ONBUILD RUN x",
        ];
        apply_all(&mut config, &changes.map(str::to_owned)).unwrap();
        assert_eq!(config.cmd.unwrap(), ["a", "b c"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "run it"]);
        assert_eq!(config.env, ["A=3 4", "B=two words", "C=x y"]);
        assert_eq!(config.labels.unwrap()["l"], "m n");
        assert_eq!(config.exposed_ports.into_keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!(config.volumes.len(), 3);
        assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/w/x", "u"));
        let check = config.healthcheck.unwrap();
        assert_eq!(check.test, ["CMD-SHELL", "true"]);
        assert_eq!((check.interval, check.retries), (5_000_000_000, 2));
        assert_eq!(config.on_build.unwrap(), ["RUN x"]);
    }

    #[test]
    fn says_what_it_does_not_know() {
        let mut config = Config::default();
        let mut refused = |change: &str| apply_all(&mut config, &[change.to_owned()]).unwrap_err();
        assert_eq!(refused("RUN x"), "RUN is not a valid change command");
        assert_eq!(refused("USER"), "USER requires exactly one argument");
        assert_eq!(refused("EXPOSE x"), "invalid containerPort: x");
        assert_eq!(refused("HEALTHCHECK --retries=0 CMD x"), "--retries must be at least 1 (not 0)");
        assert_eq!(config, Config::default());
    }
}
