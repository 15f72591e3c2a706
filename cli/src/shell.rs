//! The lines that set and unset environment variables in each shell, in the spelling docker-machine used, so that
//! what people and prompts parse goes on working.
//!
//! Values are quoted for the shell they are meant for: a path with a space, a dollar sign or a quote survives.

use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

/// The shells whose language is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    /// bash, zsh and every other heir of the Bourne shell.
    Bash,
    Fish,
    /// PowerShell, on every system.
    Power,
    Cmd,
    Tcsh,
    Emacs,
}

/// A change to one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Set(String, String),
    Unset(String),
}

impl FromStr for Shell {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "bash" | "zsh" | "sh" | "dash" | "ksh" | "ash" => Self::Bash,
            "fish" => Self::Fish,
            "powershell" | "pwsh" => Self::Power,
            "cmd" => Self::Cmd,
            "tcsh" | "csh" => Self::Tcsh,
            "emacs" => Self::Emacs,
            other => {
                return Err(format!(
                    "unknown shell `{other}`: one of bash, zsh, fish, powershell, cmd, tcsh, emacs"
                ));
            }
        })
    }
}

impl Shell {
    /// The shell the person uses, by `$SHELL`; on Windows, where there is none, PowerShell if its variable is there.
    pub(crate) fn detect(shell: Option<&str>, ps_module_path: Option<&str>) -> Self {
        match shell.and_then(|path| Path::new(path).file_stem()?.to_str()) {
            Some(name) => name.parse().unwrap_or(Self::Bash),
            None if cfg!(windows) => ps_module_path.map_or(Self::Cmd, |_| Self::Power),
            None => Self::Bash,
        }
    }

    /// The lines for `changes`, and how to run `command` so that they take effect.
    pub(crate) fn script(self, changes: &[Change], command: &str) -> String {
        let mut script = String::new();
        for change in changes {
            script.push_str(&self.line(change));
            script.push('\n');
        }
        let comment = self.comment();
        let _ = writeln!(script, "{comment} Run this command to configure your shell: ");
        let _ = writeln!(script, "{comment} {}", self.evaluate(command));
        script
    }

    fn line(self, change: &Change) -> String {
        match (self, change) {
            (Self::Bash, Change::Set(name, value)) => {
                format!("export {name}=\"{}\"", escape(value, &['\\', '"', '$', '`'], '\\'))
            }
            (Self::Bash, Change::Unset(name)) => format!("unset {name}"),
            (Self::Fish, Change::Set(name, value)) => {
                format!("set -gx {name} \"{}\";", escape(value, &['\\', '"', '$'], '\\'))
            }
            (Self::Fish, Change::Unset(name)) => format!("set -e {name};"),
            (Self::Power, Change::Set(name, value)) => {
                format!("$Env:{name} = \"{}\"", escape(value, &['`', '"', '$'], '`'))
            }
            (Self::Power, Change::Unset(name)) => format!("Remove-Item Env:\\\\{name}"),
            (Self::Cmd, Change::Set(name, value)) => format!("SET {name}={}", escape(value, &['%'], '%')),
            (Self::Cmd, Change::Unset(name)) => format!("SET {name}="),
            (Self::Tcsh, Change::Set(name, value)) => format!("setenv {name} {};", tcsh_quoted(value)),
            (Self::Tcsh, Change::Unset(name)) => format!("unsetenv {name};"),
            (Self::Emacs, Change::Set(name, value)) => {
                format!("(setenv \"{name}\" \"{}\")", escape(value, &['\\', '"'], '\\'))
            }
            (Self::Emacs, Change::Unset(name)) => format!("(setenv \"{name}\" nil)"),
        }
    }

    const fn comment(self) -> &'static str {
        match self {
            Self::Bash | Self::Fish | Self::Power => "#",
            Self::Cmd => "REM",
            Self::Tcsh => ":",
            Self::Emacs => ";;",
        }
    }

    fn evaluate(self, command: &str) -> String {
        match self {
            Self::Bash => format!("eval $({command})"),
            Self::Fish => format!("eval ({command})"),
            Self::Power => format!("& {command} | Invoke-Expression"),
            Self::Cmd => format!("\t@FOR /f \"tokens=*\" %i IN ('{command}') DO @%i"),
            Self::Tcsh => format!("eval `{command}`"),
            Self::Emacs => format!(
                "(with-temp-buffer (shell-command \"{}\" (current-buffer)) (eval-buffer))",
                escape(command, &['\\', '"'], '\\')
            ),
        }
    }
}

