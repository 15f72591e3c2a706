//! Holds every page to the program: links, commands, reference, rights, errors, screens.
#![cfg(test)]

mod commands;
mod errors;
mod links;
mod reference;
mod rights;
mod screens;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The files in `folder` and in those below it.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let (mut folders, mut there) = (vec![folder.to_owned()], BTreeSet::new());
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                there.insert(path);
            }
        }
    }
    there
}
