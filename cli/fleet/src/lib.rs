//! The fleet file: which machines there should be, by name pattern, and what each should be like.
//!
//! ```yaml
//! fleet: shop
//! env: [SIZE]                      # the only variables that this file may name
//! defaults:
//!   driver: azure
//!   options: { size: "${SIZE:-Standard_B2s}" }
//! machines:
//!   web-{1..5}:
//!     labels: { role: web }
//!   db:
//!     options: { disk-size: 100 }
//! ```
//! Several files make one fleet: each further one is laid over those before it. Everything that is wrong is found in one
//! reading, with file, line, column and the line itself. Nothing is asked of a cloud, and no variable is read that the
//! file that names it does not list: who may change a fleet file, as a pull request does, gets at no others.
#![forbid(unsafe_code)]

mod certificate;
mod decode;
mod hook;
mod interpolate;
mod nearest;
mod pattern;
mod place;
mod schema;
mod tree;

use wharf_driver::MachineName;

pub use certificate::Certificate;
pub use hook::{Hook, On};
pub use nearest::nearest;
pub use pattern::expand;
pub use place::{Mistake, Mistakes, Place, Placed, Sources};
pub use schema::{Option as SchemaOption, schema};

/// One file's name, for people, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is called in messages.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// The machines that there should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Its name, which machines remember.
    pub name: Placed<String>,
    /// The machines, in the order of the file.
    pub machines: Vec<Declared>,
    /// The certificates that colleagues and jobs are to have.
    pub certificates: Vec<Certificate>,
    /// The files, for mistakes that are found later.
    pub sources: Sources,
}

/// One machine that there should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Its name.
    pub name: MachineName,
    /// The pattern that it comes from.
    pub pattern: Placed<String>,
    /// What it should be like, defaults included.
    pub wish: Wish,
}

/// What a machine should be like: the flags of `create`, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wish {
    /// The driver.
    pub driver: Option<Placed<String>>,
    /// The cloud that the person has set up.
    pub cloud: Option<Placed<String>>,
    /// The driver's flags, with or without the driver's name in front; each with its values.
    pub options: Vec<(Placed<String>, Vec<Placed<String>>)>,
    /// Labels of the engine, as `key=value`.
    pub labels: Vec<Placed<String>>,
    /// Registries that are asked before the official one.
    pub registry_mirrors: Vec<Placed<String>>,
    /// Registries that are spoken to without a verified certificate.
    pub insecure_registries: Vec<Placed<String>>,
    /// The authorities that registries are believed by, as `registry=file`.
    pub registry_authorities: Vec<Placed<String>>,
    /// Further flags of the engine.
    pub engine_options: Vec<Placed<String>>,
    /// Variables of the engine's environment, as `KEY=value`.
    pub environment: Vec<Placed<String>>,
    /// Further names in the server's certificate.
    pub names: Vec<Placed<String>>,
    /// What is run once each machine has joined, in the order of the file.
    pub hooks: Vec<Hook>,
    /// Whether no engine is wanted.
    pub bare: bool,
    /// How long the machine is wanted for, such as `4h`.
    pub ttl: Option<Placed<String>>,
    /// Whether a docker context is written; `None` leaves it to the person's configuration.
    pub context: Option<bool>,
}

/// Reads a fleet: `sources` are laid over each other in their order, and `variable` is asked for what a file's own list
/// names.
///
/// # Errors
/// Everything that is wrong, in the order of the files.
pub fn read(sources: Vec<Source>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Fleet, Mistakes> {
    let sources = Sources::new(sources);
    let mut mistakes = Mistakes::default();
    let mut whole: Option<tree::Node> = None;
    for index in 0..sources.len() {
        let mut node = match tree::parse(&sources, index) {
            Ok(node) => node,
            Err(mistake) => {
                mistakes.add(mistake);
                continue;
            }
        };
        interpolate::interpolate(&mut node, variable, &sources, &mut mistakes);
        whole = Some(match whole {
            Some(base) => tree::overlay(base, node),
            None => node,
        });
    }
    let fleet = whole.map(|node| decode::fleet(&node, &sources, &mut mistakes));
    match fleet {
        Some(Some((name, machines, certificates))) if mistakes.is_empty() => {
            Ok(Fleet { name, machines, certificates, sources })
        }
        _ => Err(mistakes),
    }
}
