//! A client's wishes over the image's defaults, by dockerd's rules.

use std::collections::BTreeMap;

use wharfd_api_types::container::{ContainerConfig, HealthConfig};

use crate::engine::error::{Error, Result};
use crate::engine::images::configuration;

/// Fills what the client left open from the image.
pub(crate) fn over_image(config: &mut ContainerConfig, image: &configuration::Config) -> Result<()> {
    let either = |ours: &mut String, theirs: &str| {
        if ours.is_empty() {
            theirs.clone_into(ours);
        }
    };
    either(&mut config.user, &image.user);
    either(&mut config.working_dir, &image.working_dir);
    either(&mut config.stop_signal, &image.stop_signal);
    config.stop_timeout = config.stop_timeout.or(image.stop_timeout);
    config.shell = config.shell.take().or_else(|| image.shell.clone());
    union(&mut config.exposed_ports, image.exposed_ports.keys());
    union(&mut config.volumes, image.volumes.keys());
    environment(config.env.get_or_insert_default(), &image.env);
    for (key, value) in image.labels.iter().flatten() {
        config.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    command(config, image);
    health(&mut config.healthcheck, image.healthcheck.as_ref());
    if words(config).next().is_none() {
        return Err(Error::invalid("no command specified"));
    }
    Ok(())
}

/// Entrypoint and command in one line.
pub(crate) fn words(config: &ContainerConfig) -> impl Iterator<Item = &String> {
    config.entrypoint.iter().flatten().chain(config.cmd.iter().flatten())
}

/// An entrypoint of the client's own takes the image's command away with the image's entrypoint; `[""]` and `[]` clear
/// it.
fn command(config: &mut ContainerConfig, image: &configuration::Config) {
    match config.entrypoint.take() {
        None => {
            if config.cmd.as_ref().is_none_or(Vec::is_empty) {
                config.cmd.clone_from(&image.cmd);
            }
            config.entrypoint.clone_from(&image.entrypoint);
        }
        Some(own) if own.is_empty() || own == [""] => {
            if config.cmd.as_ref().is_none_or(Vec::is_empty) && own.is_empty() {
                config.cmd.clone_from(&image.cmd);
            }
        }
        Some(own) => config.entrypoint = Some(own),
    }
}

fn union<'a, V: Default>(ours: &mut Option<BTreeMap<String, V>>, theirs: impl Iterator<Item = &'a String>) {
    for key in theirs {
        ours.get_or_insert_default().entry(key.clone()).or_default();
    }
}

/// The image's variables that the client does not set or unset come behind the client's, as with dockerd.
fn environment(ours: &mut Vec<String>, image: &[String]) {
    let set: Vec<String> = ours.iter().map(|line| name(line).to_owned()).collect();
    ours.extend(image.iter().filter(|line| !set.iter().any(|have| have == name(line))).cloned());
}

fn name(line: &str) -> &str {
    line.split_once('=').map_or(line, |(name, _)| name)
}

fn health(ours: &mut Option<HealthConfig>, image: Option<&configuration::Healthcheck>) {
    let Some(image) = image else { return };
    let ours = ours.get_or_insert_default();
    if ours.test.as_ref().is_none_or(Vec::is_empty) {
        ours.test = Some(image.test.clone());
    }
    let defaults = [
        (&mut ours.interval, image.interval),
        (&mut ours.timeout, image.timeout),
        (&mut ours.start_period, image.start_period),
        (&mut ours.start_interval, image.start_interval),
        (&mut ours.retries, image.retries),
    ];
    for (ours, theirs) in defaults {
        if *ours == 0 {
            *ours = theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn image() -> configuration::Config {
        serde_json::from_str(
            r#"{"User":"web","WorkingDir":"/srv","Env":["PATH=/bin","A=image"],"Entrypoint":["/entry"],"Cmd":["serve"],
                "ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"Labels":{"a":"1","b":"2"},"StopSignal":"SIGQUIT",
                "Healthcheck":{"Test":["CMD","ok"],"Interval":7}}"#,
        )
        .unwrap()
    }

    fn merged(config: ContainerConfig) -> ContainerConfig {
        let mut config = config;
        over_image(&mut config, &image()).unwrap();
        config
    }

    #[test]
    fn an_empty_wish_is_the_image() {
        let config = merged(ContainerConfig::default());
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("web", "/srv"));
        assert_eq!((&config.entrypoint, &config.cmd), (&list(&["/entry"]), &list(&["serve"])));
        assert_eq!(config.env, list(&["PATH=/bin", "A=image"]));
        assert!(
            config.exposed_ports.unwrap().contains_key("80/tcp")
                && config.volumes.unwrap().contains_key("/data")
        );
        let health = config.healthcheck.unwrap();
        assert_eq!((health.interval, health.test), (7, list(&["CMD", "ok"])));
    }

    #[test]
    fn a_wish_wins_word_by_word() {
        let config = merged(ContainerConfig {
            cmd: list(&["other"]),
            env: list(&["A=mine", "B"]),
            labels: [("a".to_owned(), "mine".to_owned())].into(),
            stop_signal: "SIGINT".to_owned(),
            ..ContainerConfig::default()
        });
        assert_eq!((&config.entrypoint, &config.cmd), (&list(&["/entry"]), &list(&["other"])));
        assert_eq!(config.env, list(&["A=mine", "B", "PATH=/bin"]));
        assert_eq!((config.labels["a"].as_str(), config.labels["b"].as_str()), ("mine", "2"));
        assert_eq!(config.stop_signal, "SIGINT");
    }

    #[test]
    fn an_entrypoint_of_ones_own_drops_the_images_command() {
        let own = merged(ContainerConfig { entrypoint: list(&["sh"]), ..ContainerConfig::default() });
        assert_eq!(words(&own).collect::<Vec<_>>(), ["sh"]);
        let cleared = merged(ContainerConfig {
            entrypoint: list(&[""]),
            cmd: list(&["date"]),
            ..ContainerConfig::default()
        });
        assert_eq!(words(&cleared).collect::<Vec<_>>(), ["date"]);
    }

    #[test]
    fn nothing_to_run_is_refused() {
        let error =
            over_image(&mut ContainerConfig::default(), &configuration::Config::default()).unwrap_err();
        assert_eq!(error.to_string(), "no command specified");
    }
}
