//! Log groups of CI systems: each machine's lines stand together and fold.
//!
//! Groups must not overlap, and machines are worked on at once. So one machine's lines come as they are said, the
//! others' are kept; when it ends, those that ended meanwhile follow whole, and the next one that goes on is shown live.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::table::natural;

/// Whose groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forge {
    /// GitHub Actions: `::group::` and `::endgroup::`.
    GitHub,
    /// GitLab CI: `section_start` and `section_end`.
    GitLab,
}

impl Forge {
    /// Whose job this is, as the environment says.
    pub(crate) fn of<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let set = |name: &str| variable(name).is_some_and(|value| value == "true");
        match (set("GITHUB_ACTIONS"), set("GITLAB_CI")) {
            (true, _) => Some(Self::GitHub),
            (false, true) => Some(Self::GitLab),
            (false, false) => None,
        }
    }
}

/// The groups of one command.
#[derive(Debug)]
pub(crate) struct Groups {
    forge: Forge,
    clock: fn() -> SystemTime,
    live: Option<String>,
    /// What others said meanwhile.
    kept: BTreeMap<String, String>,
    /// Those of them that have ended.
    ended: Vec<String>,
}

impl Groups {
    pub(crate) const fn new(forge: Forge, clock: fn() -> SystemTime) -> Self {
        Self { forge, clock, live: None, kept: BTreeMap::new(), ended: Vec::new() }
    }

    /// What is to be written now that `machine` says this line.
    pub(super) fn line(&mut self, machine: &str, line: &str) -> String {
        match &self.live {
            Some(live) if live == machine => format!("{line}\n"),
            Some(_) => {
                let kept = self.kept.entry(machine.to_owned()).or_default();
                kept.push_str(line);
                kept.push('\n');
                String::new()
            }
            None => {
                self.live = Some(machine.to_owned());
                format!("{}{line}\n", self.begin(machine))
            }
        }
    }

    /// What is to be written now that nothing more comes of `machine`.
    pub(super) fn end(&mut self, machine: &str) -> String {
        if self.live.as_deref() != Some(machine) {
            if self.kept.contains_key(machine) {
                self.ended.push(machine.to_owned());
            }
            return String::new();
        }
        self.live = None;
        let mut text = self.close(machine);
        let mut ended = std::mem::take(&mut self.ended);
        ended.sort_by(|a, b| natural(a, b));
        for one in ended {
            let lines = self.kept.remove(&one).unwrap_or_default();
            text += &(self.begin(&one) + &lines + &self.close(&one));
        }
        let next = self.kept.keys().min_by(|a, b| natural(a, b)).cloned();
        if let Some(next) = next {
            let lines = self.kept.remove(&next).unwrap_or_default();
            text += &(self.begin(&next) + &lines);
            self.live = Some(next);
        }
        text
    }

    fn begin(&self, machine: &str) -> String {
        match self.forge {
            Forge::GitHub => format!("::group::{machine}\n"),
            Forge::GitLab => {
                format!("\x1b[0Ksection_start:{}:wharf_{machine}\r\x1b[0K{machine}\n", self.seconds())
            }
        }
    }

    fn close(&self, machine: &str) -> String {
        match self.forge {
            Forge::GitHub => "::endgroup::\n".to_owned(),
            Forge::GitLab => format!("\x1b[0Ksection_end:{}:wharf_{machine}\r\x1b[0K\n", self.seconds()),
        }
    }

    fn seconds(&self) -> u64 {
        (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_never_overlap_and_nothing_is_lost() {
        let mut groups = Groups::new(Forge::GitHub, || UNIX_EPOCH);
        let mut text = groups.line("web1", "a");
        text += &groups.line("web10", "b");
        text += &groups.line("web2", "c");
        text += &groups.line("web1", "d");
        text += &groups.line("web3", "e");
        text += &groups.end("web10");
        text += &groups.end("web2");
        assert_eq!(text, "::group::web1\na\nd\n");
        text += &groups.end("web1");
        text += &groups.line("web3", "f");
        text += &groups.end("web3");
        text += &groups.end("never");
        let whole = "::group::web1\na\nd\n::endgroup::\n::group::web2\nc\n::endgroup::\n::group::web10\nb\n\
                     ::endgroup::\n::group::web3\ne\nf\n::endgroup::\n";
        assert_eq!(text, whole);
    }

    #[test]
    fn the_environment_says_whose_job_it_is() {
        let of = |set: &'static [&'static str]| Forge::of(move |name| set.contains(&name).then_some("true"));
        assert_eq!(of(&["GITHUB_ACTIONS"]), Some(Forge::GitHub));
        assert_eq!(of(&["GITLAB_CI"]), Some(Forge::GitLab));
        assert_eq!(of(&[]), None);
        let mut groups = Groups::new(Forge::GitLab, || UNIX_EPOCH);
        let text = groups.line("web", "a") + &groups.end("web");
        assert_eq!(
            text,
            "\x1b[0Ksection_start:0:wharf_web\r\x1b[0Kweb\na\n\x1b[0Ksection_end:0:wharf_web\r\x1b[0K\n"
        );
    }
}
