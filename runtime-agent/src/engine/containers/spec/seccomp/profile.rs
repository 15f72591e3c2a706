//! A client's own profile, in Docker's format: OCI's rules with conditions.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ARCHITECTURES;
use crate::engine::error::{Error, Result};

/// The document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::engine::containers::spec) struct Profile {
    default_action: String,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    #[serde(default)]
    syscalls: Option<Vec<Rule>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    name: Option<String>,
    action: String,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<Value>>,
    #[serde(default)]
    includes: Option<Condition>,
    #[serde(default)]
    excludes: Option<Condition>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl Profile {
    pub(super) fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("Decoding seccomp profile failed: {error}")))
    }

    /// The rules that hold for this host and these capabilities.
    pub(super) fn rules(&self, granted: &BTreeSet<String>, kernel: (u32, u32)) -> Result<Value> {
        let mut rules = Vec::new();
        for rule in self.syscalls.iter().flatten() {
            let included = rule.includes.as_ref().is_none_or(|c| c.holds(granted, kernel, Mode::All));
            let excluded = rule.excludes.as_ref().is_some_and(|c| c.holds(granted, kernel, Mode::Any));
            if included && !excluded {
                rules.push(rule.to_oci()?);
            }
        }
        let native = ARCHITECTURES.iter().map(|name| (*name).to_owned()).collect();
        let mut document = json!({
            "defaultAction": self.default_action,
            "architectures": self.architectures.clone().unwrap_or(native),
            "syscalls": rules,
        });
        if let Some(number) = self.default_errno_ret {
            document["defaultErrnoRet"] = json!(number);
        }
        if let Some(flags) = &self.flags {
            document["flags"] = json!(flags);
        }
        Ok(document)
    }
}

impl Rule {
    fn to_oci(&self) -> Result<Value> {
        let names: Vec<_> = self.names.iter().chain(&self.name).collect();
        if names.is_empty() {
            return Err(Error::invalid("Decoding seccomp profile failed: a rule names no system call"));
        }
        let mut rule = json!({ "names": names, "action": self.action });
        if let Some(number) = self.errno_ret {
            rule["errnoRet"] = json!(number);
        }
        if let Some(args) = self.args.as_ref().filter(|args| !args.is_empty()) {
            rule["args"] = json!(args);
        }
        Ok(rule)
    }
}

/// Inclusions demand every part of a condition, exclusions are met by any.
#[derive(Clone, Copy)]
enum Mode {
    All,
    Any,
}

impl Condition {
    fn holds(&self, granted: &BTreeSet<String>, kernel: (u32, u32), mode: Mode) -> bool {
        let caps = self.caps.as_ref().map(|caps| match mode {
            Mode::All => caps.iter().all(|cap| granted.contains(cap)),
            Mode::Any => caps.iter().any(|cap| granted.contains(cap)),
        });
        let arches = self.arches.as_ref().map(|arches| arches.iter().any(|arch| arch == ARCHITECTURE));
        let minimum = self.min_kernel.as_ref().map(|text| kernel >= version(text));
        let mut parts = [caps, arches, minimum].into_iter().flatten();
        match mode {
            Mode::All => parts.all(|part| part),
            Mode::Any => parts.any(|part| part),
        }
    }
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

const ARCHITECTURE: &str = crate::engine::host::ARCHITECTURE_IN_GO;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_narrow_a_profile_to_this_container() {
        let profile = Profile::parse(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","archMap":[],"syscalls":[
                {"names":["always"],"action":"SCMP_ACT_ALLOW","args":[]},
                {"names":["new"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.0"}},
                {"name":"paid","action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
                {"names":["unpaid"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_ADMIN"]}},
                {"names":["elsewhere"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}}]}"#,
        )
        .unwrap();
        let names = |caps: &[&str]| {
            let granted = caps.iter().map(|cap| (*cap).to_owned()).collect();
            let rules = profile.rules(&granted, (6, 1)).unwrap();
            let list = rules["syscalls"].as_array().unwrap().clone();
            list.iter().map(|rule| rule["names"][0].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["always", "unpaid"]);
        assert_eq!(names(&["CAP_SYS_ADMIN"]), ["always", "paid"]);
    }

    #[test]
    fn a_broken_profile_is_refused() {
        assert!(Profile::parse("{").is_err());
        let nameless =
            Profile::parse(r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_LOG"}]}"#);
        assert!(nameless.unwrap().rules(&BTreeSet::new(), (6, 1)).is_err());
    }
}
