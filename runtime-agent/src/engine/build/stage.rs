//! A stage under way: the image so far, and the configuration that its next step starts from.

use std::sync::Arc;

use super::arguments::Arguments;
use crate::engine::dockerfile::{expand, shell};
use crate::engine::images::configuration::Config;
use crate::engine::images::parents::Hold;
use crate::engine::images::step::Step;
use crate::engine::images::{Image, Images};
use crate::registry::manifest::Platform;

/// Between two steps.
pub(super) struct Stage {
    /// `None` is `scratch`.
    pub(super) image: Option<Arc<Image>>,
    /// Keeps it from being pruned meanwhile.
    held: Option<Hold>,
    platform: Platform,
    pub(super) config: Config,
    pub(super) author: String,
    /// Whether this stage has a `CMD` of its own.
    pub(super) has_command: bool,
    /// After the first step that had to be done nothing more is looked for.
    pub(super) missed: bool,
    pub(super) arguments: Arguments,
}

impl Stage {
    pub(super) fn begin(
        images: &Images,
        image: Option<Arc<Image>>,
        platform: Option<Platform>,
        arguments: Arguments,
    ) -> Self {
        let mut config = image.as_ref().map(|image| image.configuration.config.clone()).unwrap_or_default();
        if !config.env.iter().any(|line| line.starts_with("PATH=")) {
            config.env.push(format!("PATH={DEFAULT_PATH}"));
        }
        let held = image.as_ref().map(|image| images.hold(image.id));
        let platform = platform.unwrap_or_else(Platform::host);
        Self {
            image,
            held,
            platform,
            config,
            author: String::new(),
            has_command: false,
            missed: false,
            arguments,
        }
    }

    /// Goes on from a new image.
    pub(super) fn advance(&mut self, images: &Images, image: Arc<Image>) {
        self.held = Some(images.hold(image.id));
        self.image = Some(image);
    }

    pub(super) fn short(&self) -> String {
        self.image.as_ref().map(|image| image.id.short().to_owned()).unwrap_or_default()
    }

    /// The step that makes an image of the configuration as it is now.
    pub(super) fn step(&self, container_config: Config, container: &str) -> Step {
        Step {
            parent: self.image.clone(),
            platform: self.platform.clone(),
            author: self.author.clone(),
            config: self.config.clone(),
            container_config,
            container: container.to_owned(),
        }
    }

    /// The configuration with a command that only says what the step did.
    pub(super) fn noted(&self, comment: &[&str]) -> Config {
        let mut words = shell(&self.config);
        words.extend(comment.iter().map(|word| (*word).to_owned()));
        Config { cmd: Some(words), ..self.config.clone() }
    }

    /// What a variable is worth in this step.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        expand::in_environment(&self.config.env, name).or_else(|| self.arguments.here(name))
    }
}

/// What containers get from an image that says none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
