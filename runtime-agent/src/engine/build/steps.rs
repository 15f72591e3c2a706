//! What each instruction does. Those that change no file here; the rest in `run` and `copy`.

use wharfd_api_types::container::CreateRequest;

use super::Build;
use super::dockerfile::{CommandLine, Instruction, expand};
use super::stage::Stage;
use crate::engine::build::dockerfile::health::go_duration;
use crate::engine::containers::{Container, signal};
use crate::engine::error::{Error, Result};
use crate::engine::images::changes::set_variable;
use crate::engine::images::configuration::{Config, Empty, Healthcheck};

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
            Instruction::WorkDir(path) => return self.work_dir(stage, path).await,
            Instruction::Add(transfer) => return self.transfer(stage, "ADD", transfer).await,
            Instruction::Copy(transfer) => return self.transfer(stage, "COPY", transfer).await,
            Instruction::From { .. } => return Err(Error::invalid("FROM isn't allowed here")),
            Instruction::Healthcheck(check) => self.healthcheck(stage, check).await,
            Instruction::Cmd(_)
            | Instruction::Entrypoint(_)
            | Instruction::Shell(_)
            | Instruction::OnBuild(_) => command(stage, instruction),
            _ => self.configure(stage, instruction)?,
        };
        self.note(stage, &comment).await
    }

    /// Instructions whose words are expanded.
    fn configure(&self, stage: &mut Stage, instruction: &Instruction) -> Result<String> {
        let escape = self.escape;
        Ok(match instruction {
            Instruction::Arg(arguments) => {
                let arguments = arguments
                    .iter()
                    .map(|(name, value)| {
                        let value = value.as_ref().map(|value| expanded(stage, escape, value)).transpose()?;
                        Ok((expanded(stage, escape, name)?, value))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let mut comment = "ARG".to_owned();
                for (name, value) in arguments {
                    let shown = value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
                    comment.push_str(&format!(" {name}{shown}"));
                    stage.arguments.declare(&name, value);
                }
                comment
            }
            Instruction::Env(pairs) => {
                let pairs = expanded_pairs(stage, escape, "ENV", pairs)?;
                pairs.iter().for_each(|(key, value)| set_variable(&mut stage.config.env, key, value));
                shown("ENV", &pairs)
            }
            Instruction::Label(pairs) => {
                let pairs = expanded_pairs(stage, escape, "LABEL", pairs)?;
                stage.config.labels.get_or_insert_default().extend(pairs.iter().cloned());
                shown("LABEL", &pairs)
            }
            Instruction::Expose(ports) => expose(stage, escape, ports)?,
            Instruction::User(user) => {
                stage.config.user = expanded(stage, escape, user)?;
                format!("USER {}", stage.config.user)
            }
            Instruction::StopSignal(name) => {
                let name = expanded(stage, escape, name)?;
                signal::parse(&name)?;
                stage.config.stop_signal.clone_from(&name);
                format!("STOPSIGNAL {name}")
            }
            Instruction::Volume(volumes) => {
                let volumes =
                    volumes.iter().map(|path| expanded(stage, escape, path)).collect::<Result<Vec<_>>>()?;
                if volumes.iter().any(String::is_empty) {
                    return Err(Error::invalid("VOLUME specified can not be an empty string"));
                }
                stage.config.volumes.extend(volumes.iter().map(|path| (path.clone(), Empty {})));
                format!("VOLUME [{}]", volumes.join(" "))
            }
            Instruction::Maintainer(name) => {
                stage.author.clone_from(name);
                format!("MAINTAINER {name}")
            }
            other => return Err(Error::invalid(format!("unsupported instruction: {other:?}"))),
        })
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

    async fn healthcheck(&self, stage: &mut Stage, check: &Healthcheck) -> String {
        let before =
            stage.config.healthcheck.replace(check.clone()).map(|check| check.test).unwrap_or_default();
        if before.first().is_some_and(|kind| kind != "NONE") {
            self.output
                .say(&format!("Note: overriding previous HEALTHCHECK: [{}]\n", before.join(" ")))
                .await;
        }
        let mut times = vec![check.interval, check.timeout, check.start_period];
        times.extend(Some(check.start_interval).filter(|interval| *interval != 0));
        let times: String = times.into_iter().map(|time| format!(" {:?}", go_duration(time))).collect();
        let retries = u8::try_from(check.retries).unwrap_or(u8::MAX);
        format!("HEALTHCHECK &{{{}{times} '\\x{retries:02x}'}}", quoted_list(&check.test))
    }

    async fn work_dir(&mut self, stage: &mut Stage, path: &str) -> Result<()> {
        let path = expanded(stage, self.escape, path)?;
        if path.is_empty() {
            return Err(Error::invalid("cannot normalize nothing"));
        }
        stage.config.working_dir = if path.starts_with('/') {
            path
        } else {
            super::copy::destination::clean(&format!("/{}/{path}", stage.config.working_dir))
        };
        let comment = format!("#(nop) WORKDIR {}", stage.config.working_dir);
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

fn command(stage: &mut Stage, instruction: &Instruction) -> String {
    let words = |stage: &Stage, line: &CommandLine| stage.words(line);
    match instruction {
        Instruction::Cmd(line) => {
            let words = words(stage, line);
            stage.has_command |= !line.words.is_empty();
            let comment = format!("CMD {}", quoted_list(&words));
            stage.config.cmd = Some(words);
            comment
        }
        Instruction::Entrypoint(line) => {
            let words = words(stage, line);
            let comment = format!("ENTRYPOINT {}", quoted_list(&words));
            stage.config.entrypoint = Some(words).filter(|words| !words.is_empty());
            if !stage.has_command {
                stage.config.cmd = None;
            }
            comment
        }
        Instruction::Shell(words) => {
            stage.config.shell = Some(words.clone());
            format!("SHELL [{}]", words.join(" "))
        }
        Instruction::OnBuild(trigger) => {
            stage.config.on_build.get_or_insert_default().push(trigger.clone());
            format!("ONBUILD {trigger}")
        }
        _ => String::new(),
    }
}

/// Words with blanks are several ports; `8000-8002/udp` are three.
fn expose(stage: &mut Stage, escape: char, ports: &[String]) -> Result<String> {
    let lookup = |name: &str| stage.variable(name);
    let mut words = Vec::new();
    for port in ports {
        words.extend(expand::split(port, escape, &lookup).map_err(Error::invalid)?);
    }
    let mut exposed = Vec::new();
    for word in &words {
        exposed.extend(crate::engine::images::changes::ports(word).map_err(Error::invalid)?);
    }
    stage.config.exposed_ports.extend(exposed.into_iter().map(|port| (port, Empty {})));
    Ok(format!("EXPOSE {}", words.join(" ")))
}

pub(super) fn expanded(stage: &Stage, escape: char, text: &str) -> Result<String> {
    expand::word(text, escape, &|name| stage.variable(name)).map_err(Error::invalid)
}

fn expanded_pairs(
    stage: &Stage,
    escape: char,
    instruction: &str,
    pairs: &[(String, String)],
) -> Result<Vec<(String, String)>> {
    let pair = |(key, value): &(String, String)| match expanded(stage, escape, key)? {
        key if key.is_empty() => Err(Error::invalid(format!("{instruction} names can not be blank"))),
        key => Ok((key, expanded(stage, escape, value)?)),
    };
    pairs.iter().map(pair).collect()
}

fn shown(instruction: &str, pairs: &[(String, String)]) -> String {
    let pairs: String = pairs.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    format!("{instruction}{pairs}")
}

/// As Go's `%q` prints a list.
fn quoted_list(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}").replace("\\'", "'")).collect();
    format!("[{}]", words.join(" "))
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
