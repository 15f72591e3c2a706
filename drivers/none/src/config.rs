//! What can be set: where it is.

use serde::{Deserialize, Serialize};
use wharf_driver::{Configure, Mistake, Setting, Settings, Takes};

use crate::Elsewhere;

/// The configuration, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Where the docker client finds the engine, as the person wrote it.
    pub url: String,
}

const URL: &str = "none-url";

impl Configure for Elsewhere {
    const SETTINGS: &'static [Setting] = &[Setting {
        flag: URL,
        aliases: &["url"],
        env: &[],
        help: "where the engine is, such as tcp://192.0.2.7:2376; nothing is done to it",
        takes: Takes::Text("URL"),
        default: None,
        at_terminal: None,
    }];

    fn configure(set: &Settings) -> Result<Config, Vec<Mistake>> {
        match set.text(URL) {
            Some(url) => Ok(Config { url: url.to_owned() }),
            None => Err(vec![Mistake::new(URL, "is missing: say where the engine is")]),
        }
    }
}

impl Config {
    /// Host and port of the address, as far as it has such.
    pub(crate) fn place(&self) -> (String, u16) {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let place = rest.split('/').next().unwrap_or(rest);
        match place.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) => (host.trim_matches(['[', ']']).to_owned(), port),
            _ => (place.to_owned(), ENGINE_PORT),
        }
    }
}

const ENGINE_PORT: u16 = 2376;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart_and_need_not() {
        for (url, host, port) in [
            ("tcp://192.0.2.7:2375", "192.0.2.7", 2375),
            ("http://1.2.3.4:5678/path", "1.2.3.4", 5678),
            ("tcp://[::1]:2376", "::1", 2376),
            ("none", "none", 2376),
        ] {
            assert_eq!(Config { url: url.into() }.place(), (host.to_owned(), port), "{url}");
        }
        assert!(Elsewhere::configure(&Settings::default()).is_err());
    }
}
