//! What a person may set: which cloud, and what goes wrong there.

use serde::{Deserialize, Serialize};
use wharf_driver::{Configure, Mistake, Setting, Settings, Takes};

use crate::memory::Memory;

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The cloud's name.
    pub cloud: String,
    /// What refuses a plan: one of `refused`, `quota`, `not-allowed`, `unreachable`.
    pub fail: Option<String>,
    /// Whether the machines of a store share one network.
    #[serde(default)]
    pub shared: bool,
}

const FAILURES: &[&str] = &["refused", "quota", "not-allowed", "unreachable"];

impl Configure for Memory {
    const SETTINGS: &'static [Setting] = &[
        Setting {
            flag: "memory-cloud",
            aliases: &[],
            env: &["WHARF_MEMORY_CLOUD"],
            help: "name of the cloud in memory",
            takes: Takes::Text("NAME"),
            default: Some("default"),
            at_terminal: None,
        },
        Setting {
            flag: "memory-fail",
            aliases: &[],
            env: &[],
            help: "refuse every plan like this: refused, quota, not-allowed or unreachable",
            takes: Takes::Text("HOW"),
            default: None,
            at_terminal: None,
        },
        Setting {
            flag: "memory-shared-network",
            aliases: &[],
            env: &[],
            help: "share one network with the other machines",
            takes: Takes::Switch,
            default: None,
            at_terminal: None,
        },
    ];

    fn configure(set: &Settings) -> Result<Config, Vec<Mistake>> {
        let fail = set.text("memory-fail").map(str::to_owned);
        if let Some(how) = fail.as_deref().filter(|how| !FAILURES.contains(how)) {
            let message = format!("`{how}` is none of {}", FAILURES.join(", "));
            return Err(vec![Mistake::new("memory-fail", message)]);
        }
        Ok(Config {
            cloud: set.text("memory-cloud").unwrap_or("default").to_owned(),
            fail,
            shared: set.switch("memory-shared-network"),
        })
    }
}
