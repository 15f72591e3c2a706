//! `POST /build`: the classic builder, one image a step.
//!
//! ```text
//! context ──► Dockerfile ──► stages ──► for each step:  cached? ──► the image that it made before
//!  (a folder in `ingest`)                  │ no
//!                                          ├─ RUN:        a container, its difference
//!                                          ├─ COPY, ADD:  a snapshot, files moved in a chamber, its difference
//!                                          └─ the rest:   the configuration alone
//! ```
//! Every step's image is listed with its parent, which is the whole cache: the same step over the same parent is not done
//! again ([`Images::find_step`]). `COPY` is known by a digest of names, modes and contents; times do not count.
//!
//! A build runs in a task of its own. When its client goes away it stops at the next step, and at once where it waits: a
//! container that runs is removed. Refused are `squash`, BuildKit's requests, git repositories and what only BuildKit's
//! Dockerfiles have.
//!
//! [`Images::find_step`]: crate::engine::images::Images::find_step

mod arguments;
mod context;
mod copy;
mod output;
mod run;
mod stage;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wharfd_api_types::container::HostConfig;

use super::Engine;
use super::containers::Container;
use super::dockerfile::{self, Command, Instruction, Stages};
use super::error::{Error, Result};
use super::images::Image;
use super::images::progress::Reporter;
use super::images::pull::Pull;
use crate::registry::manifest::Platform;
use crate::registry::{Credentials, Reference};
use arguments::Arguments;
use context::Context;
pub(crate) use context::Origin;
use output::Output;
use stage::Stage;

/// What a client wants built, and how.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// What the result shall be called.
    pub(crate) tags: Vec<Reference>,
    /// Where the Dockerfile is in the context.
    pub(crate) dockerfile: String,
    /// Values for `ARG`s; one without a value has none.
    pub(crate) arguments: BTreeMap<String, Option<String>>,
    pub(crate) labels: BTreeMap<String, String>,
    /// The last stage to build.
    pub(crate) target: Option<String>,
    pub(crate) no_cache: bool,
    /// Whether base images are pulled even if they are here.
    pub(crate) pull: bool,
    /// Whether containers of steps that went well are removed, and of all steps.
    pub(crate) remove: bool,
    pub(crate) force_remove: bool,
    /// Whether only the image's id is told.
    pub(crate) quiet: bool,
    /// Limits, network and names for the containers of `RUN`.
    pub(crate) host: HostConfig,
    pub(crate) platform: Option<Platform>,
    /// Images whose steps count as done, besides those of earlier builds here.
    pub(crate) cache_from: Vec<String>,
    /// By registry, as clients know them.
    pub(crate) credentials: BTreeMap<String, Credentials>,
    /// Whether the engine itself may fetch what `ADD` and `remote` name: it reaches more than a container does.
    pub(crate) may_download: bool,
}

/// Builds an image. Dropping this stops the build soon.
pub(crate) async fn build(engine: Arc<Engine>, wish: Wish, origin: Origin, report: Reporter) -> Result<()> {
    let cancel = CancellationToken::new();
    let _stops_when_dropped = cancel.clone().drop_guard();
    let output = Output::new(report, wish.quiet);
    let building = tokio::spawn(async move {
        let built = prepare(engine, wish, origin, &output, cancel).await;
        output.finish(built).await
    });
    building.await.map_err(|e| Error::internal("building", e))?
}

async fn prepare(
    engine: Arc<Engine>,
    wish: Wish,
    origin: Origin,
    output: &Output,
    cancel: CancellationToken,
) -> Result<Arc<Image>> {
    let context = Context::receive(&engine, origin, wish.may_download, output).await?;
    let lines = context.dockerfile(&wish.dockerfile).await?;
    let mut stages = dockerfile::stages(&lines).map_err(Error::invalid)?;
    if let Some(target) = &wish.target {
        stages.only_to(target).map_err(Error::invalid)?;
    }
    add_labels(&mut stages, &wish.labels);
    for warning in &lines.warnings {
        output.warn(&format!("{warning}\n")).await;
    }
    let total = stages.steps();
    let (arguments, escape) = (Arguments::new(wish.arguments.clone()), lines.escape);
    let progress = Progress { at: 0, total };
    let mut build = Build {
        engine,
        wish,
        context,
        output,
        cancel,
        escape,
        arguments,
        progress,
        done: Vec::new(),
        made: Vec::new(),
    };
    build.all(stages).await
}

/// `--label` is as good as a `LABEL` at the end.
fn add_labels(stages: &mut Stages, labels: &BTreeMap<String, String>) {
    let Some(last) = stages.stages.last_mut() else { return };
    last.commands.extend(labels.iter().map(|(key, value)| Command {
        text: format!("LABEL {key}={value}"),
        instruction: Instruction::Label(vec![(key.clone(), quoted(value))]),
    }));
}

/// So that nothing in it is replaced.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r#"'"'"'"#))
}

/// A build under way.
struct Build<'a> {
    engine: Arc<Engine>,
    wish: Wish,
    context: Context,
    output: &'a Output,
    cancel: CancellationToken,
    escape: char,
    arguments: Arguments,
    progress: Progress,
    /// Stages that are done, by name; without an image when nothing was built from `scratch`.
    done: Vec<(Option<String>, Option<Arc<Image>>)>,
    /// Containers of the step that is on.
    made: Vec<Container>,
}

/// How many steps were announced.
struct Progress {
    at: usize,
    total: usize,
}