fn escape(value: &str, special: &[char], with: char) -> String {
    let mut quoted = String::with_capacity(value.len());
    for c in value.chars() {
        if special.contains(&c) {
            quoted.push(with);
        }
        quoted.push(c);
    }
    quoted
}

/// Inside tcsh's double quotes a dollar sign cannot be escaped, so such values stand in single quotes; `!` is history
/// in both.
fn tcsh_quoted(value: &str) -> String {
    if value.contains(['"', '$', '`', '!', '\'', '\\']) {
        let escaped = value.replace('\'', "'\\''").replace('!', "\\!");
        format!("'{escaped}'")
    } else {
        format!("\"{value}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Shell; 6] = [Shell::Bash, Shell::Fish, Shell::Power, Shell::Cmd, Shell::Tcsh, Shell::Emacs];

    fn set(name: &str, value: &str) -> Change {
        Change::Set(name.into(), value.into())
    }

    #[test]
    fn every_shell_sets_and_unsets_as_docker_machine_did() {
        let changes = [set("DOCKER_HOST", "tcp://10.0.0.7:2376"), Change::Unset("DOCKER_TLS_VERIFY".into())];
        let scripts: Vec<String> = ALL.iter().map(|s| s.script(&changes, "wharf env web")).collect();
        assert_eq!(
            scripts,
            [
                "export DOCKER_HOST=\"tcp://10.0.0.7:2376\"\nunset DOCKER_TLS_VERIFY\n# Run this command to configure your shell: \n# eval $(wharf env web)\n",
                "set -gx DOCKER_HOST \"tcp://10.0.0.7:2376\";\nset -e DOCKER_TLS_VERIFY;\n# Run this command to configure your shell: \n# eval (wharf env web)\n",
                "$Env:DOCKER_HOST = \"tcp://10.0.0.7:2376\"\nRemove-Item Env:\\\\DOCKER_TLS_VERIFY\n# Run this command to configure your shell: \n# & wharf env web | Invoke-Expression\n",
                "SET DOCKER_HOST=tcp://10.0.0.7:2376\nSET DOCKER_TLS_VERIFY=\nREM Run this command to configure your shell: \nREM \t@FOR /f \"tokens=*\" %i IN ('wharf env web') DO @%i\n",
                "setenv DOCKER_HOST \"tcp://10.0.0.7:2376\";\nunsetenv DOCKER_TLS_VERIFY;\n: Run this command to configure your shell: \n: eval `wharf env web`\n",
                "(setenv \"DOCKER_HOST\" \"tcp://10.0.0.7:2376\")\n(setenv \"DOCKER_TLS_VERIFY\" nil)\n;; Run this command to configure your shell: \n;; (with-temp-buffer (shell-command \"wharf env web\" (current-buffer)) (eval-buffer))\n",
            ]
        );
    }

    #[test]
    fn values_survive_the_shell() {
        let nasty = r#"/a b/"c"/$HOME/`id`/d\e/it's!"#;
        for (shell, line) in [
            (Shell::Bash, r#"export X="/a b/\"c\"/\$HOME/\`id\`/d\\e/it's!""#),
            (Shell::Fish, r#"set -gx X "/a b/\"c\"/\$HOME/`id`/d\\e/it's!";"#),
            (Shell::Power, r#"$Env:X = "/a b/`"c`"/`$HOME/``id``/d\e/it's!""#),
            (Shell::Tcsh, r#"setenv X '/a b/"c"/$HOME/`id`/d\e/it'\''s\!';"#),
            (Shell::Emacs, r#"(setenv "X" "/a b/\"c\"/$HOME/`id`/d\\e/it's!")"#),
        ] {
            assert_eq!(shell.line(&set("X", nasty)), line);
        }
    }

    #[test]
    fn the_posix_shell_reads_back_what_was_written() {
        let nasty = r#"/a b/"c"/$HOME/`id`/d\e/it's!"#;
        let script = format!("{}\nprintf %s \"$X\"", Shell::Bash.line(&set("X", nasty)));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), nasty);
    }

    #[test]
    fn detection_goes_by_the_login_shell() {
        for (path, shell) in [
            ("/bin/zsh", Shell::Bash),
            ("/usr/bin/fish", Shell::Fish),
            ("/usr/bin/pwsh", Shell::Power),
            ("/bin/tcsh", Shell::Tcsh),
            ("/opt/odd", Shell::Bash),
        ] {
            assert_eq!(Shell::detect(Some(path), None), shell, "{path}");
        }
        assert_eq!(Shell::detect(None, None), Shell::Bash);
        assert!("nushell".parse::<Shell>().unwrap_err().starts_with("unknown shell `nushell`"));
    }
}
