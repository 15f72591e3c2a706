//! Runs what a page shows, in its order, on its stage.

use crate::page::{Block, Page, Shown};
use crate::shown::{matches, tidy};
use crate::stage::{Ended, Stage};

/// A command that was run.
#[derive(Debug)]
pub struct Played {
    /// Where its block begins.
    pub line: usize,
    /// What the page says.
    pub shown: Shown,
    /// What happened.
    pub ended: Ended,
}

impl Played {
    /// Whether that is the same.
    #[must_use]
    pub fn is_true(&self) -> bool {
        let Self { shown, ended, .. } = self;
        let same = shown.output.is_empty() || matches(&shown.output, &tidy(&ended.printed));
        ended.code == shown.code && same
    }

    /// What happened, as a page would show it.
    #[must_use]
    pub fn transcript(&self) -> String {
        let Ended { code, printed } = &self.ended;
        let code = if *code == 0 { String::new() } else { format!("[exit {code}]\n") };
        format!("$ {}\n{printed}{code}", self.shown.command)
    }
}

/// Runs every command of a page but those that it leaves out.
///
/// # Errors
/// What its stage lacks on this computer.
pub fn play(page: &Page) -> Result<Vec<Played>, String> {
    let stage = Stage::set(page.stage.as_deref().unwrap_or("alone"))?;
    let mut played = Vec::new();
    for block in &page.blocks {
        if let Some(file) = block.says("file") {
            stage.write(file, &block.text);
        }
        if block.language == "console" && block.left_out().is_none() {
            played.extend(run(block, &stage));
        }
    }
    Ok(played)
}

fn run<'a>(block: &'a Block, stage: &'a Stage) -> impl Iterator<Item = Played> + 'a {
    block.commands().into_iter().map(|shown| {
        let ended = stage.run(&shown.command);
        Played { line: block.line, shown, ended }
    })
}