impl Build<'_> {
    async fn all(&mut self, stages: Stages) -> Result<Arc<Image>> {
        for command in &stages.before {
            self.announce(&command.text).await;
            self.argument_before(&command.instruction)?;
        }
        let mut last = None;
        for stage in stages.stages {
            last = self.stage(stage).await?;
        }
        let unused = self.arguments.unused();
        if !unused.is_empty() {
            let text = format!("[Warning] One or more build-args [{}] were not consumed\n", unused.join(" "));
            self.output.say(&text).await;
        }
        let image =
            last.ok_or_else(|| Error::invalid("No image was generated. Is your Dockerfile empty?"))?;
        if !self.wish.quiet {
            self.output.say(&format!("Successfully built {}\n", image.id.short())).await;
        }
        for tag in &self.wish.tags {
            self.engine.images.tag(&image.id.to_string(), tag.clone()).await?;
            self.output.say(&format!("Successfully tagged {}\n", tag.familiar())).await;
        }
        Ok(image)
    }

    async fn stage(&mut self, wanted: dockerfile::Stage) -> Result<Option<Arc<Image>>> {
        if let Some(name) =
            wanted.name.as_ref().filter(|name| self.done.iter().any(|done| done.0.as_ref() == Some(name)))
        {
            return Err(Error::invalid(format!("{name} stage name already used")));
        }
        self.announce(&wanted.text).await;
        let mut stage = self.base(&wanted).await?;
        self.triggers(&mut stage).await?;
        self.output.say(&format!(" ---> {}\n", stage.short())).await;
        for command in &wanted.commands {
            if self.cancel.is_cancelled() {
                return Err(Error::unavailable("Build cancelled"));
            }
            self.announce(&command.text).await;
            self.step(&mut stage, &command.instruction).await?;
            self.output.say(&format!(" ---> {}\n", stage.short())).await;
        }
        if let Some(image) = &stage.image {
            self.output.identify(image).await;
        }
        self.arguments.refer(&stage.arguments);
        self.done.push((wanted.name, stage.image.clone()));
        Ok(stage.image)
    }

    /// What the base image's `ONBUILD`s ask for.
    async fn triggers(&mut self, stage: &mut Stage) -> Result<()> {
        let triggers = stage.config.on_build.take().unwrap_or_default();
        if triggers.is_empty() {
            return Ok(());
        }
        let plural = if triggers.len() == 1 { "" } else { "s" };
        self.output.say(&format!("# Executing {} build trigger{plural}\n", triggers.len())).await;
        for trigger in triggers {
            let instruction = dockerfile::parse_instruction(&trigger, self.escape).map_err(Error::invalid)?;
            self.step(stage, &instruction).await?;
        }
        Ok(())
    }

    async fn announce(&mut self, text: &str) {
        self.progress.at += 1;
        self.output.say(&format!("Step {}/{} : {text}\n", self.progress.at, self.progress.total)).await;
    }

    /// Where a stage begins.
    async fn base(&mut self, wanted: &dockerfile::Stage) -> Result<Stage> {
        let arguments = self.arguments.for_stage();
        let lookup = |name: &str| arguments.before(name);
        let expand =
            |text: &str| dockerfile::expand::word(text, self.escape, &lookup).map_err(Error::invalid);
        let platform = match &wanted.platform {
            None => self.wish.platform.clone(),
            Some(text) => {
                let text = expand(text)?;
                let unknown = || Error::invalid(format!("failed to parse platform {text}"));
                Some(Platform::parse(&text).ok_or_else(unknown)?)
            }
        };
        let name = expand(&wanted.base)?;
        let image = match name.as_str() {
            "" => return Err(Error::invalid(format!("base name ({}) should not be blank", wanted.base))),
            "scratch" => None,
            name => match self.finished(&name.to_lowercase()) {
                Some(image) => image,
                None => Some(self.image(name, platform.as_ref()).await?),
            },
        };
        Ok(Stage::begin(&self.engine.images, image, platform, arguments))
    }

    /// The result of an earlier stage.
    fn finished(&self, name: &str) -> Option<Option<Arc<Image>>> {
        let named = self.done.iter().find(|done| done.0.as_deref() == Some(name));
        named.map(|done| done.1.clone())
    }

    /// An image that is here, or that is pulled.
    async fn image(&self, name: &str, platform: Option<&Platform>) -> Result<Arc<Image>> {
        let fits = |image: &Arc<Image>| {
            platform.is_none_or(|wanted| wanted.accepts(&image.configuration.platform()))
        };
        if !self.wish.pull
            && let Ok(image) = self.engine.images.resolve(name)
            && fits(&image)
        {
            return Ok(image);
        }
        let reference: Reference = name.parse::<Reference>().map_err(Error::from)?.or_latest();
        let credentials = self.wish.credentials_for(&reference);
        let pull = Pull { reference, platform: platform.cloned(), credentials };
        let reporter = self.output.reporter();
        tokio::select! {
            () = self.cancel.cancelled() => return Err(Error::unavailable("Build cancelled")),
            pulled = self.engine.images.pull(&pull, &reporter) => pulled?,
        }
        self.engine.images.resolve(name)
    }
}

impl Wish {
    /// Clients know Docker Hub by an address of its own.
    fn credentials_for(&self, reference: &Reference) -> Credentials {
        let host = |address: &str| {
            let address = address.trim_start_matches("https://").trim_start_matches("http://");
            match address.split('/').next().unwrap_or_default() {
                "index.docker.io" | "registry-1.docker.io" => {
                    crate::registry::reference::DEFAULT_DOMAIN.to_owned()
                }
                host => host.to_owned(),
            }
        };
        let domain = reference.repository.domain();
        let found = self.credentials.iter().find(|(address, _)| host(address) == domain);
        found.map(|(_, credentials)| credentials.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
