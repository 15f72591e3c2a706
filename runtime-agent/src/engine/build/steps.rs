//! What each instruction does. Those that change no file here; the rest in `run` and `copy`.

use wharfd_api_types::container::CreateRequest;

use super::Build;
use super::stage::Stage;
use crate::engine::containers::Container;
use crate::engine::dockerfile::{Instruction, Target, apply, expand};
use crate::engine::error::{Error, Result};
use crate::engine::images::configuration::Config;

impl Build<'_> {
    /// Does one step, and removes its containers as the client wants it.
    pub(super) async fn step(&mut self, stage: &mut Stage, instruction: &Instruction) -> Result<()> {
        let done = self.dispatch(stage, instruction).await;
        if self.wish.force_remove || (self.wish.remove && done.is_ok()) {
            self.remove_containers().await;
        }
        self.made.clear();
        done
    }

    async fn dispatch(&mut self, stage: &mut Stage, instruction: &Instruction) -> Result<()> {
        let comment = match instruction {
            Instruction::Run(line) => return self.run(stage, line).await,
            Instruction::Add(transfer) => return self.transfer(stage, "ADD", transfer).await,
            Instruction::Copy(transfer) => return self.transfer(stage, "COPY", transfer).await,
            Instruction::From { .. } => return Err(Error::invalid("FROM isn't allowed here")),
            Instruction::Arg(arguments) => declare(stage, self.escape, arguments)?,
            Instruction::Maintainer(name) => {
                stage.author.clone_from(name);
                format!("MAINTAINER {name}")
            }
            Instruction::Healthcheck(_) => {
                self.tell_of_check(stage).await;
                self.configure(stage, instruction)?
            }
            _ => self.configure(stage, instruction)?,
        };
        match instruction {
            Instruction::WorkDir(_) => self.work_dir(stage, &comment).await,
            _ => self.note(stage, &comment).await,
        }
    }

    /// Changes the configuration, and says how the history tells it.
    fn configure(&self, stage: &mut Stage, instruction: &Instruction) -> Result<String> {
        let (environment, arguments) = (stage.config.env.clone(), stage.arguments.clone());
        let lookup = |name: &str| expand::in_environment(&environment, name).or_else(|| arguments.here(name));
        let Stage { config, has_command, .. } = stage;
        let mut target = Target { config, escape: self.escape, has_command, lookup: &lookup };
        let comment = apply(&mut target, instruction).map_err(Error::invalid)?;
        comment.ok_or_else(|| Error::invalid(format!("unsupported instruction: {instruction:?}")))
    }

    /// An `ARG` before the first stage.
    pub(super) fn argument_before(&mut self, instruction: &Instruction) -> Result<()> {
        let Instruction::Arg(arguments) = instruction else { return Ok(()) };
        for (name, value) in arguments {
            let value = {
                let lookup = |name: &str| self.arguments.here(name);
                let expand = |text: &String| expand::word(text, self.escape, &lookup);
                value.as_ref().map(expand).transpose().map_err(Error::invalid)?
            };
            self.arguments.declare_before(name, value);
        }
        Ok(())
    }

    async fn tell_of_check(&self, stage: &Stage) {
        let before = stage.config.healthcheck.as_ref().map(|check| check.test.clone()).unwrap_or_default();
        if before.first().is_some_and(|kind| kind != "NONE") {
            self.output
                .say(&format!("Note: overriding previous HEALTHCHECK: [{}]\n", before.join(" ")))
                .await;
        }
    }

    /// The folder is made at once, so that it is in the image.
    async fn work_dir(&mut self, stage: &mut Stage, comment: &str) -> Result<()> {
        let comment = format!("#(nop) {comment}");
        let key = stage.noted(&[&comment]);
        if self.cached(stage, &key).await? {
            return Ok(());
        }
        let container = self.container(stage, &key).await?;
        self.engine.containers.make_folder(&container, &stage.config.working_dir).await?;
        let layer = self.engine.containers.difference(&container).await?;
        self.keep(stage, key, &container.id, Some(layer)).await
    }

    /// A step that only changes the configuration. It has a container all the same, as with dockerd, which never runs.
    async fn note(&mut self, stage: &mut Stage, comment: &str) -> Result<()> {
        let key = stage.noted(&["#(nop) ", comment]);
        if self.cached(stage, &key).await? {
            return Ok(());
        }
        let container = self.container(stage, &key).await?;
        self.keep(stage, key, &container.id, None).await
    }

    /// Takes the image that this very step made before, if there is one.
    pub(super) async fn cached(&self, stage: &mut Stage, key: &Config) -> Result<bool> {
        if self.wish.no_cache || stage.missed {
            return Ok(false);
        }
        let images = &self.engine.images;
        let mut found = images.find_step(stage.image.as_ref().map(|image| &image.id), key);
        for source in &self.wish.cache_from {
            if found.is_some() {
                break;
            }
            if let Ok(source) = images.resolve(source) {
                found = images.adopt_step(stage.step(key.clone(), ""), &source).await?;
            }
        }
        let Some(image) = found else {
            stage.missed = true;
            return Ok(false);
        };
        self.output.say(" ---> Using cache\n").await;
        stage.advance(images, image);
        Ok(true)
    }

    /// Makes the step's image.
    pub(super) async fn keep(
        &self,
        stage: &mut Stage,
        key: Config,
        container: &str,
        layer: Option<Box<dyn std::io::Read + Send>>,
    ) -> Result<()> {
        let image = self.engine.images.add_step(stage.step(key, container), layer).await?;
        stage.advance(&self.engine.images, image);
        Ok(())
    }

    /// A container over the image so far.
    pub(super) async fn container(&mut self, stage: &Stage, config: &Config) -> Result<Container> {
        let text = serde_json::to_value(config).and_then(serde_json::from_value);
        let mut request = CreateRequest { host_config: self.wish.host.clone(), ..CreateRequest::default() };
        request.config = text.map_err(|e| Error::internal("reading the step's configuration", e))?;
        let empty = crate::engine::images::Image::scratch();
        let image = stage.image.as_deref().unwrap_or(&empty);
        if stage.image.is_some() {
            request.config.image = image.id.to_string();
        }
        let created = self.engine.containers.create_from(image, request).await?;
        let container = self.engine.containers.find(&created.id)?;
        self.made.push(container.clone());
        for warning in created.warnings {
            self.output.say(&format!(" ---> [Warning] {warning}\n")).await;
        }
        self.output.say(&format!(" ---> Running in {}\n", short(&container.id))).await;
        Ok(container)
    }

    async fn remove_containers(&self) {
        for container in &self.made {
            match container.remove(true, true).await {
                Ok(()) => {
                    let text = format!("Removing intermediate container {}\n", short(&container.id));
                    self.output.say(&text).await;
                }
                Err(error) => tracing::warn!(%error, container = container.id, "a build's container stays"),
            }
        }
    }
}

/// An `ARG` within a stage.
fn declare(stage: &mut Stage, escape: char, arguments: &[(String, Option<String>)]) -> Result<String> {
    let mut comment = "ARG".to_owned();
    // Of several in one line, none sees another.
    let expanded = |(name, value): &(String, Option<String>)| {
        let value = value.as_ref().map(|value| expanded(stage, escape, value)).transpose()?;
        Ok((expanded(stage, escape, name)?, value))
    };
    for (name, value) in arguments.iter().map(expanded).collect::<Result<Vec<_>>>()? {
        let shown = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
        comment.push_str(&format!(" {name}{shown}"));
        stage.arguments.declare(&name, value);
    }
    Ok(comment)
}

pub(super) fn expanded(stage: &Stage, escape: char, text: &str) -> Result<String> {
    expand::word(text, escape, &|name| stage.variable(name)).map_err(Error::invalid)
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
