//! Every link in the book leads somewhere; so does every one of the pages beside the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wharf_docs::page::Page;
use wharf_docs::{book, root};

/// The book's pages, by their paths below its sources.
fn pages() -> BTreeMap<PathBuf, Page> {
    let files = paths().into_iter();
    files.map(|path| (path.clone(), Page::read(Path::new("docs/src").join(path)))).collect()
}

/// What there is below the book's sources.
fn paths() -> BTreeSet<PathBuf> {
    let source = book().join("src");
    crate::files(&source).iter().map(|path| path.strip_prefix(&source).unwrap().to_owned()).collect()
}

/// Where a link of the page at `from` leads, both below the book's sources: a file, and a place in it.
fn target(from: &Path, link: &str) -> (PathBuf, String) {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let mut target = from.to_owned();
    if !path.is_empty() {
        target.pop();
    }
    for part in Path::new(path) {
        if part == ".." {
            assert!(target.pop(), "{}: {link} leads out of the book", from.display());
        } else {
            target.push(part);
        }
    }
    (target, anchor.to_owned())
}

#[test]
fn every_link_in_the_book_leads_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (from, page) in &pages {
        for link in page.links.iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            seen += 1;
            let (target, anchor) = target(from, link);
            match pages.get(&target) {
                Some(page) if anchor.is_empty() || page.anchors.contains(&anchor) => {}
                Some(_) => wrong.push(format!("{}: {link}: there is no such place", from.display())),
                None if book().join("src").join(&target).exists() && anchor.is_empty() => {}
                None => wrong.push(format!("{}: {link} leads nowhere", from.display())),
            }
        }
    }
    assert!(seen > 60, "the search found too little to be true: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_page_is_in_the_summary() {
    let listed: BTreeSet<PathBuf> =
        Page::read("docs/src/SUMMARY.md").links.into_iter().map(PathBuf::from).collect();
    let mut there = paths();
    assert!(there.remove(Path::new("SUMMARY.md")));
    assert_eq!(listed, there);
}

#[test]
fn pages_beside_the_sources_link_to_what_is_there() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        for link in Page::read(page).links {
            if !link.contains("://") {
                let path = link.split('#').next().unwrap();
                assert!(root().join(path).exists(), "{page}: {link} leads nowhere");
            }
        }
    }
}

/// The book is built, and has each page with the places that links to it may name.
#[cfg(feature = "html")]
#[test]
fn the_book_as_html_has_every_page_and_every_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut made = mdbook_driver::MDBook::load(book()).expect("the book is read");
    made.config.build.build_dir = folder.path().to_owned();
    made.build().expect("the book is built");
    let mut seen = 0;
    for (path, page) in pages().iter().filter(|(path, _)| !path.ends_with("SUMMARY.md")) {
        let html = std::fs::read_to_string(folder.path().join(path.with_extension("html"))).unwrap();
        for anchor in &page.anchors {
            seen += 1;
            assert!(html.contains(&format!(" id=\"{anchor}\"")), "{}: no place `{anchor}`", path.display());
        }
    }
    assert!(seen > 100, "too few places to be true: {seen}");
}
