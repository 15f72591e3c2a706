//! What a page quotes as an error stands in the program's sources: a block fenced as `text error` has one message a line,
//! with `…` for what differs from time to time. All the fixed parts of one must stand in one file.

use std::path::{Path, PathBuf};

use wharf_docs::page::{Page, all};
use wharf_docs::root;

/// The sources of everything that people run, with strings that are broken over lines put together.
fn sources() -> Vec<(PathBuf, String)> {
    let places = ["cli", "drivers", "bootstrap", "runtime-agent"];
    let mut folders: Vec<PathBuf> = places.iter().map(|place| root().join(place)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                let left_out = ["tests", "testkit", "descriptions"].iter().any(|name| path.ends_with(name));
                folders.extend((!left_out).then_some(path));
            } else if ["rs", "sh"].iter().any(|kind| path.extension().is_some_and(|e| e == *kind)) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, joined(&text)));
            }
        }
    }
    found
}

/// A backslash at the end of a line takes the blanks that follow along.
fn joined(text: &str) -> String {
    let mut pieces = text.split("\\\n");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.trim_start()).replace("\\\"", "\"")
}

fn quotes(page: &Page) -> Vec<String> {
    let blocks = page.blocks.iter().filter(|block| block.language == "text" && block.says == "error");
    blocks.flat_map(|block| block.text.lines().map(str::to_owned)).filter(|line| !line.is_empty()).collect()
}

/// The file that says this, if one does.
fn said<'s>(quote: &str, sources: &'s [(PathBuf, String)]) -> Option<&'s Path> {
    let message = quote.strip_prefix("error: ").or_else(|| quote.strip_prefix("hint: ")).unwrap_or(quote);
    let parts: Vec<&str> = message.split('…').map(str::trim).filter(|part| part.len() > 3).collect();
    let long = parts.iter().map(|part| part.len()).max().unwrap_or(0);
    assert!(long >= 10, "`{quote}` says too little to be looked for");
    let file = sources.iter().find(|(_, text)| parts.iter().all(|part| text.contains(part)));
    file.map(|(path, _)| path.as_path())
}

#[test]
fn every_quoted_error_is_one_that_the_program_can_say() {
    let sources = sources();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in all() {
        for quote in quotes(&page) {
            seen += 1;
            if said(&quote, &sources).is_none() {
                wrong.push(format!("{}: nobody says `{quote}`", page.path.display()));
            }
        }
    }
    assert!(seen >= 20, "the search found too little to be true: {seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_invented_error_is_not_found() {
    let sources = sources();
    assert!(said("error: there is no driver `…`", &sources).is_some());
    assert!(said("error: the moon is in the wrong quarter", &sources).is_none());
}
